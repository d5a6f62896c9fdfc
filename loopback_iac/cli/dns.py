"""`loopback dns`: zones as files: checked, converted, compared. Asking servers: dns_check.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from loopback_iac.cli.running import STDERR, Json, refuse

if TYPE_CHECKING:
    from loopback_iac.dns import ReadZone
    from loopback_iac.model import Problem

app = typer.Typer(help="Zones: check, convert, compare.", no_args_is_help=True)

ZoneFile = Annotated[Path, typer.Argument(help="A zone file, or octoDNS YAML (.yaml, .yml).")]
ZoneName = Annotated[
    str | None,
    typer.Option("--zone", help="Its name; else $ORIGIN or SOA, for YAML the file's name."),
]
Operators = Annotated[
    list[str] | None,
    typer.Option("--operator", help="hetzner, or hetzner:api where it is a primary; repeatable."),
]
Signed = Annotated[bool, typer.Option("--signed", help="The zone comes with signatures.")]
Registered = Annotated[str, typer.Option(help="The registered domain that the zone belongs to.")]
Target = Annotated[str, typer.Option("--to", help="zonefile or octodns.")]
Acknowledged = Annotated[
    list[str] | None,
    typer.Option("--acknowledge", help="A danger that is meant, as its fix says; repeatable."),
]
Share = Annotated[float, typer.Option(min=0, max=100, help="Percent that may change at once.")]
YAML = (".yaml", ".yml")


def register(parent: typer.Typer) -> None:
    """Add `dns` to `parent`."""
    from loopback_iac.cli import dns_check, dns_publish  # noqa: F401, PLC0415  # they add verbs to `app`

    parent.add_typer(app, name="dns")


@app.command("check-zone")
def check_zone_file(
    file: ZoneFile,
    *,
    zone: ZoneName = None,
    operator: Operators = None,
    signed: Signed = False,
    registered: Registered = "",
    as_json: Json = False,
) -> None:
    """Hold a zone to the rules, and to what operators can hold."""
    from loopback_iac.dns import check_hygiene, check_operator, check_zone  # noqa: PLC0415 - loads slowly
    from loopback_iac.model import InputRejected  # noqa: PLC0415 - as above

    read = read_zone(file, zone)
    found = list(check_zone(read.zone, read.places))
    for word in operator or []:
        name, _, mode = word.partition(":")
        try:
            found += check_operator(
                read.zone, name, mode or "transfer", registered=registered, signed=signed
            )
        except InputRejected as cause:
            refuse(str(cause), 2)
        _say_unknown(name, mode or "transfer")
    advice = check_hygiene(read.zone, read.places)
    if as_json:
        typer.echo(
            json.dumps(
                {"problems": [*map(_tree, found)], "advice": [*map(_tree, advice)]}, indent=2
            )
        )
    else:
        count = sum(len(rrset.rdata) for rrset in read.zone.rrsets)
        typer.echo(f"{read.zone.name} {len(read.zone.rrsets)} RRsets, {count} records")
    if advice:
        _say(f"{file}, advice", advice, "yellow")
    if found:
        _end(str(file), tuple(found))


@app.command()
def convert(file: ZoneFile, *, to: Target, zone: ZoneName = None) -> None:
    """Print a zone in the other format; what it cannot hold is refused by name."""
    from loopback_iac.dns import render_octodns, render_zone_file  # noqa: PLC0415 - loads slowly
    from loopback_iac.model import InputRejected  # noqa: PLC0415 - as above

    if to not in ("zonefile", "octodns"):
        refuse(f"--to {to}: got {to!r}, need zonefile or octodns", 2)
    read = read_zone(file, zone)
    try:
        text = render_octodns(read.zone) if to == "octodns" else render_zone_file(read.zone)
    except InputRejected as cause:
        refuse(str(cause), 1)
    typer.echo(text, nl=False)


@app.command()
def diff(
    old: ZoneFile,
    new: ZoneFile,
    *,
    zone: ZoneName = None,
    acknowledge: Acknowledged = None,
    max_share_percent: Share = 30,
    as_json: Json = False,
) -> None:
    """Print what changes by RRset; exit 1 while a danger of it is not acknowledged."""
    from loopback_iac.dns import check_change, difference, render_difference  # noqa: PLC0415 - as above

    found = difference(read_zone(old, zone).zone, read_zone(new, zone).zone)
    problems = check_change(found, acknowledge or (), max_share_percent)
    if as_json:
        tree = {"counts": found.counts(), "dangers": [*map(_tree, problems)]}
        typer.echo(json.dumps(tree | {"lines": render_difference(found).splitlines()}, indent=2))
    else:
        typer.echo(render_difference(found), nl=False)
    if problems:
        _end(f"{old} -> {new}", problems)


def read_zone(file: Path, zone: str | None) -> ReadZone:
    """A zone from a file of either format; $INCLUDE stays within the file's folder."""
    from loopback_iac.dns import read_octodns, read_zone_file  # noqa: PLC0415 - as above
    from loopback_iac.model import InputRejected  # noqa: PLC0415 - as above

    folder = file.resolve().parent

    def include(name: str) -> str:
        path = (folder / name).resolve()
        if not path.is_relative_to(folder):
            raise ValueError(f"it lies outside {folder}")
        return path.read_text()

    try:
        text = file.read_text()
        if file.suffix in YAML:
            return read_octodns(text, zone or file.stem, title=str(file))
        return read_zone_file(text, zone, title=str(file), include=include)
    except InputRejected as cause:
        refuse(str(cause), 1)
    except (OSError, UnicodeDecodeError) as cause:
        refuse(f"{file}: {cause}\n  fix: name a file of UTF-8 text", 2)


def _say_unknown(operator: str, mode: str) -> None:
    from loopback_iac.dns import unknown_of  # noqa: PLC0415 - as above

    for line in unknown_of(operator, mode):
        STDERR.print(f"not known: {line}", style="cyan", markup=False, soft_wrap=True)


def _say(title: str, problems: tuple[Problem, ...], style: str) -> None:
    from loopback_iac.model import problems_text  # noqa: PLC0415 - as above

    STDERR.print(problems_text(title, problems), style=style, markup=False, soft_wrap=True)


def _end(title: str, problems: tuple[Problem, ...]) -> NoReturn:
    _say(title, problems, "bold red")
    raise typer.Exit(1)


def _tree(problem: Problem) -> dict[str, str]:
    return {
        "path": problem.path,
        "got": problem.got,
        "need": problem.need,
        "fix": problem.fix,
        "rule": problem.rule,
        "place": problem.place,
    }
