"""`loopback dns check` and `loopback dns ds-gate`: zones as their servers have them."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from loopback_iac.cli.dns import ZoneFile, ZoneName, app, read_zone
from loopback_iac.cli.dns_words import read_ds, read_server
from loopback_iac.cli.running import STDERR, Json, refuse

if TYPE_CHECKING:
    from loopback_iac.dns.served import Finding, Report
    from loopback_iac.remote.dns_transfer import Tsig

Servers = Annotated[
    list[str],
    typer.Option(
        "--server", help="NAME[/POP]=ADDRESS[:PORT]; POP is the NSID it should have; repeatable."
    ),
]
Parent = Annotated[
    str | None, typer.Option("--parent", help="ADDRESS[:PORT] of a server of the parent zone.")
]
TsigFile = Annotated[
    str | None,
    typer.Option("--tsig-file", help="One line [ALGORITHM:]NAME:SECRET, as kdig; - for stdin."),
]
Way = Annotated[
    str, typer.Option("--by", help="all, queries, or transfer: how records are looked at.")
]
Ds = Annotated[
    list[str] | None,
    typer.Option("--ds", help="TAG ALGORITHM TYPE DIGEST, trusted; repeatable."),
]
Signed = Annotated[
    bool | None,
    typer.Option("--signed/--unsigned", help="Whether the zone is to be signed; else as seen."),
]
Earlier = Annotated[
    list[Path] | None,
    typer.Option("--earlier", help="A zone file that was declared before; repeatable."),
]
Updated = Annotated[
    list[str] | None,
    typer.Option("--updated", help="A type that dynamic updates bring; repeatable."),
]
TextFile = Annotated[
    Path | None, typer.Option("--textfile", help="Write metrics for Prometheus there.")
]
Timeout = Annotated[float, typer.Option("--timeout-s", min=0.1, max=60, help="For one answer.")]


@app.command("check")
def check_servers(
    file: ZoneFile,
    *,
    server: Servers,
    zone: ZoneName = None,
    parent: Parent = None,
    tsig_file: TsigFile = None,
    by: Way = "all",
    ds: Ds = None,
    signed: Signed = None,
    earlier: Earlier = None,
    updated: Updated = None,
    textfile: TextFile = None,
    timeout_s: Timeout = 2.0,
    as_json: Json = False,
) -> None:
    """Hold every server's zone to the declared one; exit 3 on any difference."""
    from loopback_iac.dns.served import Expected, check_served  # noqa: PLC0415  # loads slowly
    from loopback_iac.dns.served.texts import render_metrics, report_tree  # noqa: PLC0415  # as above
    from loopback_iac.remote.dns_ask import Limits  # noqa: PLC0415  # as above
    from loopback_iac.remote.dns_look import DIFFERENT  # noqa: PLC0415  # as above
    from loopback_iac.remote.dns_served import WAYS, Probe, probe_zone  # noqa: PLC0415  # as above

    if by not in WAYS:
        refuse(f"--by {by}: got {by!r}, need one of {', '.join(WAYS)}", 2)
    declared = read_zone(file, zone).zone
    before = tuple((str(path), read_zone(path, declared.name).zone) for path in earlier or ())
    asked = [read_server(word) for word in server]
    above = read_server(f"parent={parent}") if parent else None
    now = int(time.time())
    trusted = tuple(read_ds(text) for text in ds or ())
    probe = Probe(declared, now, _tsig(tsig_file), by, Limits(timeout_s=timeout_s))
    views, theirs = probe_zone(probe, asked, above)
    brought = tuple(map(_type, updated or ()))
    expected = Expected(declared, now, trusted, signed, before, brought)
    report = check_served(expected, views, theirs)
    if textfile is not None:
        _write(textfile, render_metrics(report))
    if as_json:
        typer.echo(json.dumps(report_tree(report), indent=2))
    else:
        _show(report)
    raise typer.Exit(0 if report.equal else DIFFERENT)


