"""`loopback lab`: the whole fleet on one machine."""

from __future__ import annotations

import typer

app = typer.Typer(help="The whole fleet on one machine.", no_args_is_help=True)
