"""`loopback plan|up|destroy|output|state`: run a Pulumi program with the embedded engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer


def register(app: typer.Typer) -> None:
    """Add the stack verbs to `app`."""
    del app
