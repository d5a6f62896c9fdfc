"""The stand-in for pulumi-kubernetes before a real API server, called as the engine calls it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from loopback_iac.engine.answers import PartialError
from loopback_iac.engine.errors import StepError
from loopback_iac.engine.values import UNKNOWN, Secret
from tests.cluster.api import definition
from tests.cluster.plugin import Plugin, plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cluster.api import Api

MAP = "core/v1:ConfigMap"


def config_map(name: str = "", **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name} if name else {}, "data": data}


def fails(call: Callable[[], object], kind: type[StepError] = StepError) -> str:
    with pytest.raises(kind) as told:
        call()
    return str(told.value)


def test_a_name_that_nobody_gave_is_made_once_and_kept(plugin: Plugin, api: Api) -> None:
    thing = plugin.create("free", MAP, config_map(a="1"))
    (name,) = api.names("configmaps")
    assert name.startswith("free-")
    assert thing.ident == f"{api.namespace}/{name}"
    assert thing.inputs["metadata"]["annotations"] == {"pulumi.com/autonamed": "true"}
    assert plugin.diff(thing, config_map(a="1")) == ({}, False)
    # the data of a ConfigMap replaces it; with a name of its own the new one can come first
    assert plugin.diff(thing, config_map(a="2")) == ({"data.a": "UPDATE_REPLACE"}, False)
    named = plugin.create("named", MAP, config_map("named", a="1"))
    assert plugin.diff(named, config_map("named", a="2"))[1]
    assert plugin.diff(named, config_map("other", a="1")) == (
        {"metadata.name": "UPDATE_REPLACE"},
        False,
    )


def test_an_update_owns_what_the_creation_wrote(plugin: Plugin, api: Api) -> None:
    news = config_map("mine", a="1")
    news["metadata"]["labels"] = {"team": "edge", "old": "yes"}
    thing = plugin.create("mine", MAP, news)
    news["metadata"]["labels"] = {"team": "core"}
    parts = {"metadata.labels.team": "UPDATE", "metadata.labels.old": "DELETE"}
    assert plugin.diff(thing, news) == (parts, False)
    plugin.update(thing, news)
    there = api.get("configmaps", "mine")["metadata"]
    assert there["labels"] == {"team": "core"}  # what is not asked for any more goes
    manager = thing.state["__fieldManager"]
    owners = [(row["manager"], row["operation"]) for row in there["managedFields"]]
    assert owners == [(manager, "Apply")]
    assert plugin.diff(thing, news) == ({}, False)


def test_what_exists_already_is_refused_unless_it_is_to_be_taken_over(
    plugin: Plugin, api: Api, settings: dict[str, str]
) -> None:
    api.make("configmaps", config_map("there", a="theirs"))
    text = fails(lambda: plugin.create("there", MAP, config_map("there", a="ours")))
    assert 'was not successfully created by the Kubernetes API server: configmaps "there"' in text
    assert "set upsertExistingObjects on the provider" in text
    assert plugin.preview("there", MAP, config_map("there", a="ours"))["data"] == {"a": "ours"}
    assert api.get("configmaps", "there")["data"] == {"a": "theirs"}
    taking = Plugin(**settings, upsertExistingObjects="true")
    text = fails(lambda: taking.create("there", MAP, config_map("there", a="ours")))
    assert 'conflict with "theirs"' in text
    forced = config_map("there", a="ours")
    forced["metadata"]["annotations"] = {"pulumi.com/patchForce": "true"}
    taking.create("there", MAP, forced)
    assert api.get("configmaps", "there")["data"] == {"a": "ours"}
    taking.close()


def test_a_conflict_names_the_other_manager_and_the_field(plugin: Plugin, api: Api) -> None:
    news = config_map("shared")
    news["metadata"]["labels"] = {"team": "edge"}
    thing = plugin.create("shared", MAP, news)
    api.apply("configmaps", "shared", {"metadata": {"labels": {"team": "theirs"}}}, "them")
    news["metadata"]["labels"] = {"team": "core"}
    text = fails(lambda: plugin.update(thing, news), PartialError)
    assert "server-side apply field conflict detected" in text
    assert 'conflict with "them"' in text
    assert ".metadata.labels.team" in text
    # what the program ignores is left to who owns it
    plugin.update(thing, news, ignored=("metadata.labels.team",))
    assert api.get("configmaps", "shared")["metadata"]["labels"] == {"team": "theirs"}
    news["metadata"]["annotations"] = {"pulumi.com/patchForce": "true"}
    plugin.update(thing, news)
    assert api.get("configmaps", "shared")["metadata"]["labels"] == {"team": "core"}


def test_a_refresh_shows_drift_of_what_the_program_says_and_no_other(
    plugin: Plugin, api: Api
) -> None:
    news = config_map("drifting", a="1")
    news["metadata"]["labels"] = {"team": "edge"}
    thing = plugin.create("drifting", MAP, news)
    there = {"metadata": {"labels": {"team": "drifted", "more": "label"}}}
    api.apply("configmaps", "drifting", there, "them")
    assert plugin.read(thing)
    assert thing.inputs["metadata"]["labels"] == {"team": "drifted"}
    assert thing.state["metadata"]["labels"] == {"team": "drifted", "more": "label"}
    assert plugin.diff(thing, news) == ({"metadata.labels.team": "UPDATE"}, False)
    api.delete("configmaps", "drifting")
    assert not plugin.read(thing)
    plugin.delete(thing)  # what is gone is gone


def test_what_is_looked_up_comes_with_what_can_be_set(plugin: Plugin, api: Api) -> None:
    api.make("configmaps", config_map("theirs", a="1"))
    thing = plugin.create("mine", MAP, config_map("mine"))
    thing.ident, thing.inputs, thing.state = f"{api.namespace}/theirs", {}, {}
    assert plugin.read(thing)
    assert thing.inputs["data"] == {"a": "1"}
    assert "uid" not in thing.inputs["metadata"]
    thing.ident = f"{api.namespace}/nobody"
    assert not plugin.read(thing)


def test_what_a_secret_holds_is_marked_whoever_wrote_it(plugin: Plugin, api: Api) -> None:
    thing = plugin.create(
        "s", "core/v1:Secret", {"metadata": {"name": "s"}, "stringData": {"word": "hush"}}
    )
    coded = {"word": "aHVzaA=="}
    assert api.get("secrets", "s")["data"] == coded
    for values in (thing.inputs, thing.state, thing.state["__inputs"]):
        assert values["data"] == Secret(coded)
    assert plugin.read(thing)
    assert thing.state["data"] == Secret(coded)
    assert "hush" not in repr(thing)
    same = {"metadata": {"name": "s"}, "stringData": {"word": "hush"}}
    assert plugin.diff(thing, same) == ({}, False)
    same["stringData"] = {"word": "other"}
    assert plugin.diff(thing, same) == ({"data.word": "UPDATE_REPLACE"}, True)


def test_a_secret_of_the_programs_stays_one_anywhere(plugin: Plugin, api: Api) -> None:
    news = config_map("open")
    news["data"] = {"word": Secret("hush"), "plain": "seen"}
    thing = plugin.create("open", MAP, news)
    assert api.get("configmaps", "open")["data"] == {"word": "hush", "plain": "seen"}
    for values in (thing.state, thing.state["__inputs"]):
        assert values["data"] == {"word": Secret("hush"), "plain": "seen"}


def test_a_finalizer_keeps_an_object_until_somebody_takes_it_off(plugin: Plugin, api: Api) -> None:
    news = config_map("held")
    news["metadata"]["finalizers"] = ["example.com/wait"]
    thing = plugin.create("held", MAP, news)
    text = fails(lambda: plugin.delete(thing, timeout=0.5), PartialError)
    assert text == "timed out waiting for the condition"
    assert "finalizers might be preventing deletion (example.com/wait)" in plugin.said
    with api.meanwhile("configmaps", "held", "/metadata/finalizers", []):
        plugin.delete(thing)
    assert api.names("configmaps") == []


def test_an_object_waits_for_its_definition_and_goes_with_it(plugin: Plugin, api: Api) -> None:
    group, token = f"{api.namespace}.example.com", f"{api.namespace}.example.com/v1:Thing"
    news: dict[str, Any] = {"metadata": {"name": "one"}, "spec": {"size": 1}}
    assert plain(plugin.preview("one", token, news))["spec"] == {"size": 1}
    late = threading.Timer(1.5, api.define, (group, "Thing"))
    late.start()
    thing = plugin.create("one", token, news)
    late.join()
    assert f'no matches for kind "Thing" in version "{group}/v1"' in "\n".join(plugin.said)
    assert plugin.diff(thing, {**news, "spec": {"size": 2}}) == ({"spec.size": "UPDATE"}, False)
    plugin.update(thing, {**news, "spec": {"size": 2}})
    assert api.get(f"/apis/{group}/v1/things", "one")["spec"] == {"size": 2}
    api.undefine(group, "Thing")
    deadline = time.monotonic() + 60
    while plugin.read(thing):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    plugin.delete(thing)


def test_a_definition_is_put_and_says_what_is_in_no_namespace(plugin: Plugin, api: Api) -> None:
    group = f"c{api.namespace}.example.com"
    made = definition(group, "Wide", "Cluster")
    kind = "apiextensions.k8s.io/v1:CustomResourceDefinition"
    crd = plugin.create("crd", kind, {"metadata": made["metadata"], "spec": made["spec"]})
    # known from the program alone, before the API server was asked
    thing = plugin.create("wide", f"{group}/v1:Wide", {"metadata": {"name": "wide"}})
    assert thing.ident == "wide"
    assert "namespace" not in thing.inputs["metadata"]
    made["spec"]["names"]["shortNames"] = ["wd"]
    changed = {"metadata": made["metadata"], "spec": made["spec"]}
    assert plugin.diff(crd, changed)[0] == {"spec.names.shortNames": "ADD"}
    plugin.update(crd, changed)
    assert crd.state["spec"]["names"]["shortNames"] == ["wd"]
    assert plugin.diff(crd, changed) == ({}, False)
    plugin.delete(thing)
    plugin.delete(crd)


def test_without_a_definition_an_object_is_refused_by_name(plugin: Plugin) -> None:
    def give_up() -> None:
        plugin.create("lost", "none.example.com/v1:Lost", {"metadata": {"name": "lost"}})

    hurried = threading.Timer(2, plugin.cancel)  # the retries take half a minute
    hurried.start()
    text = fails(give_up)
    hurried.join()
    assert "Verify that any required CRDs have been created" in text
    assert 'no matches for kind "Lost" in version "none.example.com/v1"' in text


@pytest.mark.parametrize(
    ("limit", "problem"),
    [({"cpu": "many"}, "quantities must match"), ({"cpu": "2000m"}, "")],
)
def test_a_preview_asks_the_api_server_and_changes_nothing(
    plugin: Plugin, api: Api, limit: dict[str, str], problem: str
) -> None:
    news = deployment("seen")
    news["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": limit}
    if problem:
        assert problem in fails(lambda: plugin.preview("seen", "apps/v1:Deployment", news))
    else:
        seen = plugin.preview("seen", "apps/v1:Deployment", news)
        assert seen["spec"]["replicas"] == 1  # the API server's default
        assert "status" not in seen
    assert api.names("deployments") == []
    news["metadata"]["namespace"] = "not-there-yet"
    news["metadata"]["labels"] = {"later": UNKNOWN}
    assert plugin.preview("seen", "apps/v1:Deployment", news)["metadata"]["labels"] == {
        "later": UNKNOWN
    }


def deployment(name: str, **annotations: str) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "c", "image": "none", "resources": {"limits": {"cpu": "1000m"}}}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def test_ways_to_write_one_value_do_not_differ(plugin: Plugin) -> None:
    news = deployment("same", **{"pulumi.com/skipAwait": "true"})
    news["spec"]["template"]["spec"] |= {"nodeSelector": {}, "hostNetwork": False}
    thing = plugin.create("same", "apps/v1:Deployment", news)
    assert plugin.diff(thing, news) == ({}, False)
    assert plugin.read(thing)
    assert plugin.diff(thing, news) == ({}, False)
    news["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    news["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    parts, first = plugin.diff(thing, news)
    assert parts["spec.selector.matchLabels.app"] == "UPDATE_REPLACE"
    assert parts["spec.template.metadata.labels.app"] == "UPDATE"
    assert first


def test_a_patch_takes_fields_and_gives_them_back(plugin: Plugin, api: Api) -> None:
    api.make("configmaps", config_map("theirs", a="1"))
    news: dict[str, Any] = {"metadata": {"name": "theirs", "labels": {"team": "edge"}}}
    thing = plugin.create("p", "core/v1:ConfigMapPatch", news)
    assert api.get("configmaps", "theirs")["metadata"]["labels"] == {"team": "edge"}
    plugin.delete(thing)
    left = api.get("configmaps", "theirs")
    assert "labels" not in left["metadata"]
    assert left["data"] == {"a": "1"}
    text = fails(lambda: plugin.create("p", "core/v1:ConfigMapPatch", {"metadata": {}}))
    assert text == "patch resources require the `.metadata.name` field to be set"


@pytest.mark.parametrize(
    ("token", "text"),
    [
        ("helm.sh/v3:Release", "does not have kubernetes:helm.sh/v3:Release"),
        ("kustomize/v2:Directory", "does not have kubernetes:kustomize/v2:Directory"),
        ("core/v1:ReplicationController", "does not have v1 ReplicationController"),
    ],
)
def test_what_is_not_mirrored_is_refused_by_name(plugin: Plugin, token: str, text: str) -> None:
    assert text in fails(lambda: plugin.create("x", token, {"metadata": {"name": "x"}}))


def test_a_cluster_out_of_reach_is_told_when_something_is_to_be_done(
    plugin: Plugin, settings: dict[str, str]
) -> None:
    thing = plugin.create("far", MAP, config_map("far", a="1"))
    away = {**settings, "kubeconfig": settings["kubeconfig"].replace("127.0.0.1:", "127.0.0.2:")}
    cut = Plugin(**away)
    assert plain(cut.preview("new", MAP, config_map("new", a="1")))["data"] == {"a": "1"}
    assert cut.diff(thing, config_map("far", a="1")) == ({}, False)
    text = fails(lambda: cut.create("new", MAP, config_map("new")))
    assert "configured Kubernetes cluster is unreachable: unable to load schema" in text
    assert "connection refused" in text
    assert "PULUMI_K8S_DELETE_UNREACHABLE" in fails(lambda: cut.read(thing))
    assert "PULUMI_K8S_DELETE_UNREACHABLE" in fails(lambda: cut.delete(thing))
    cut.close()
    forgetting = Plugin(**away, deleteUnreachable="true")
    forgetting.delete(thing)
    assert not forgetting.read(thing)
    forgetting.close()
    for words in ("apiVersion: [", "no-such-file", "just: a map"):
        broken = Plugin(**{**settings, "kubeconfig": words})
        assert "configured Kubernetes cluster is unreachable" in fails(
            lambda: broken.create("new", MAP, config_map("new"))  # noqa: B023  # called here
        )
        broken.close()
