"""The stand-in under the engine: unmodified SDK, plugin process, API server, all of it real."""

from __future__ import annotations

import base64
import signal
import tarfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from loopback_iac.engine import adopt, up
from loopback_iac.engine.errors import StateError
from tests.cluster.test_standin import config_map
from tests.engine.test_kills import start, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopback_iac.engine import Options, Result
    from loopback_iac.lab.cluster.control import ControlPlane
    from tests.cluster.api import Api
    from tests.engine.conftest import Stack

HERE = Path(__file__).parent
PLUGIN = HERE.parents[1] / "loopback_iac" / "lab" / "plugins" / "kubernetes"
WORD = "a-word-that-is-secret"


@dataclass
class Program:
    """A program that declares the objects of its configuration."""

    stack: Stack
    settings: dict[str, str]

    def write(self, *rows: dict[str, Any], **settings: Any) -> None:
        kubeconfig = self.settings["kubeconfig"]
        self.stack.write(
            [],
            secrets={"kubeconfig": kubeconfig, "word": WORD},
            objects=list(rows),
            settings={"namespace": self.settings["namespace"], **settings},
        )

    def fail(self, verb: Callable[[Options], Result] = up) -> str:
        """Run a verb that has to fail; out: what it said."""
        result = self.stack.run(verb)
        assert not result.ok
        return "\n".join(item.message for item in result.diagnostics)

    def read_state(self) -> str:
        """All that is on disk of the stack, its configuration left out."""
        files = [path for path in self.stack.state_dir.rglob("*") if path.is_file()]
        return "\n".join(path.read_text() for path in files)


@pytest.fixture
def program(stack: Stack, settings: dict[str, str]) -> Program:
    stack.write_project(
        main=str(HERE / "programs" / "objects"),
        plugins={"providers": [{"name": "kubernetes", "path": str(PLUGIN)}]},
    )
    return Program(stack, settings)


def row(name: str, token: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "token": token, **fields}


def a_map(name: str, **data: str) -> dict[str, Any]:
    return row(name, "core/v1:ConfigMap", manifest=config_map(name, **data))


def test_objects_live_and_secrets_are_in_no_file(program: Program, api: Api) -> None:
    hidden = row("hidden", "core/v1:Secret", manifest={"metadata": {"name": "hidden"}})
    hidden["secret"] = "string_data"
    unmarked = {"metadata": {"name": "unmarked"}, "string_data": {"k": "not-marked-word"}}
    rows = [hidden, row("unmarked", "core/v1:Secret", manifest=unmarked)]
    rows += [row("free", "core/v1:ConfigMap", manifest={"data": {"a": "1"}}), a_map("kept", a="1")]
    program.write(*rows)
    program.stack.up()
    free, kept = api.names("configmaps")
    assert (free[:5], kept) == ("free-", "kept")
    coded = base64.b64encode(WORD.encode()).decode()
    assert api.get("secrets", "hidden")["data"] == {"it": coded}
    words = [WORD, coded, "not-marked-word", base64.b64encode(b"not-marked-word").decode()]
    words += [line for line in program.settings["kubeconfig"].splitlines() if "key-data" in line]
    assert len(words) == 5
    state = program.read_state()
    assert not [word for word in words if word.strip() in state]
    rows[2]["manifest"]["data"] = {"a": "2"}
    rows[3]["manifest"]["data"] = {"a": "2"}
    program.write(*rows)
    done = program.stack.up()
    assert done.counts == {"replace": 2, "delete": 2, "same": 3}
    notes = {change.name: change.note for change in done.changes if change.op == "replace"}
    assert notes == {"free": "", "kept": "delete first"}  # who has a name of ours gives it up first
    assert free not in api.names("configmaps")
    said = str([done.render_json(), program.read_state()])
    assert not [word for word in words if word.strip() in said]
    program.stack.destroy()
    assert api.names("configmaps") == api.names("secrets") == []


def test_an_api_server_that_dies_in_the_middle_costs_nothing(
    program: Program, api: Api, plane: ControlPlane
) -> None:
    waits = a_map("waits")
    waits["on"] = ["before"]
    waits["manifest"]["metadata"]["annotations"] = {
        "pulumi.com/waitFor": "jsonpath={.data.ready}=yes",
        "pulumi.com/timeoutSeconds": "8",
    }
    after = a_map("after")
    after["on"] = ["waits"]
    program.write(a_map("before"), waits, after)
    texts: list[str] = []
    run = threading.Thread(target=lambda: texts.append(program.fail()))
    run.start()
    until = time.monotonic() + 120
    while "waits" not in api.names("configmaps"):
        assert time.monotonic() < until
        time.sleep(0.1)
    plane.kill("kube-apiserver")
    run.join()
    assert "failed to fully initialize or become live: timed out waiting for the" in texts[0]
    rows = program.stack.rows()
    assert sorted(rows) == ["before", "cluster", "waits"]  # what was made is known
    assert rows["waits"]["id"] == f"{api.namespace}/waits"
    assert "timed out" in str(rows["waits"]["initErrors"])
    assert "configured Kubernetes cluster is unreachable" in program.fail()
    plane.start("kube-apiserver")
    plane.await_ready()
    api.set("configmaps", "waits", "/data", {"ready": "yes"})
    done = program.stack.up()
    assert done.counts == {"create": 1, "update": 1, "same": 2}
    assert api.names("configmaps") == ["after", "before", "waits"]
    assert "initErrors" not in program.stack.rows()["waits"]


