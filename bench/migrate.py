"""An exit under load: every worker from own metal to Hetzner to IONOS and back.

100 new connections a second and 60 long requests at any moment, each of ten seconds. More of them,
beside the `up`s and the boots of a move, is more than two cores carry; with 500 a second the
machine is measured and not the fleet. A run in which the machine itself stood still is told as
such: BFD then ends sessions that nobody broke.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from bench.standing import ROOT, standing
from loopback_iac.lab.drill.drills import DRILLS
from loopback_iac.lab.drill.ground import FAMILIES, Ground, Pace
from loopback_iac.lab.drill.runner import await_ready, judge_runs, run_once

if TYPE_CHECKING:
    from loopback_iac.lab.drill.runner import Run

DRILL = DRILLS["migration"]


def main(rate: int = 100, long_requests: int = 60, tries: int = 2) -> None:
    """Print one run: the first in which the machine did not stand still, or the last of `tries`."""
    pace = Pace(rate=rate, streams=long_requests // len(FAMILIES))
    with standing("demo") as fleet:
        _, done = fleet.run(["loopback", "up", "-C", str(ROOT), "--yes"])
        if done.returncode:
            raise SystemExit(done.stderr)
        ground = Ground(fleet.lab, "c-fra")
        for number in range(1, tries + 1):
            print(f"migration, try {number}", file=sys.stderr)
            await_ready(ground)
            run = run_once(ground, DRILL, pace)
            if not run.spoiled:
                break
    print_run(run, f"{rate} connections/s, {long_requests} long requests")


def print_run(run: Run, conditions: str) -> None:
    """What clients noticed, what each step took, what had to hold."""
    console = Console(width=150)
    table = Table("", *(f"IPv{family}" for family in FAMILIES), box=None)
    figures = [run.evidence.figures.families[family] for family in FAMILIES]
    phases = [(f.before, f.in_flight, f.during, f.after) for f in figures]
    table.add_row("new connections", *(str(sum(p.attempts for p in ps)) for ps in phases))
    table.add_row("failed", *(str(sum(p.failed for p in ps)) for ps in phases))
    table.add_row("saved by a retransmission", *(str(sum(p.retried for p in ps)) for ps in phases))
    table.add_row("later than 25 ms", *(str(sum(p.slow for p in ps)) for ps in phases))
    table.add_row("long requests", *(str(dict(f.streams)) for f in figures))
    console.print(f"{conditions}, load average {run.load_average[0]:.1f}")
    console.print(table)
    for what, told in run.evidence.notes.items():
        console.print(f"{what}: {told or 'none'}", markup=False)
    late = run.evidence.figures.late_p99_ms
    console.print(f"generator late by {late:.1f} ms (p99); {run.spoiled or 'the machine ran on'}")
    for verdict in judge_runs(DRILL, [run]):
        word = "held" if verdict.held else f"BROKEN: {verdict.broken[1]}"
        console.print(f"{verdict.says}: {word}", markup=False)
