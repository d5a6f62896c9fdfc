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
from loopback_iac.lab.stackconfig import render_facts
from loopback_iac.lab.topology import MACHINES, demo

ROOT = Path(__file__).parents[2]
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


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


def test_the_demo_is_refused_nothing_and_told_what_a_lab_of_one_supplier_is_told(stack):
    done = CliRunner().invoke(
        app,
        [
            *("plan", "--json", "-C", str(stack), "--stack", "demo"),
            *("--state-dir", str(stack), "--policy-pack", str(ROOT / "policies")),
        ],
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["violations"]
    assert {(each["policy"], each["level"]) for each in found} == {
        ("no-documentation-addresses", "advisory"),
        ("pops-of-several-providers", "advisory"),
        ("no-service-falls-with-one-provider", "advisory"),
        ("controls-told", "advisory"),
    }
    told = [each["message"] for each in found if each["policy"] == "controls-told"]
    assert any("left to people" in text and "SUP-01" in text for text in told)
    assert "no secret of anybody" not in "".join(each["message"] for each in found)