@app.command("ds-gate")
def gate_ds(
    name: Annotated[str, typer.Argument(help="The zone's name.")],
    *,
    server: Servers,
    timeout_s: Timeout = 2.0,
    as_json: Json = False,
) -> None:
    """Print the DS to publish when every server proves itself; else which does not, and exit 1."""
    from loopback_iac.dns.names import parse_zone_name  # noqa: PLC0415  # loads slowly
    from loopback_iac.dns.refusal import Refusal  # noqa: PLC0415  # as above
    from loopback_iac.dns.served.ds_gate import check_ds_gate  # noqa: PLC0415  # as above
    from loopback_iac.remote.dns_ask import Limits  # noqa: PLC0415  # as above
    from loopback_iac.remote.dns_served import probe_looks  # noqa: PLC0415  # as above

    try:
        zone = parse_zone_name(name)
    except Refusal as cause:
        refuse(str(cause), 2)
    views = probe_looks(zone, [read_server(word) for word in server], Limits(timeout_s=timeout_s))
    gate = check_ds_gate(zone, views, int(time.time()))
    if as_json:
        found = [_finding_tree(one) for one in gate.findings]
        typer.echo(json.dumps({"open": gate.open, "ds": gate.records(zone), "findings": found}))
    else:
        for line in gate.records(zone):
            typer.echo(line)
    if not gate.open:
        _say(gate.findings)
        STDERR.print("gate closed: no DS is to be published yet", style="bold red")
    raise typer.Exit(0 if gate.open else 1)


def _type(text: str) -> str:
    from loopback_iac.dns.rdata import parse_type  # noqa: PLC0415  # loads slowly
    from loopback_iac.dns.refusal import Refusal  # noqa: PLC0415  # as above

    try:
        return parse_type(text)
    except Refusal as cause:
        refuse(f"--updated: {cause}\n  fix: {cause.fix}", 2)


def _tsig(file: str | None) -> Tsig | None:
    from loopback_iac.dns.refusal import Refusal  # noqa: PLC0415  # loads slowly
    from loopback_iac.remote.dns_transfer import parse_tsig  # noqa: PLC0415  # as above

    if file is None:
        return None
    try:
        return parse_tsig(sys.stdin.read() if file == "-" else Path(file).read_text())
    except Refusal as cause:
        refuse(f"--tsig-file {file}: {cause}\n  fix: {cause.fix}", 2)
    except (OSError, UnicodeDecodeError) as cause:
        refuse(f"--tsig-file {file}: {cause}\n  fix: name a file that can be read, or -", 2)


def _write(path: Path, text: str) -> None:
    from loopback_iac.remote.dns_look import write_whole  # noqa: PLC0415  # loads slowly

    try:
        write_whole(path, text)
    except OSError as cause:
        refuse(f"--textfile {path}: {cause}\n  fix: name a file in a folder that exists", 2)


def _show(report: Report) -> None:
    table = Table(f"{report.zone}", "address", "verdict", "serial", "udp", "tcp", "extra", "ZONEMD")
    for one in report.servers:
        told = [one.transports.get(way, "not asked") for way in ("udp", "tcp")]
        serial = "" if one.serial is None else str(one.serial)
        cells = [str(one.server), one.server.place, one.verdict, serial, *told]
        table.add_row(*cells, one.extra.partition(":")[0], one.zonemd)
    Console(width=140, highlight=False, markup=False).print(table)
    STDERR.print(f"trust: {report.trust}", style="cyan", markup=False, soft_wrap=True)
    for line in report.unknown:
        STDERR.print(f"not known: {line}", style="cyan", markup=False, soft_wrap=True)
    _say(report.findings)


def _say(findings: tuple[Finding, ...]) -> None:
    from loopback_iac.dns.served.texts import finding_lines  # noqa: PLC0415  # loads slowly

    for line in finding_lines(findings):
        STDERR.print(line, style="bold red", markup=False, soft_wrap=True)


def _finding_tree(one: Finding) -> dict[str, str]:
    return {
        "server": one.server,
        "address": one.address,
        "rule": one.rule,
        "type": one.type,
        "got": one.got,
        "need": one.need,
        "by": ",".join(one.by),
    }
