"""stacks/cluster, planned from its example without account, token, plugin, cluster or CLI."""

from __future__ import annotations

import shutil
from pathlib import Path

from loopback_iac.engine import Options, Result, plan

CLUSTER = Path(__file__).parents[2] / "stacks/cluster"
POLICY = "kubernetes:cilium.io/v2:CiliumEgressGatewayPolicy"


def planned(folder: Path, state: Path) -> Result:
    config = CLUSTER / "Pulumi.example.yaml"
    return plan(Options(directory=folder, stack="example", config_file=config, state_dir=state))


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
    folder = tmp_path / "cluster"
    shutil.copytree(CLUSTER, folder)
    project = (folder / "Pulumi.yaml").read_text()
    (folder / "Pulumi.yaml").write_text(
        project.replace("../../.venv", str(CLUSTER / "../../.venv"))
    )
    file = folder / "egress.yaml"
    text = file.read_text().replace("partners: [203.0.113.130]", "partners: [203.0.113.99]")
    file.write_text(text.replace("default_deny: everything", "default_deny: all"))
    result = planned(folder, tmp_path / "state")
    assert not result.ok
    said = "".join(entry.message for entry in result.diagnostics)
    assert "address-not-owned" in said
    assert "policies.reports-out.default_deny" in said
