"""The demonstration's own fleet under its own pack, planned without a host."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from typer.testing import CliRunner

from loopback_iac.cli import app
from loopback_iac.controls import load_controls
from loopback_iac.lab.stackconfig import render_facts
from loopback_iac.lab.topology import MACHINES, demo

ROOT = Path(__file__).parents[2]
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


OF_HOSTS = ("LOG-02", "TIM-01", "PAT-02")
CERTIFICATE = (ROOT / "components/HostBaseline/python/ca.pem").read_text()


def baseline() -> dict:
    """Sinks and sources of time as an operator configures them."""

    def sink(number: int, provider: str) -> dict:
        return {
            "address": f"192.0.2.{number}",
            "port": 6514,
            "provider": provider,
            "ca_certificate": CERTIFICATE,
            "kept_days": 180,
            "unalterable_by": "object lock",
        }

    operators = {11: "PTB", 12: "PTB", 13: "Netnod", 14: "Netnod"}
    return {
        "logs": {"sinks": {"near": sink(61, "hetzner"), "far": sink(62, "ionos")}},
        "time": {
            "servers": {
                f"t{number}": {"address": f"nts{number}.example.net", "operator": operator}
                for number, operator in operators.items()
            }
        },
    }


@pytest.fixture
def stack(tmp_path):
    """stacks/edge with what `loopback lab up` writes for the demo, secrets in clear."""
    topology = demo()
    public = KEY.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    pair = SimpleNamespace(public=public)
    names = [host.name for host in topology.having(*MACHINES)]
    keys = SimpleNamespace(
        operator=pair,
        host_keys=dict.fromkeys(names, pair),
        machine_ids={name: f"id-{name}" for name in names},
    )
    facts = render_facts(topology, keys)
    facts |= {f"md5-{pop}": "no secret of anybody" for pop in facts["pops"]}
    facts["sshPrivateKey"] = KEY.private_bytes(
        Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
    ).decode()
    shutil.copy(ROOT / "stacks/edge/__main__.py", tmp_path)
    project = yaml.safe_load((ROOT / "stacks/edge/Pulumi.yaml").read_text())
    del project["runtime"]["options"]["virtualenv"]
    (tmp_path / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    config = {f"{project['name']}:{name}": value for name, value in facts.items()}
    (tmp_path / "Pulumi.demo.yaml").write_text(yaml.safe_dump({"config": config}))
    return tmp_path


def planned(stack: Path) -> list[dict]:
    """What the pack says of the plan."""
    done = CliRunner().invoke(
        app,
        [
            *("plan", "--json", "-C", str(stack), "--stack", "demo"),
            *("--state-dir", str(stack), "--policy-pack", str(ROOT / "policies")),
        ],
    )
    assert done.exit_code == 0, done.output
    found: list[dict] = json.loads(done.stdout)["violations"]
    return found


def test_the_demo_is_refused_nothing_and_told_what_a_lab_of_one_supplier_is_told(stack):
    found = planned(stack)
    assert {(each["policy"], each["level"]) for each in found} == {
        ("no-documentation-addresses", "advisory"),
        ("pops-of-several-providers", "advisory"),
        ("no-service-falls-with-one-provider", "advisory"),
        ("controls-told", "advisory"),
    }
    told = [each["message"] for each in found if each["policy"] == "controls-told"]
    (people,) = (text for text in told if "left to people" in text)
    assert all(control in people for control in ("SUP-01", *OF_HOSTS))
    assert "no secret of anybody" not in "".join(each["message"] for each in found)


def test_with_a_baseline_the_demo_passes_what_is_asked_of_its_hosts(stack):
    """No control of logs, time and updates fails, waits, or is left to people any more."""
    config = stack / "Pulumi.demo.yaml"
    document = yaml.safe_load(config.read_text())
    (project,) = {key.partition(":")[0] for key in document["config"]}
    document["config"][f"{project}:baseline"] = baseline()
    config.write_text(yaml.safe_dump(document))
    found = planned(stack)
    told = "".join(each["message"] for each in found if each["policy"] == "controls-told")
    assert "SUP-01" in told
    assert [control for control in OF_HOSTS if control in told] == []
    names = {load_controls()[control].name for control in OF_HOSTS}
    assert names & {each["policy"] for each in found} == set()


def test_one_sink_or_one_operator_of_time_is_refused_before_anything_is_declared(stack):
    config = stack / "Pulumi.demo.yaml"
    document = yaml.safe_load(config.read_text())
    (project,) = {key.partition(":")[0] for key in document["config"]}
    lacking = baseline()
    del lacking["logs"]["sinks"]["far"], lacking["time"]["servers"]["t13"]
    del lacking["time"]["servers"]["t14"]
    document["config"][f"{project}:baseline"] = lacking
    config.write_text(yaml.safe_dump(document))
    words = ["plan", "-C", str(stack), "--stack", "demo", "--state-dir", str(stack)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code != 0
    assert "baseline.logs.sinks: 1 sink at hetzner; expected sinks at two providers" in done.output
    assert "baseline.time.servers: all of PTB; expected servers of two operators" in done.output
