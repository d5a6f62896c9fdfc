"""The stand-in for pulumi-kubernetes before a real API server, driven by the unmodified SDK."""

from __future__ import annotations

import base64
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from loopback_iac.engine import destroy, plan, up

if TYPE_CHECKING:
    from tests.cluster.objects import Objects

HERE = Path(__file__).parent


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {
        "name": name,
        "token": "core/v1:ConfigMap",
        "manifest": {"metadata": {"name": name}, "data": data},
    }


def test_a_named_and_an_unnamed_object_live_through_create_update_replace_and_delete(
    objects: Objects,
) -> None:
    unnamed = {"name": "free", "token": "core/v1:ConfigMap", "manifest": {"data": {"a": "1"}}}
    labelled = config_map("kept", a="1")
    objects.write(unnamed, labelled)
    assert objects.stack.plan().counts == {"create": 3}
    assert objects.names("configmaps") == []
    objects.stack.up()
    free, kept = objects.names("configmaps")
    assert (free[:5], kept) == ("free-", "kept")
    rows = objects.stack.rows()
    assert rows["kept"]["id"] == f"{objects.namespace}/kept"
    assert rows["kept"]["outputs"]["__fieldManager"].startswith("pulumi-kubernetes-")
    assert objects.stack.up().counts == {"same": 3}
    uid = objects.get("configmaps", "kept")["metadata"]["uid"]
    # labels change in place; the data of a ConfigMap does not
    labelled["manifest"]["metadata"]["labels"] = {"team": "edge"}
    objects.write(unnamed, labelled)
    assert objects.stack.up().counts == {"update": 1, "same": 2}
    there = objects.get("configmaps", "kept")
    assert there["metadata"]["labels"] == {"team": "edge"}
    assert there["metadata"]["uid"] == uid
    owners = {(row["manager"], row["operation"]) for row in there["metadata"]["managedFields"]}
    assert owners == {(rows["kept"]["outputs"]["__fieldManager"], "Apply")}
    unnamed["manifest"]["data"] = {"a": "2"}
    labelled["manifest"]["data"] = {"a": "2"}
    objects.write(unnamed, labelled)
    done = objects.stack.up()
    assert done.counts == {"replace": 2, "same": 1}
    notes = {change.name: change.note for change in done.changes if change.op == "replace"}
    assert notes == {"free": "", "kept": "delete first"}  # who has a name of ours gives it up first
    assert objects.get("configmaps", "kept")["metadata"]["uid"] != uid
    assert free not in objects.names("configmaps")
    objects.stack.destroy()
    assert objects.names("configmaps") == []


def test_what_exists_is_not_taken_over_and_what_others_own_is_a_conflict(objects: Objects) -> None:
    objects.make("configmaps", {"metadata": {"name": "there"}, "data": {"a": "theirs"}})
    objects.write(config_map("there", a="ours"))
    text = objects.fail()
    assert 'configmaps "there" already exists' in text
    assert "Intentional upsert: set upsertExistingObjects on the provider" in text
    assert "there" not in objects.stack.rows()
    objects.write(config_map("there", a="ours"), upsertExistingObjects=True)
    assert 'conflict with "theirs"' in objects.fail()
    forced = config_map("there", a="ours")
    forced["manifest"]["metadata"]["annotations"] = {"pulumi.com/patchForce": "true"}
    objects.write(forced, upsertExistingObjects=True)
    objects.stack.up()
    assert objects.get("configmaps", "there")["data"] == {"a": "ours"}


def test_an_update_against_another_manager_names_the_field_and_comes_again(objects: Objects) -> None:
    row = config_map("shared")
    row["manifest"]["metadata"]["labels"] = {"team": "edge"}
    objects.write(row)
    objects.stack.up()
    objects.apply("configmaps", "shared", {"metadata": {"labels": {"team": "theirs"}}}, "them")
    row["manifest"]["metadata"]["labels"] = {"team": "core"}
    objects.write(row)
    text = objects.fail()
    assert "server-side apply field conflict detected" in text
    assert 'conflict with "them"' in text
    assert ".metadata.labels.team" in text
    assert objects.stack.rows()["shared"]["initErrors"]
    row["manifest"]["metadata"]["annotations"] = {"pulumi.com/patchForce": "true"}
    objects.write(row)
    assert objects.stack.up().counts["update"] == 1
    assert objects.get("configmaps", "shared")["metadata"]["labels"] == {"team": "core"}
    assert "initErrors" not in objects.stack.rows()["shared"]


