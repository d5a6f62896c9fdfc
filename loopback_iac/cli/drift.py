"""`loopback drift`: what every host serves against what the state says was applied to it."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from loopback_iac.cli.access import AccessError, KeyFile, read_expected, read_identity
from loopback_iac.cli.running import (
    HERE,
    STACK,
    ConfigFile,
    Directory,
    Json,
    StackName,
    StateDir,
    guarded,
    make_options,
    refuse,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from loopback_iac.engine import Options
    from loopback_iac.remote.drift import Difference
    from loopback_iac.remote.ssh import Expected

DEADLINE_S = 20.0
Deadline = Annotated[
    float, typer.Option(min=1, max=600, help="Seconds in which a host has to answer.")
]


def register(app: typer.Typer) -> None:
    """Add `drift` to `app`."""
    app.command("drift")(drift)


def drift(
    *,
    cwd: Directory = HERE,
    stack: StackName = STACK,
    state_dir: StateDir = None,
    config_file: ConfigFile = None,
    identity: KeyFile = None,
    deadline: Deadline = DEADLINE_S,
    as_json: Json = False,
) -> None:
    """Ask every host what it serves; exit 1 when anything differs from what was applied."""
    options = make_options(cwd, stack, state_dir, config_file=config_file)
    expected, found = guarded(lambda: _compare(options, identity, deadline))
    if as_json:
        tree = {
            "hosts": [host.host for host in expected],
            "differences": [dataclasses.asdict(each) for each in found],
        }
        typer.echo(json.dumps(tree, indent=2))
    else:
        print_differences(expected, found, Console())
    raise typer.Exit(1 if found else 0)


def _compare(
    options: Options, file: Path | None, deadline_s: float
) -> tuple[list[Expected], list[Difference]]:
    from loopback_iac.remote.drift import check_drift  # noqa: PLC0415 - SSH loads slowly
    from loopback_iac.remote.report import probe_reports  # noqa: PLC0415 - as above
    from loopback_iac.remote.ssh import IdentityError  # noqa: PLC0415 - as above

    try:
        expected = read_expected(options)
        reports = probe_reports(expected, read_identity(options, file), deadline_s)
    except (AccessError, IdentityError) as cause:
        refuse(f"drift: {cause}", 2)
    return expected, check_drift(expected, reports)


def print_differences(
    expected: Sequence[Expected], found: Sequence[Difference], console: Console
) -> None:
    """Print a table, or one line when nothing differs."""
    if not found:
        console.print(f"{len(expected)} hosts serve what was applied to them")
        return
    table = Table("host", "rule", "got", "need", "fix", box=None, pad_edge=False)
    for each in found:
        table.add_row(each.host, each.rule, each.got, each.need, each.fix)
    console.print(table)
    drifted = len({each.host for each in found})
    console.print(f"{len(found)} differences on {drifted} of {len(expected)} hosts")
