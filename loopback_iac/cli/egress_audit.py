"""`loopback egress audit`: who left by which address, from files that Hubble exported."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer
from rich.table import Table
from rich.text import Text

from loopback_iac.cli.egress import app, console, read_egress
from loopback_iac.cli.running import STDERR, Json, refuse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loopback_iac.kube.flows import Reading

Exports = Annotated[
    list[Path], typer.Argument(help="Export files, rotated and .gz as well, or folders of them.")
]
Policies = Annotated[Path, typer.Option("--policies", help="What is declared.")]
Rows = Annotated[
    int, typer.Option(min=1, max=1_000_000, help="Rows kept apart; bounds the memory.")
]
Complete = Annotated[
    bool, typer.Option("--complete", help="Exit 1 as well when the records are not all there.")
]
Everything = Annotated[bool, typer.Option("--all", help="Show what is as declared, too.")]
ENDINGS = (".log", ".json", ".jsonl", ".log.gz", ".json.gz", ".jsonl.gz")
GZIP = b"\x1f\x8b"
SHOWN = 200
STYLES = {
    "leak": "bold red",
    "undeclared": "red",
    "not denied": "red",
    "address not seen": "yellow",
}


@app.command()
def audit(
    exports: Exports,
    *,
    policies: Policies,
    rows: Rows = 20_000,
    complete: Complete = False,
    everything: Everything = False,
    as_json: Json = False,
) -> None:
    """Print who left, to what, by which address, under which policy; exit 1 on leaks."""
    from loopback_iac.cli.git import file_commit  # noqa: PLC0415 - as below
    from loopback_iac.kube.audit import Audit  # noqa: PLC0415 - loads slowly
    from loopback_iac.kube.verdicts import audit_tree  # noqa: PLC0415 - as above

    # leaks are looked for even while a gateway's node is down, or a field wrong for the backend
    egress = read_egress(policies, judged=False)
    counted = Audit(egress, dt.datetime.now(dt.UTC).date(), rows)
    found = find_exports(exports)
    readings = [_read(path, shown, counted.add) for path, shown in found.items()]
    if not any(each.flows for each in readings):
        for each in readings:
            _say_reading(each)
        refuse("not one flow could be read, which says nothing about leaks\n  fix: see above", 2)
    declared = {
        "file": policies.name,
        "sha256": hashlib.sha256(policies.read_bytes()).hexdigest(),
        "commit": file_commit(policies),
    }
    tree = audit_tree(counted, readings, declared)
    if as_json:
        typer.echo(json.dumps(tree, indent=2, ensure_ascii=False))
    else:
        print_audit(tree, everything=everything)
    for each in readings:
        _say_reading(each)
    gaps = _say_gaps(tree)
    raise typer.Exit(1 if tree["findings"] or (complete and gaps) else 0)


def find_exports(paths: Sequence[Path]) -> dict[Path, str]:
    """Files to read, each once, and as what they are told; in the order of their names.

    A file that stands beside its own compressed copy is being compressed: the copy is left out.
    """
    found: dict[Path, str] = {}
    for path in paths:
        inside = [path] if path.is_file() else []
        if path.is_dir():
            inside = [p for p in path.rglob("*") if p.is_file() and p.name.endswith(ENDINGS)]
            if not inside:
                refuse(f"{path}: no export in it\n  fix: name files, or end them in .log", 2)
        if not inside:
            refuse(f"{path}: no such file\n  fix: name a file or a folder", 2)
        for each in inside:
            found.setdefault(each.resolve(), str(each))
    kept = {}
    for path, shown in sorted(found.items(), key=lambda each: (each[0].name, each[1])):
        if path.suffix == ".gz" and path.with_suffix("") in found:
            text = f"left out, beside the file itself: {shown}"
            STDERR.print(text, markup=False, soft_wrap=True)
        else:
            kept[path] = shown
    return kept


def _read(path: Path, shown: str, add: Any) -> Reading:  # noqa: ANN401 - a function of one flow
    from loopback_iac.kube.flows import Reading, read_flows  # noqa: PLC0415 - as above

    reading = Reading(shown)
    try:
        for stream in _opened(path):
            for flow in read_flows(stream, reading):
                add(flow)
    except OSError as cause:
        refuse(f"{path}: {cause.strerror}\n  fix: name files that can be read", 2)
    return reading


def _opened(path: Path) -> Iterator[BinaryIO]:
    """Whether it is compressed its first octets say, not its name."""
    with path.open("rb") as raw:
        packed = raw.read(2) == GZIP
        raw.seek(0)
        if packed:
            with gzip.open(raw) as stream:
                yield stream  # type: ignore[misc]  # GzipFile reads as any binary stream does
        else:
            yield raw


def _say_reading(reading: Reading) -> None:
    for text in reading.told:
        STDERR.print(f"malformed: {text}", markup=False, soft_wrap=True, style="yellow")
    more = reading.malformed - len(reading.told)
    if more > 0:
        STDERR.print(f"malformed: {reading.name}: {more} more", markup=False, style="yellow")
    for name, count in sorted(reading.unusable.items()):
        text = f"{reading.name}: {count} flows without {name}: an export mask leaves it out"
        STDERR.print(text, markup=False, soft_wrap=True, style="yellow")
    if reading.lost:
        text = f"{reading.name}: Hubble lost {reading.lost} events; nobody knows what they were"
        STDERR.print(text, markup=False, soft_wrap=True, style="yellow")


def _say_gaps(tree: dict[str, Any]) -> bool:
    """Whether something is missing that could have been a leak."""
    files = tree["files"]
    broken = any(f["malformed"] or f["unusable"] or f["lost_by_hubble"] for f in files)
    unseen = tree["rows_by_verdict"]["address not seen"]
    if unseen:
        text = f"{unseen} rows: no record of the address; are the exports of every node here?"
        STDERR.print(text, markup=False, soft_wrap=True, style="yellow")
    commit = tree["declared"]["commit"]
    if commit is None or commit["altered"]:
        what = "differs from its commit" if commit else "is in no git: its commit is unknown"
        STDERR.print(f"{tree['declared']['file']} {what}", markup=False, soft_wrap=True)
    return bool(broken or unseen)


def print_audit(tree: dict[str, Any], *, everything: bool) -> None:
    """Print findings, and what else there is, as a table; then the counts."""
    quiet = () if everything else ("as declared", "dropped", "accepted", "excluded")
    shown = [row for row in tree["rows"] if row["verdict"] not in quiet]
    table = Table("verdict", "namespace", "who", "to", "by", "policy", "owner", box=None)
    table.add_column("flows", justify="right")
    table.add_column("first to last (UTC)")
    table.add_column("why", overflow="fold")
    for row in shown[:SHOWN]:
        cells = (
            row["namespace"] or "?",
            _who(row),
            f"{', '.join(row['names']) or row['destination']} {row['service']}",
            "\n".join(row["via"]) or "-",
            row["policy"] or "-",
            row["owner"] or "-",
            str(row["flows"]),
            f"{row['first'][:19]}\n{row['last'][:19]}",
            row["because"],
        )
        head = Text(row["verdict"], style=STYLES.get(row["verdict"], ""))
        table.add_row(head, *map(Text, cells))
    out = console()
    if shown:
        out.print(table)
    if len(shown) > SHOWN:
        typer.echo(f"and {len(shown) - SHOWN} rows more: --json has all")
    counts = {word: count for word, count in tree["rows_by_verdict"].items() if count}
    flows = sum(each["flows"] for each in tree["files"])
    if not tree["rows"]:
        typer.echo(f"{flows} flows of {tree['cluster']}, none of a pod that leaves the cluster")
        return
    typer.echo(f"{flows} flows of {tree['cluster']}, {tree['from']} to {tree['until']}")
    typer.echo("rows: " + ", ".join(f"{count} {word}" for word, count in counts.items()))
    commit = tree["declared"]["commit"]
    at = f"commit {commit['id'][:10]} of {commit['committed']}" if commit else "commit unknown"
    typer.echo(f"held to {tree['declared']['file']}, {at}")


def _who(row: dict[str, Any]) -> str:
    labels = " ".join(f"{key}={value}" for key, value in row["labels"].items())
    return "\n".join(filter(None, (", ".join(row["workloads"]), labels))) or "?"
