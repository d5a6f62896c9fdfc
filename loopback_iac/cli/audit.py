"""`loopback audit log`: who changed what when, from a chain that holds."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from loopback_iac.cli.running import Json  # noqa: TC001  # Typer reads it as it runs

if TYPE_CHECKING:
    from collections.abc import Sequence

CHAIN = Path("evidence")
WIDE = 200
"""Columns where no terminal says how many it has."""


def register(app: typer.Typer) -> None:
    """Add `audit` to `app`."""
    verbs = typer.Typer(help="What was changed, by whom.", no_args_is_help=True)
    verbs.callback()(_verbs)
    verbs.command("log")(log)
    app.add_typer(verbs, name="audit")


def _verbs() -> None:
    """So that `log` stays a word of its own while it is the only one."""


def log(
    *,
    chain: Annotated[Path, typer.Option("--chain", help="The folder of the chain.")] = CHAIN,
    of: Annotated[str, typer.Option("--of", help="Only resources whose URN has this in it.")] = "",
    as_json: Json = False,
) -> None:
    """Print who changed what when; exit 1 when the chain does not hold."""
    from loopback_iac.cli import chain as chains  # noqa: PLC0415 - loads slowly
    from loopback_iac.evidence.log import filter_rows, log_rows  # noqa: PLC0415 - as above

    rows = log_rows(chains.need_chain(chain, chains.now_utc()).manifests)
    rows = filter_rows(rows, of) if of else rows
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    else:
        print_log(rows, Console(width=None if sys.stdout.isatty() else WIDE))


def print_log(rows: Sequence[dict[str, Any]], console: Console) -> None:
    """Print one line per update, the newest last."""
    from loopback_iac.evidence.log import changes_text, who_text  # noqa: PLC0415 - as above

    table = Table("when (UTC)", "who", "commit", "what", "why", "recorded by", box=None)
    for row in rows:
        dirty = f" + {row['dirty_paths']} uncommitted" if row["dirty_paths"] else ""
        why = "; ".join(filter(None, (row["reason"], row["change"], row["subject"])))
        cells = (
            row["made"].replace("T", " ").removesuffix("Z"),
            who_text(row),
            f"{row['commit'][:10]}{dirty}" if row["commit"] else "unknown",
            changes_text(row),
            why,
            row["signer"],
        )
        table.add_row(*map(Text, cells))
    console.print(table)
