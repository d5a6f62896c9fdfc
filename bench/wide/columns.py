"""Figures of fleets of several sizes, side by side."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

SIZES = (5, 10, 25, 50)
Figures = dict[str, Any]


def print_sizes(columns: dict[int, Figures], runs: int) -> None:
    """In: by number of PoPs, the medians of so many runs."""
    table = Table(f"median of {runs}", *(f"{count} PoPs" for count in columns))
    for what in next(iter(columns.values())):
        table.add_row(what, *(str(figures[what]) for figures in columns.values()))
    Console(width=110).print(table)
