"""From PoPs as a hoster delivers them to a fleet that serves, and how much of it is packages."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from bench.standing import standing


def main() -> None:
    """Print the table."""
    table = Table("seconds of the first `up`, two PoPs and two workers", "")
    for topology, what in (("bare", "PoPs without any package"), ("demo", "packages there")):
        with standing(topology) as fleet:
            took_s, _ = fleet.loopback("up", "--yes")
            answer = fleet.lab.exec("c-fra", ["curl", "-sk", "-m5", "https://203.0.113.10/"])
        if '"pop": "fra1"' not in answer.stdout:
            raise SystemExit(f"the fleet does not serve: {answer.stdout}{answer.stderr}")
        table.add_row(what, f"{took_s:.1f}")
    Console(width=100).print(table)
