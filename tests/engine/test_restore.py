"""What a backup has to hold: stack file, passphrase and state bring a fleet back under control."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from loopback_iac.engine import EngineError, Options, plan, up
from tests.engine.edge import EXAMPLE, PASSPHRASE, make_secrets, render_config, write_project

if TYPE_CHECKING:
    from pathlib import Path

SECRETS = make_secrets()
SERVERS = {"hel-server", "txl-server"}


def write_stack(folder: Path, secrets: dict[str, str]) -> None:
    """The example, its ordered machines free to be replaced."""
    machines = {n: dict(m) for n, m in EXAMPLE["loopback-edge:machines"].items()}
    for name in ("hel", "txl"):
        machines[name]["protection"] = False
    config = {**EXAMPLE, "loopback-edge:machines": machines}
    (folder / "Pulumi.prod.yaml").write_text(render_config(config, secrets))


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stack file and state of an applied fleet, as a backup has them."""
    folder = tmp_path_factory.mktemp("applied")
    write_stack(folder, SECRETS)
    write_project(folder)
    result = up(options(folder))
    assert result.ok, result.diagnostics
    return folder


def options(folder: Path, passphrase: str = PASSPHRASE) -> Options:
    return Options(
        directory=folder, stack="prod", state_dir=folder / "state", passphrase=passphrase
    )


def restored(backup: Path, folder: Path) -> Path:
    """Another workstation with what the backup held and nothing else."""
    write_project(folder)
    shutil.copy(backup / "Pulumi.prod.yaml", folder)
    (folder / "state").mkdir()
    shutil.copy(backup / "state" / "state.json", folder / "state")
    return folder


def test_from_a_backup_nothing_is_left_to_do(backup: Path, tmp_path: Path) -> None:
    result = plan(options(restored(backup, tmp_path)))
    assert result.ok, result.diagnostics
    assert result.counts.keys() == {"same"}


def test_another_passphrase_opens_nothing_and_changes_nothing(backup: Path, tmp_path: Path) -> None:
    folder = restored(backup, tmp_path)
    with pytest.raises(EngineError, match="incorrect passphrase"):
        up(options(folder, "another one"))
    state = (folder / "state" / "state.json").read_bytes()
    assert state == (backup / "state" / "state.json").read_bytes()


def test_another_fleet_secret_would_replace_every_ordered_machine(
    backup: Path, tmp_path: Path
) -> None:
    folder = restored(backup, tmp_path)
    lost = "made anew because the old one was lost"
    write_stack(folder, {**SECRETS, "loopback-edge:fleetSecret": lost})
    result = plan(options(folder))
    assert result.ok, result.diagnostics
    replaced = {change.name for change in result.changes if change.op == "replace"}
    assert replaced >= SERVERS
    metal = [c for c in result.changes if c.name in {"fra1", "par1", "rack"}]
    assert {change.op for change in metal} == {"same"}
