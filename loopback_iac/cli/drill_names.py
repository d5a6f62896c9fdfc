"""Drills of names for `loopback drill`: performed in namespaces of this machine, without a lab."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from rich.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rich.console import Console

    from loopback_iac.lab.names.story import NameDrill

WORDS = {
    "asked": "asked",
    "secure": "valid",
    "insecure": "not",
    "bogus": "bogus",
    "failed": "error",
    "silent": "silent",
    "late": "> 1 s",
}


def rehearse_names(
    drill: NameDrill, runs: int, rate: int, place: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """Perform one drill so often, each time on a hierarchy of its own; keep the record.

    Raises: LabError when something does not come that the drill waits for.
    """
    from loopback_iac.lab.drill.metronome import Metronome  # noqa: PLC0415 - other verbs need none
    from loopback_iac.lab.names.performing import perform, stage  # noqa: PLC0415 - as above
    from loopback_iac.lab.names.record import (  # noqa: PLC0415 - as above
        Performance,
        describe_machine,
        record_names,
    )

    done: list[Performance] = []
    conditions: dict[str, Any] = {}
    while len(done) < runs:
        count = f"run {len(done) + 1} of {runs}"
        say(f"{count}: starting name servers and all around them")
        with stage(drill) as ground:
            conditions = describe_machine(ground, rate)
            say(f"{count}: {drill.what}")
            with Metronome() as metronome:
                story = perform(ground, drill, rate)
        done.append(Performance(story, metronome.pauses, os.getloadavg()))
    say("writing the record")
    return record_names(drill, conditions, done, place)


def print_names(record: dict[str, Any], console: Console) -> None:
    """Print what was measured, and what had to hold."""
    conditions, runs = record["conditions"], record["runs"]
    console.print(
        f"[bold]{record['drill']}[/bold]: {record['what']} (lost: {record['lost'] or 'nobody'}),"
        f" {len(runs)} x {conditions['rate']} questions/s"
    )
    for number, run in enumerate(runs, 1):
        _print_run(run, f"run {number} of {len(runs)}", console)
    console.print(f"expected: {record['expects']}", markup=False)
    versions = ", ".join(f"{name} {version}" for name, version in conditions["versions"].items())
    averages = " / ".join(f"{run['load_average'][0]:.1f}" for run in runs)
    console.print(
        f"measured on {conditions['cores']} cores, load average {averages}; {versions}",
        markup=False,
    )
    for verdict in record["must_hold"]:
        if verdict["held"]:
            console.print(f"[green]held  [/green] {verdict['says']}")
    print_broken_names(record, console)


def _print_run(run: dict[str, Any], title: str, console: Console) -> None:
    table = Table(Column(title, no_wrap=True), *WORDS.values(), "ms", "95 %", box=None)
    for who, phases in run["asked"].items():
        for phase, counts in phases.items():
            if counts["asked"]:
                figures = [f"{counts[kind]:,}" for kind in WORDS]
                times = [f"{counts['median_ms'] or 0:.1f}", f"{counts['p95_ms'] or 0:.1f}"]
                table.add_row(f"{who}, {phase}", *figures, *times)
    console.print(table)
    for event in run["events"]:
        console.print(f"{event['at_s']:7.2f} s  {event['said']}", markup=False)
    if found := run["found"]:
        named = f": {', '.join(found['named'][:4])}" if found["named"] else ""
        console.print(
            f"found by the comparer {found['after_s']:.1f} s after the fault"
            f" ({', '.join(found['rules'])}){named}",
            markup=False,
        )


def print_broken_names(record: dict[str, Any], console: Console) -> None:
    """Print what did not hold, and why."""
    for verdict in record["must_hold"]:
        if not verdict["held"]:
            console.print(f"[red]BROKEN[/red] {verdict['says']}")
        for number, why in verdict["broken"].items():
            console.print(f"       run {number}: {why}", markup=False)


def print_names_summary(records: Sequence[dict[str, Any]], console: Console) -> None:
    """Print one line per drill."""
    table = Table(Column("drill", no_wrap=True), *WORDS.values(), "found, s", "", box=None)
    for record in records:
        counts, found = record["summary"]["asked"], record["summary"]["found_after_s"]
        table.add_row(
            record["drill"],
            *(f"{counts[kind]:,}" for kind in WORDS),
            " / ".join(f"{value:.1f}" for value in found) if found else "-",
            "[green]held[/green]" if record["held"] else "[red]BROKEN[/red]",
        )
    console.print(table)
