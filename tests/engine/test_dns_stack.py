"""stacks/dns, planned from its example without account, token, plugin or CLI."""

from __future__ import annotations

import shutil
from pathlib import Path

from loopback_iac.engine import Options, Result, plan

DNS = Path(__file__).parents[2] / "stacks/dns"


def planned(folder: Path, state: Path) -> Result:
    config = DNS / "Pulumi.example.yaml"
    return plan(Options(directory=folder, stack="example", config_file=config, state_dir=state))


def test_the_example_plans_as_it_stands(tmp_path):
    result = planned(DNS, tmp_path)
    assert result.ok, result.diagnostics
    commands = {c.name for c in result.changes if c.type == "command:remote:Command"}
    hosts = ("primary", "fra1", "par1")
    assert commands == {f"dns-{h}-{s}" for h in hosts for s in ("enroll", "apply", "confirm")}
    secrets = {"loopback-dns:sshPrivateKey", "loopback-dns:transferSecret"}
    assert set(result.deferred_config) == secrets


def test_a_wrong_record_is_refused_by_file_and_line(tmp_path):
    folder = tmp_path / "dns"
    shutil.copytree(DNS, folder)
    project = (folder / "Pulumi.yaml").read_text()
    (folder / "Pulumi.yaml").write_text(project.replace("../../.venv", str(DNS / "../../.venv")))
    zone = folder / "zones/example.net.zone"
    zone.write_text(zone.read_text() + "new A 203.0.113.300\n")
    result = planned(folder, tmp_path / "state")
    assert not result.ok
    said = "".join(entry.message for entry in result.diagnostics)
    assert "203.0.113.300" in said
    assert "example.net.:12" in said