def test_an_engine_that_dies_or_is_interrupted_loses_nothing(program: Program, api: Api) -> None:
    """A Service replaces when its address is taken from it: adopting one must not."""
    waits = {"pulumi.com/waitFor": "jsonpath={.metadata.labels.ready}=yes"}
    spec = {"ports": [{"port": 80}], "selector": {"app": "none"}}
    about = {"name": "waits", "annotations": waits}
    program.write(row("waits", "core/v1:Service", manifest={"metadata": about, "spec": spec}))
    engine = start(program.stack)
    wait_for(lambda: api.names("services") == ["waits"], 120)
    engine.kill()
    engine.communicate()
    text = "nobody saw the outcome"
    with pytest.raises(StateError, match=text) as refused:
        program.stack.run(up)
    urn = "urn:pulumi:dev::t::kubernetes:core/v1:Service::waits"
    assert urn in str(refused.value)
    adopt(program.stack.options, urn, f"{api.namespace}/waits")
    uid = api.get("services", "waits")["metadata"]["uid"]
    engine = start(program.stack)
    wait_for(lambda: "Apply" in str(api.get("services", "waits")["metadata"]["managedFields"]), 120)
    engine.send_signal(signal.SIGINT)
    said = "".join(engine.communicate(timeout=120))
    assert engine.returncode == 1
    assert "context canceled" in said
    assert "pending_operations" not in program.stack.deployment()
    assert "context canceled" in str(program.stack.rows()["waits"]["initErrors"])
    with api.meanwhile("services", "waits", "/metadata/labels", {"ready": "yes"}):
        assert program.stack.up().counts == {"update": 1, "same": 1}
    assert program.stack.up().counts == {"same": 2}
    assert api.get("services", "waits")["metadata"]["uid"] == uid


def test_manifests_and_charts_become_objects_that_wait_for_what_they_need(
    program: Program, api: Api, tmp_path: Path
) -> None:
    space = api.namespace
    text = f"""
apiVersion: v1
kind: List
items:
- {{apiVersion: v1, kind: ConfigMap, metadata: {{name: one, namespace: {space}b}}}}
- {{apiVersion: v1, kind: Secret, metadata: {{name: two}}, stringData: {{k: from-a-manifest}}}}
---
apiVersion: v1
kind: Namespace
metadata: {{name: {space}b}}
"""
    group = row("g", "yaml/v2:ConfigGroup", inputs={"yaml": text})
    chart = row("c", "helm.sh/v4:Chart", inputs={"chart": str(write_chart(tmp_path)), "values": {}})
    chart["inputs"]["values"] = {"word": "from-a-chart", "team": "edge"}
    program.write(group, chart)
    done = program.stack.up()
    made = [change.name for change in done.changes if ":" in change.name]
    wanted = [
        f"g:{space}b",
        f"g:{space}b/one",
        f"g:{space}/two",
        f"c:{space}/c",
        f"c:{space}/hidden",
    ]
    assert sorted(made) == sorted(wanted)
    assert made.index(f"g:{space}b") < made.index(f"g:{space}b/one")
    there = api.get("configmaps", "c")
    assert there["data"] == {"team": "edge", "version": "v1.36.3", "apps": "true"}
    state = program.read_state()
    for word in ("from-a-manifest", "from-a-chart"):
        assert word not in state
        assert base64.b64encode(word.encode()).decode() not in state
    assert program.stack.up().counts == {"same": 8}
    chart["inputs"]["values"]["team"] = "core"
    program.write(group, chart)
    assert program.stack.up().counts == {"replace": 1, "delete": 1, "same": 7}
    chart["inputs"]["values"]["fail"] = "yes"
    program.write(group, chart)
    assert "helm template" in (said := program.fail())
    assert "told to fail" in said
    program.stack.destroy()
    # what the chart keeps, stays
    assert api.names("secrets") == ["hidden"]


def write_chart(folder: Path) -> Path:
    """A chart in a .tgz: an object, a secret that is kept, a hook."""
    files = {
        "Chart.yaml": "{apiVersion: v2, name: demo, version: 1.2.3}",
        "templates/map.yaml": """
{{ if .Values.fail }}{{ fail "told to fail" }}{{ end }}
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data:
  team: {{ .Values.team }}
  version: {{ .Capabilities.KubeVersion.Version }}
  apps: {{ .Capabilities.APIVersions.Has "apps/v1/Deployment" | quote }}
""",
        "templates/secret.yaml": """
apiVersion: v1
kind: Secret
metadata: {name: hidden, annotations: {helm.sh/resource-policy: keep}}
stringData: {word: {{ .Values.word }}}
""",
        "templates/hook.yaml": """
apiVersion: v1
kind: ConfigMap
metadata: {name: hook, annotations: {helm.sh/hook: pre-install}}
""",
    }
    for name, text in files.items():
        path = folder / "demo" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with tarfile.open(folder / "demo-1.2.3.tgz", "w:gz") as archive:
        archive.add(folder / "demo", "demo")
    return folder / "demo-1.2.3.tgz"
