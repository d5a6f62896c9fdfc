"""A release takes over what the one before it left behind: nothing is replaced or deleted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from loopback_iac.engine import Options, plan
from tests.engine.edge import PASSPHRASE, write_project

if TYPE_CHECKING:
    from loopback_iac.engine import Result

RELEASES = sorted(path.parent for path in (Path(__file__).parent / "released").glob("*/state.json"))


def planned(release: Path, folder: Path, **hel: Any) -> Result:
    """What this release would do to a state of another one; `hel`: what differs of that server."""
    write_project(folder)
    (folder / "state").mkdir()
    shutil.copy(release / "state.json", folder / "state")
    stack = yaml.safe_load((release / "Pulumi.prod.yaml").read_text())
    stack["config"]["loopback-edge:machines"]["hel"] |= hel
    (folder / "Pulumi.prod.yaml").write_text(yaml.safe_dump(stack))
    return plan(
        Options(directory=folder, stack="prod", state_dir=folder / "state", passphrase=PASSPHRASE)
    )


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_an_upgrade_replaces_and_deletes_nothing(release: Path, tmp_path: Path) -> None:
    result = planned(release, tmp_path)
    assert result.ok, result.diagnostics
    assert set(result.counts) <= {"same", "update"}
    # the agent and every bundle are others: each host is converged, in place
    hosts = ("fra1", "par1", "hel", "txl", "rack")
    updated = {change.name for change in result.changes if change.op == "update"}
    assert updated >= {f"edge-{host}-{verb}" for host in hosts for verb in ("enroll", "apply")}
    ordered = {"hel-server", "hel-ipv4", "hel-firewall", "txl-server", "txl-ipv4", "deploy"}
    assert {change.name for change in result.changes if change.op == "same"} >= ordered


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_a_change_that_replaces_is_seen_against_that_state(release: Path, tmp_path: Path) -> None:
    protected = planned(release, tmp_path, host_key_epoch=2)
    assert not protected.ok
    assert "hel-server" in str(protected.diagnostics)
    assert "protect" in str(protected.diagnostics)