def test_a_refresh_shows_drift_of_what_the_program_says_and_no_other(objects: Objects) -> None:
    row = config_map("drifting", a="1")
    row["manifest"]["metadata"]["labels"] = {"team": "edge"}
    objects.write(row)
    objects.stack.up()
    there = {"metadata": {"labels": {"team": "drifted", "more": "label"}}}
    objects.apply("configmaps", "drifting", there, "them", force=True)
    ident, state, inputs = objects.read("drifting")
    assert ident == f"{objects.namespace}/drifting"
    assert inputs["metadata"]["labels"] == {"team": "drifted"}
    assert state["metadata"]["labels"] == {"team": "drifted", "more": "label"}
    assert objects.diff("drifting", state) == {"metadata.labels.team": "UPDATE"}
    objects.delete("configmaps", "drifting")
    assert objects.read("drifting") == ("", {}, {})


def test_a_secret_is_in_no_file_of_the_state_in_plain_text(objects: Objects) -> None:
    objects.write(
        {"name": "hidden", "token": "core/v1:Secret", "secret": "stringData",
         "manifest": {"metadata": {"name": "hidden"}}},
        {"name": "forgotten", "token": "core/v1:Secret",
         "manifest": {"metadata": {"name": "forgotten"}, "stringData": {"k": "not-marked-word"}}},
    )  # fmt: skip
    objects.stack.up()
    coded = base64.b64encode(objects.word.encode()).decode()
    assert objects.get("secrets", "hidden")["data"] == {"it": coded}
    plain = [objects.word, coded, "not-marked-word", base64.b64encode(b"not-marked-word").decode()]
    plain += [objects.token]
    for file in objects.stack.state_dir.rglob("*"):
        if file.is_file():
            assert not [word for word in plain if word in file.read_text()], file
    assert objects.stack.up().counts == {"same": 3}
    assert not [word for word in plain if word in str(objects.stack.plan().render_json())]


def test_a_finalizer_keeps_an_object_until_somebody_takes_it_off(objects: Objects) -> None:
    row = config_map("held")
    row["manifest"]["metadata"]["finalizers"] = ["example.com/wait"]
    row["timeouts"] = {"delete": "2s"}
    objects.write(row)
    objects.stack.up()
    begun = time.monotonic()
    result = objects.stack.run(destroy)
    assert not result.ok
    texts = "\n".join(item.message for item in result.diagnostics)
    assert "finalizers might be preventing deletion (example.com/wait)" in texts
    assert "timed out waiting for the condition" in texts
    assert time.monotonic() - begun < 60
    assert "held" in objects.stack.rows()
    objects.apply("configmaps", "held", {"metadata": {"finalizers": []}}, "us", force=True)
    objects.patch("configmaps", "held", [{"op": "remove", "path": "/metadata/finalizers"}])
    objects.stack.destroy()
    assert objects.names("configmaps") == []


def test_a_definition_may_come_after_the_object_that_needs_it(objects: Objects) -> None:
    group = f"g{objects.namespace}.example.com"
    thing = {
        "name": "thing",
        "token": f"{group}/v1:Thing",
        "manifest": {"metadata": {"name": "thing"}, "spec": {"size": 1}},
    }
    objects.write(thing)
    objects.stack.plan()  # nobody knows the kind: its inputs are shown
    late = threading.Timer(4, objects.define, (group, "Thing"))
    late.start()
    try:
        objects.stack.up()
    finally:
        late.join()
    assert objects.get(f"/apis/{group}/v1", "things/thing")["spec"] == {"size": 1}
    thing["manifest"]["spec"] = {"size": 2}
    objects.write(thing)
    assert objects.stack.up().counts["update"] == 1
    objects.undefine(group)  # with it goes all that is of it
    objects.stack.destroy()
    assert objects.stack.rows() == {}


