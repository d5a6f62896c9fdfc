"""stacks/cluster, planned from its example without account, token, plugin, cluster or CLI."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from loopback_iac.engine import Options, Result, plan, up

CLUSTER = Path(__file__).parents[2] / "stacks/cluster"
POLICY = "kubernetes:cilium.io/v2:CiliumEgressGatewayPolicy"


EDGE = """\
import pulumi
pulumi.export("pools", {"web": pulumi.Config().require_object("edge")})
"""


def planned(folder: Path, state: Path | None, config: Path | None = None) -> Result:
    config = config or CLUSTER / "Pulumi.example.yaml"
    return plan(Options(directory=folder, stack="example", config_file=config, state_dir=state))


def copied(to: Path) -> Path:
    folder = to / "cluster"
    shutil.copytree(CLUSTER, folder)
    project = (folder / "Pulumi.yaml").read_text()
    venv = str(CLUSTER / "../../.venv")
    (folder / "Pulumi.yaml").write_text(project.replace("../../.venv", venv))
    return folder


def test_the_example_plans_as_it_stands(tmp_path):
    result = planned(CLUSTER, tmp_path)
    assert result.ok, result.diagnostics
    kinds = {c.type.rpartition(":")[2] for c in result.changes if c.type.startswith("loopback-iac")}
    assert kinds >= {
        "IngressController",
        "CertificateIssuer",
        "EgressGateway",
        "EgressIpPool",
        "EgressPolicy",
    }
    commands = {c.name for c in result.changes if c.type == "command:remote:Command"}
    hosts, steps = ("out1", "out2"), ("enroll", "apply", "confirm")
    assert commands == {f"gateways-{h}-{s}" for h in hosts for s in steps}
    policies = [c.name for c in result.changes if c.type == POLICY]
    assert len(policies) == 2
    secrets = ("gatewayCredential", "kubeconfig", "sshPrivateKey")
    assert set(result.deferred_config) == {f"loopback-cluster:{name}" for name in secrets}


def test_a_wrong_egress_file_is_refused_whole_before_anything(tmp_path):
    folder = copied(tmp_path)
    file = folder / "egress.yaml"
    text = file.read_text().replace("partners: [203.0.113.130]", "partners: [203.0.113.99]")
    file.write_text(text.replace("default_deny: everything", "default_deny: all"))
    result = planned(folder, tmp_path / "state")
    assert not result.ok
    said = "".join(entry.message for entry in result.diagnostics)
    assert "address-not-owned" in said
    assert "policies.reports-out.default_deny" in said


@pytest.mark.parametrize(
    ("key", "value", "path"),
    [
        ("gateways", {"groups": {"partner": {"announced": "routed"}}}, "groups.partner.addresses"),
        ("orders", {"partner": {"orders": {"first": {"location": "fsn1"}}}}, "kind: is missing"),
        ("issuer", {"http01": {"wait_s": -1}}, "http01.wait_s"),
    ],
)
def test_nothing_in_the_configuration_goes_unread(tmp_path, key, value, path):
    example = yaml.safe_load((CLUSTER / "Pulumi.example.yaml").read_text())
    held = example["config"].setdefault(f"loopback-cluster:{key}", {})
    held.update(value)
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(example))
    result = planned(CLUSTER, tmp_path / "state", config)
    assert not result.ok
    assert path in "".join(entry.message for entry in result.diagnostics)


def test_what_the_edge_says_comes_from_its_own_stack(tmp_path):
    """A stack next to this one, whose output is all that is read of it."""
    example = yaml.safe_load((CLUSTER / "Pulumi.example.yaml").read_text())["config"]
    edge = tmp_path / "edge"
    edge.mkdir()
    (edge / "Pulumi.yaml").write_text("name: loopback-edge\nruntime: python\n")
    (edge / "__main__.py").write_text(EDGE)
    told = {"loopback-edge:edge": example.pop("loopback-cluster:edge")}
    (edge / "Pulumi.prod.yaml").write_text(yaml.safe_dump({"config": told}))
    made = up(Options(directory=edge, stack="prod", passphrase="of this test"))
    assert made.ok, made.diagnostics
    config = tmp_path / "config.yaml"
    example["loopback-cluster:edgeStack"] = "organization/loopback-edge/prod"
    config.write_text(yaml.safe_dump({"config": example}))
    result = planned(copied(tmp_path), None, config)
    assert result.ok, result.diagnostics
    trusted = [
        str(part.new)
        for change in result.changes
        for part in change.properties
        if "trustedIPs" in str(part.new)
    ]
    assert trusted
    assert "10.88.16.4" in "".join(trusted)
