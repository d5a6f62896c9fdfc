"""`loopback drill NAME`: break something of the lab under load, measure, keep the record."""

from __future__ import annotations

import datetime as dt
import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from loopback_iac.lab.drill.drills import Drill

TALK = Console(stderr=True, highlight=False)
FIGURE_WORDS = {
    "recovery_ms": "recovery, ms",
    "proved_ms": "first proof of another PoP, ms",
    "last_hit_ms": "last hit was due at, ms",
    "failed_during": "new connections failed",
    "failed_in_flight": ".. in flight at the fault",
    "failed_after": ".. while it returned",
    "failed_moving": ".. of all these, as the path moved",
    "retried": "saved by a retransmission",
    "slow": "slower than 25 ms",
    "streams_lost": "long-lived connections lost",
    "stream_gap_ms": ".. longest silence of one that lived, ms",
    "median_ms_before": "median answer before, ms",
}


def register(app: typer.Typer) -> None:
    """Add `drill` to `app`."""
    app.command("drill")(drill)


def drill(
    name: Annotated[str, typer.Argument(help="silent-pop or drain")],
    *,
    runs: Annotated[int, typer.Option(min=1, max=50, help="how often")] = 1,
    rate: Annotated[int, typer.Option(min=20, max=2000, help="new connections a second")] = 250,
    streams: Annotated[int, typer.Option(min=0, max=100, help="long-lived, per family")] = 10,
    client: Annotated[
        str, typer.Option(help="who asks; its PoP is the one that is lost")
    ] = "c-fra",
    lab: Annotated[
        str, typer.Option("--name", envvar="LOOPBACK_LAB", help="name of the lab")
    ] = "lab",
    out: Annotated[Path | None, typer.Option(help="directory for the record")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the record")] = False,
) -> None:
    """Break something on purpose while clients connect; say what they noticed."""
    from loopback_iac.lab.drill.drills import DRILLS  # noqa: PLC0415 - other verbs need no lab
    from loopback_iac.lab.drill.measure import (  # noqa: PLC0415 - as above
        MeasurementRefusedError,
    )
    from loopback_iac.lab.paths import LabError  # noqa: PLC0415 - as above

    found = DRILLS.get(name)
    if found is None:
        TALK.print(f"drill: got {name!r}; there are {', '.join(DRILLS)}")
        raise typer.Exit(2)
    signal.signal(signal.SIGTERM, _interrupt)  # so that the fault is undone as for Ctrl-C
    begun = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    place = out or Path("out/drills") / f"{begun}-{name}"
    try:
        record = _rehearse(found, lab, client, (runs, rate, streams), place)
    except (LabError, MeasurementRefusedError) as cause:
        TALK.print(f"drill {name}: {cause}", markup=False)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps(record, indent=2, sort_keys=True))
    else:
        print_record(record, Console())
    TALK.print(f"record: {place}/record.json, pictures beside it", markup=False)
    raise typer.Exit(0 if record["held"] else 1)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _rehearse(
    found: Drill, lab: str, client: str, amounts: tuple[int, int, int], place: Path
) -> dict[str, Any]:
    from loopback_iac.lab.drill.ground import Ground, Pace  # noqa: PLC0415 - as above
    from loopback_iac.lab.drill.record import (  # noqa: PLC0415 - as above
        describe_conditions,
        record_drill,
    )
    from loopback_iac.lab.drill.runner import rehearse  # noqa: PLC0415 - as above
    from loopback_iac.lab.instance import open_lab  # noqa: PLC0415 - as above
    from loopback_iac.lab.topology import Role  # noqa: PLC0415 - as above

    runs, rate, streams = amounts
    running = open_lab(lab)
    clients = [host.name for host in running.topology.having(Role.CLIENT)]
    if client not in clients:
        TALK.print(f"--client: got {client!r}; there are {', '.join(clients)}", markup=False)
        raise typer.Exit(2)
    ground = Ground(running, client)
    pace = Pace(rate=rate, streams=streams)
    with TALK.status(f"drill {found.name}") as status:
        done = rehearse(ground, found, pace, runs, status.update)
        status.update("writing the record")
        return record_drill(found, describe_conditions(ground, pace), done, place)


def print_record(record: dict[str, Any], console: Console) -> None:
    """Print what was measured, and what had to hold."""
    conditions, runs = record["conditions"], record["runs"]
    console.print(
        f"[bold]{record['drill']}[/bold]: {record['what']} (lost: {record['lost']}, asked from"
        f" {conditions['client']}), {len(runs)} x {conditions['load']['rate']} connections/s"
    )
    table = Table(
        "least / median / most", *(f"IPv{family}" for family in record["summary"]), box=None
    )
    for figure, words in FIGURE_WORDS.items():
        table.add_row(words, *(_spread(record["summary"][f][figure]) for f in record["summary"]))
    for words, key in (("route moved away, ms", "route_left_ms"),
                       ("route back after the repair, ms", "route_back_ms")):  # fmt: skip
        table.add_row(words, *(_several([r[key][f] for r in runs]) for f in record["summary"]))
    console.print(table)
    _print_conditions(record, console)
    for verdict in record["must_hold"]:
        mark = "[green]held  [/green]" if verdict["held"] else "[red]BROKEN[/red]"
        console.print(f"{mark} {verdict['says']}")
        for number, why in verdict["broken"].items():
            console.print(f"       run {number}: {why}", markup=False)


def _print_conditions(record: dict[str, Any], console: Console) -> None:
    conditions = record["conditions"]
    bfd = ", ".join(
        sorted({f"{s['interval_s'] * 1000:.0f} ms, gone after {s['timeout_s'] * 1000:.0f} ms"
                for s in conditions["bfd"]})
    )  # fmt: skip
    console.print(f"expected: {record['expects']}", markup=False)
    console.print(
        f"measured over {conditions['tunnel']}, {conditions['cores']} cores, BFD every"
        f" {bfd or '-'}, load average"
        f" {_several([r['load_average'][0] for r in record['runs']])}",
        markup=False,
    )
    late = [r["generator"] for r in record["runs"] if not r["generator"]["punctual"]]
    if late:
        console.print(
            f"the load generator fell behind in {len(late)} runs (p99 up to"
            f" {max(g['late_p99_ms'] for g in late):.0f} ms): this machine was too busy for the"
            " figures to be the network's alone"
        )
    for aside in record["set_aside"]:
        console.print(f"set aside and repeated: {aside['why']}", markup=False)


def _several(values: list[float | None]) -> str:
    from loopback_iac.lab.drill.measure import spread  # noqa: PLC0415 - as above
    from loopback_iac.lab.drill.record import render_spread  # noqa: PLC0415 - as above

    return render_spread(spread(values))


def _spread(tree: dict[str, Any]) -> str:
    from loopback_iac.lab.drill.measure import Spread  # noqa: PLC0415 - as above
    from loopback_iac.lab.drill.record import render_spread  # noqa: PLC0415 - as above

    return render_spread(Spread(**tree))