def test_without_its_definition_an_object_is_refused_by_name_after_the_retries(
    objects: Objects,
) -> None:
    objects.write(
        {"name": "lost", "token": "none.example.com/v1:Lost",
         "manifest": {"metadata": {"name": "lost"}}},
    )  # fmt: skip
    text = objects.fail()
    assert "Verify that any required CRDs have been created" in text
    assert 'no matches for kind "Lost" in version "none.example.com/v1"' in text


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        ({}, "'slow' timed out waiting to be Ready"),
        ({"pulumi.com/waitFor": "jsonpath={.status.replicas}=3"}, "timed out waiting for the"),
        ({"pulumi.com/waitFor": "condition=Available"}, "timed out waiting for the condition"),
        ({"pulumi.com/waitFor": "replicas=3"}, 'expected a "jsonpath=" or "condition=" prefix'),
    ],
)
def test_what_does_not_become_ready_is_kept_with_the_reasons(
    objects: Objects, annotations: dict[str, str], said: str
) -> None:
    """No node in this cluster: a Deployment never has a pod that runs."""
    row = deployment("slow", **annotations, **{"pulumi.com/timeoutSeconds": "2"})
    objects.write(row)
    text = objects.fail()
    assert said in text
    if "waitFor" not in str(annotations):
        assert "Minimum number of live Pods was not attained" in text
        kept = objects.stack.rows()["slow"]
        assert kept["id"] == f"{objects.namespace}/slow"
        assert "Minimum number of live Pods" in str(kept["initErrors"])
        # nothing is lost: what is in order now is only updated
        row["manifest"]["metadata"]["annotations"] = {"pulumi.com/skipAwait": "true"}
        objects.write(row)
        assert objects.stack.up().counts["update"] == 1
    objects.stack.run(destroy)


def deployment(name: str, **annotations: str) -> dict[str, Any]:
    container = {"name": "c", "image": "none", "resources": {"limits": {"cpu": "1000m"}}}
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [container]},
    }
    return {
        "name": name,
        "token": "apps/v1:Deployment",
        "manifest": {
            "metadata": {"name": name, "annotations": annotations},
            "spec": {"selector": {"matchLabels": {"app": name}}, "template": template},
        },
    }


def test_an_object_nobody_waits_for_is_made_at_once_and_stays_as_it_is(objects: Objects) -> None:
    row = deployment("at-once", **{"pulumi.com/skipAwait": "true"})
    objects.write(row)
    objects.stack.up()
    assert objects.stack.up().counts == {"same": 2}  # `1000m` is `1` by now
    row["manifest"]["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    row["manifest"]["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    objects.write(row)
    assert objects.stack.plan().counts == {"replace": 1, "same": 1}


def test_the_state_of_a_cluster_that_went_away_is_told_from_a_plan(objects: Objects) -> None:
    objects.write(config_map("far", a="1"))
    objects.stack.up()
    objects.write(config_map("far", a="1"), config_map("new"), at="https://127.0.0.1:9")
    done = objects.stack.run(plan)
    assert done.ok, done.diagnostics
    text = objects.fail()
    assert "configured Kubernetes cluster is unreachable" in text
    assert "connection refused" in text


def test_settings_that_are_not_mirrored_are_refused_by_name(objects: Objects) -> None:
    objects.write(config_map("x"), renderYamlToDirectory="/tmp/x")
    assert "mirrors Server-Side Apply to a cluster only" in objects.fail(plan)
    objects.write(
        {"name": "r", "token": "helm.sh/v3:Release", "inputs": {"chart": "x"}},
    )
    assert "does not have kubernetes:helm.sh/v3:Release" in objects.fail(plan)


def test_manifests_become_objects_that_wait_for_what_they_need(objects: Objects) -> None:
    text = f"""
apiVersion: v1
kind: List
items:
- {{apiVersion: v1, kind: ConfigMap, metadata: {{name: one, namespace: {objects.namespace}b}}}}
- {{apiVersion: v1, kind: Secret, metadata: {{name: two}}, stringData: {{k: from-a-manifest}}}}
---
apiVersion: v1
kind: Namespace
metadata: {{name: {objects.namespace}b}}
"""
    objects.write({"name": "g", "token": "yaml/v2:ConfigGroup", "inputs": {"yaml": text}})
    done = objects.stack.up()
    space = objects.namespace
    made = [change.name for change in done.changes if change.name.startswith("g:")]
    assert sorted(made) == sorted([f"g:{space}b", f"g:{space}b/one", f"g:{space}/two"])
    assert made.index(f"g:{space}b") < made.index(f"g:{space}b/one")
    state = (objects.stack.state_dir / "state.json").read_text()
    assert "from-a-manifest" not in state
    assert base64.b64encode(b"from-a-manifest").decode() not in state
    assert objects.stack.up().counts["same"] == 5
    objects.stack.destroy()
    assert objects.names("secrets") == []


