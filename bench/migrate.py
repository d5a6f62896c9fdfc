"""An exit under load: every worker from own metal to Hetzner to IONOS and back.

60 long requests at any moment, each of ten seconds, and 500 new connections a second.

This machine is paused by its host now and then, for up to 180 ms, and every host of the lab with
it; with the timers of a PoP on metal (BFD 50 ms x 3, checks every 20 ms) sessions and workers then
fall that nobody broke. So the fleet may be given timers that a pause fits into, as docs/limits.md
asks of PoPs on virtual machines: what fails then is not the pause's.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from bench.standing import ROOT, standing
from loopback_iac.lab.drill.causes import count_outcomes, failed_by_cause, tell_unexplained
from loopback_iac.lab.drill.drills import DRILLS
from loopback_iac.lab.drill.ground import FAMILIES, Ground, Pace
from loopback_iac.lab.drill.moves import ROUND, stage_exit
from loopback_iac.lab.drill.patience import PatientExit, be_patient
from loopback_iac.lab.drill.runner import await_ready, judge_runs, run_once

if TYPE_CHECKING:
    from loopback_iac.lab.drill.runner import Run

METAL_TIMERS, PATIENT_TIMERS = 0, 1
TOLD = {
    METAL_TIMERS: "BFD 50 ms x 3, workers checked every 20 ms",
    PATIENT_TIMERS: "BFD 300 ms x 3, workers checked every 100 ms",
}


def main(rate: int = 500, timers: int = PATIENT_TIMERS, tries: int = 1, long: int = 60) -> None:
    """Print one run: the first in which the machine did not stand still, or the last of `tries`."""
    pace, drill = Pace(rate=rate, streams=long // len(FAMILIES)), DRILLS["migration"]
    with standing("demo") as fleet:
        if timers == PATIENT_TIMERS:
            be_patient(fleet.lab.paths)
            drill = replace(drill, stage=partial(stage_exit, ROUND, kind=PatientExit))
        _, done = fleet.run(["loopback", "up", "-C", str(ROOT), "--yes"])
        if done.returncode:
            raise SystemExit(done.stderr)
        ground = Ground(fleet.lab, "c-fra")
        for number in range(1, tries + 1):
            print(f"migration, try {number}", file=sys.stderr)
            await_ready(ground)
            run = run_once(ground, drill, pace)
            if not run.spoiled:
                break
    print_run(run, f"{rate} connections/s, {long} long requests, {TOLD[timers]}")


def print_run(run: Run, conditions: str) -> None:
    """What clients noticed and why, what each step took, what had to hold."""
    console = Console(width=150)
    console.print(f"{conditions}, load average {run.load_average[0]:.1f}")
    console.print(_noticed(run))
    for cause, failed in failed_by_cause(run).items():
        console.print(f"failed while {cause}: {len(failed)} ({count_outcomes(failed)})")
    for told in list(tell_unexplained(run))[:20]:
        console.print(f"  {told}", markup=False)
    for what, told in run.evidence.notes.items():
        console.print(f"{what}: {told or 'none'}", markup=False)
    pauses = Counter(min(p.lasted_ns // 10**6 // 20 * 20, 200) for p in run.pauses)
    console.print(f"pauses of a core, by ms: {dict(sorted(pauses.items())) or 'none'}")
    falls = run.evidence.falls
    console.print(f"fell: workers {dict(falls.workers)}, BFD {list(falls.bfd)}", markup=False)
    late = run.evidence.figures.late_p99_ms
    console.print(f"generator late by {late:.1f} ms (p99); {run.spoiled or 'the machine ran on'}")
    for verdict in judge_runs(DRILLS["migration"], [run]):
        word = "held" if verdict.held else f"BROKEN: {verdict.broken[1]}"
        console.print(f"{verdict.says}: {word}", markup=False)


def _noticed(run: Run) -> Table:
    table = Table("", *(f"IPv{family}" for family in FAMILIES), box=None)
    figures = [run.evidence.figures.families[family] for family in FAMILIES]
    phases = [(f.before, f.in_flight, f.during, f.after) for f in figures]
    table.add_row("new connections", *(str(sum(p.attempts for p in ps)) for ps in phases))
    table.add_row("failed", *(str(sum(p.failed for p in ps)) for ps in phases))
    table.add_row("saved by a retransmission", *(str(sum(p.retried for p in ps)) for ps in phases))
    table.add_row("later than 25 ms", *(str(sum(p.slow for p in ps)) for ps in phases))
    table.add_row("long requests", *(str(dict(f.streams)) for f in figures))
    return table
