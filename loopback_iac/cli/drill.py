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

from loopback_iac.cli.drill_names import (
    print_broken_names,
    print_names,
    print_names_summary,
    rehearse_names,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loopback_iac.lab.drill.drill import Drill
    from loopback_iac.lab.names.story import NameDrill

TALK = Console(stderr=True, highlight=False)
FIGURE_WORDS = {
    "recovery_ms": "recovery, ms",
    "proved_ms": "first proof of another PoP, ms",
    "last_hit_ms": "last hit was due at, ms",
    "last_slow_ms": "last hit or slow was due at, ms",
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
    names: Annotated[
        list[str] | None, typer.Argument(help="which, in this order; `all` for every one")
    ] = None,
    *,
    runs: Annotated[int, typer.Option(min=1, max=50, help="how often each")] = 1,
    rate: Annotated[int, typer.Option(min=20, max=2000, help="new connections a second")] = 250,
    questions: Annotated[
        int, typer.Option(min=10, max=500, help="a second, of drills of names")
    ] = 60,
    streams: Annotated[int, typer.Option(min=0, max=100, help="long-lived, per family")] = 10,
    client: Annotated[
        str, typer.Option(help="who asks; its PoP is the one that is hurt")
    ] = "c-fra",
    lab: Annotated[
        str, typer.Option("--name", envvar="LOOPBACK_LAB", help="name of the lab")
    ] = "lab",
    out: Annotated[
        Path | None, typer.Option(help="directory for the record; of several, one below it each")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the record")] = False,
) -> None:
    """Break something on purpose while clients connect; say what they noticed. No name: list."""
    from loopback_iac.lab.drill.drills import DRILLS  # noqa: PLC0415 - other verbs need no lab
    from loopback_iac.lab.names.drills import DRILLS as OF_NAMES  # noqa: PLC0415 - as above

    every: dict[str, Drill | NameDrill] = {**DRILLS, **OF_NAMES}
    if not names:
        print_drills(every, Console())
        return
    if unknown := [name for name in names if name not in (*every, "all")]:
        TALK.print(f"drill: got {', '.join(map(repr, unknown))}; there are {', '.join(every)}, all")
        raise typer.Exit(2)
    wanted = list(every) if "all" in names else list(dict.fromkeys(names))
    signal.signal(signal.SIGTERM, _interrupt)  # so that the fault is undone as for Ctrl-C
    records = []
    for name in wanted:
        begun = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
        place = out or Path("out/drills") / f"{begun}-{name}"
        if out and len(wanted) > 1:
            place = out / name
        if name in OF_NAMES:
            records.append(_kept_names(OF_NAMES[name], runs, questions, place))
        else:
            records.append(_kept(DRILLS[name], lab, client, (runs, rate, streams), place))
        if not as_json and len(wanted) > 1:
            _print_one(records[-1])
        TALK.print(f"record: {place}/record.json, pictures beside it", markup=False, soft_wrap=True)
    if as_json:
        for record in records:
            (print_broken_names if _of_names(record) else _print_broken)(record, TALK)
        typer.echo(json.dumps(records if len(wanted) > 1 else records[0], indent=2, sort_keys=True))
    elif len(wanted) > 1:
        _print_all(records)
    else:
        _print_one(records[0])
    raise typer.Exit(0 if all(record["held"] for record in records) else 1)


def _of_names(record: dict[str, Any]) -> bool:
    return record.get("kind") == "names"


def _print_one(record: dict[str, Any]) -> None:
    (print_names if _of_names(record) else print_record)(record, Console())


def _print_all(records: Sequence[dict[str, Any]]) -> None:
    """The families of the edge's drills have other columns than questions."""
    of_names = [record for record in records if _of_names(record)]
    if of_edge := [record for record in records if not _of_names(record)]:
        print_summary(of_edge, Console())
    if of_names:
        print_names_summary(of_names, Console())


def _kept_names(found: NameDrill, runs: int, rate: int, place: Path) -> dict[str, Any]:
    from loopback_iac.lab.paths import LabError  # noqa: PLC0415 - as above

    try:
        with TALK.status(f"drill {found.name}") as status:
            return rehearse_names(found, runs, rate, place, status.update)
    except LabError as cause:
        TALK.print(f"drill {found.name}: {cause}", markup=False)
        raise typer.Exit(1) from None


def _kept(
    found: Drill, lab: str, client: str, amounts: tuple[int, int, int], place: Path
) -> dict[str, Any]:
    from loopback_iac.lab.drill.measure import (  # noqa: PLC0415 - other verbs need no lab
        MeasurementRefusedError,
    )
    from loopback_iac.lab.paths import LabError  # noqa: PLC0415 - as above

    try:
        return _rehearse(found, lab, client, amounts, place)
    except (LabError, MeasurementRefusedError) as cause:
        TALK.print(f"drill {found.name}: {cause}", markup=False)
        raise typer.Exit(1) from None


def print_drills(drills: Mapping[str, Drill | NameDrill], console: Console) -> None:
    """Print which drills there are and what each does."""
    table = Table("drill", "what is done", box=None)
    for found in drills.values():
        table.add_row(found.name, found.what)
    console.print(table)


def print_summary(records: Sequence[dict[str, Any]], console: Console) -> None:
    """Print one line per drill, the families side by side."""
    columns = {
        "recovery, ms": "recovery_ms",
        "last slow, ms": "last_slow_ms",
        "failed": "failed_during",
        "resent": "retried",
        "streams lost": "streams_lost",
    }
    table = Table("least / median / most", *columns, "", box=None)
    for record in records:
        for family, figures in record["summary"].items():
            table.add_row(
                f"{record['drill']} IPv{family}",
                *(_spread(figures[figure]) for figure in columns.values()),
                "[green]held[/green]" if record["held"] else "[red]BROKEN[/red]",
            )
    console.print(table)


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
    rate = conditions["load"]["rate"]
    console.print(
        f"[bold]{record['drill']}[/bold]: {record['what']} (lost: {record['lost'] or 'nobody'},"
        f" asked from {conditions['client']}), {len(runs)} x {rate} connections/s"
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
        if verdict["held"]:
            console.print(f"[green]held  [/green] {verdict['says']}")
    _print_broken(record, console)


def _print_broken(record: dict[str, Any], console: Console) -> None:
    broken: dict[str, None] = {}
    for verdict in record["must_hold"]:
        if not verdict["held"]:
            console.print(f"[red]BROKEN[/red] {verdict['says']}")
        for number, why in verdict["broken"].items():
            console.print(f"       run {number}: {why}", markup=False)
            broken[number] = None
    for number in broken:
        run = record["runs"][int(number) - 1]
        falls = [f"worker {name} went DOWN {n} times" for name, n in run["falls"]["workers"].items()
                 if n]  # fmt: skip
        falls += [f"BFD {name} fell" for name in run["falls"]["bfd"]]
        falls += [f"core {p['core']} of this machine was paused for {p['lasted_ns'] / 1e6:.0f} ms"
                  for p in run["machine_pauses"]]  # fmt: skip
        if falls:
            console.print(f"       meanwhile in run {number}: {', '.join(falls)}", markup=False)
    cores = record["conditions"]["cores"]
    if broken and all(record["runs"][int(n) - 1]["load_average"][0] > cores for n in broken):
        console.print(
            f"this machine had more to do than its {cores} cores can: that alone can end sessions"
            " with such timers. Let it come to rest (`uptime`), and see whether it breaks again"
        )


def _print_conditions(record: dict[str, Any], console: Console) -> None:
    conditions = record["conditions"]
    bfd = ", ".join(
        sorted({f"{s['interval_s'] * 1000:.0f} ms, gone after {s['timeout_s'] * 1000:.0f} ms"
                for run in record["runs"]
                for s in run["bfd_before"]})
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
