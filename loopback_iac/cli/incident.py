"""`loopback incident`: drafts of reports from recorded facts, and the chain of their versions."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from loopback_iac.cli.running import STDERR, Json, refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopback_iac.incident import Evidence, EvidenceFile, Facts

app = typer.Typer(help="Incidents: drafts of reports, with the legal clock.", no_args_is_help=True)

FactsFile = Annotated[
    Path, typer.Argument(help="Facts (YAML): docs/incident-example.yaml has every key.")
]
StageName = Annotated[
    str | None,
    typer.Option(
        help="early-warning, notification or final; else the first that was not submitted."
    ),
]
EvidencePaths = Annotated[
    list[Path] | None,
    typer.Option("--evidence", help="One more file beside those that the facts name; repeatable."),
]
Out = Annotated[Path, typer.Option(help="Where incidents lie, a folder each.")]
Templates = Annotated[
    Path | None, typer.Option(help="A folder of templates that go before ours (Jinja2).")
]
ShowTemplate = Annotated[bool, typer.Option("--show-template", help="Print the template instead.")]
Folder = Annotated[Path, typer.Argument(help="An incident's folder, as `draft` names it.")]
Head = Annotated[
    str | None, typer.Option(help="SHA-256 of the newest version, as it was kept elsewhere.")
]
HERE = Path("out/incidents")
STYLES = {"met": "bold red", "not met": "green", "unknown": "yellow"}
STAGES = ("early-warning", "notification", "final")


def register(parent: typer.Typer) -> None:
    """Add `incident` to `parent`."""
    parent.add_typer(app, name="incident")


@app.command()
def draft(
    file: FactsFile,
    *,
    stage: StageName = None,
    evidence: EvidencePaths = None,
    out: Out = HERE,
    templates: Templates = None,
    show_template: ShowTemplate = False,
    as_json: Json = False,
) -> None:
    """Draft a report as the next version of its incident; nothing is sent to anybody."""
    from loopback_iac.cli.incident_folder import ChainBrokenError, Order, keep_version  # noqa: PLC0415 - for this verb
    from loopback_iac.incident import due_stage, render_json, shipped_template  # noqa: PLC0415 - loads slowly
    from loopback_iac.model import InputRejected  # noqa: PLC0415 - as above

    if stage not in (*STAGES, None):
        refuse(f"--stage {stage}: got {stage!r}, need one of {', '.join(STAGES)}", 2)
    now = dt.datetime.now(dt.UTC)
    facts, content = _read_facts(file, now)
    wanted: Any = stage or due_stage(facts)
    if show_template:
        typer.echo(shipped_template(wanted), nl=False)
        return
    read = _read_evidence(file, [*_named(file, facts), *_given(evidence or [])])
    digest = hashlib.sha256(content).hexdigest()
    try:
        kept = keep_version(out, Order(facts, read, wanted, now, digest, templates))
    except InputRejected as cause:
        refuse(str(cause), 2)
    except ChainBrokenError as cause:
        refuse(str(cause), 1)
    except OSError as cause:
        refuse(f"--out {out}: {cause}\n  fix: name a folder that can be written", 2)
    if as_json:
        typer.echo(render_json(kept.tree), nl=False)
    else:
        print_draft(kept.tree, Console())
    STDERR.print(f"written: {kept.place}/draft.md, draft.json", markup=False, soft_wrap=True)
    STDERR.print(f"keep elsewhere: SHA-256 {kept.sha256}", markup=False, soft_wrap=True)


@app.command()
def verify(folder: Folder, *, expect_head: Head = None) -> None:
    """Whether every version of an incident is there, unaltered and in order; exit 1 if not."""
    from loopback_iac.cli.incident_folder import read_versions  # noqa: PLC0415 - as above
    from loopback_iac.incident import newest, verify_chain  # noqa: PLC0415 - as above
    from loopback_iac.model import problems_text  # noqa: PLC0415 - as above

    try:
        versions = read_versions(folder)
    except OSError as cause:
        refuse(f"{folder}: {cause}\n  fix: name a folder that `loopback incident draft` made", 2)
    if not versions:
        refuse(f"{folder}: no version in it\n  fix: name a folder like {HERE}/ID", 2)
    problems = verify_chain(folder.resolve().name, versions, expect_head)
    if problems:
        refuse(problems_text(str(folder), tuple(problems)), 1)
    last = newest(versions)
    if last is not None:
        typer.echo(f"{len(versions)} versions hold; the newest is {last.folder}, {last.sha256}")


def _read_facts(file: Path, now: dt.datetime) -> tuple[Facts, bytes]:
    from loopback_iac.incident import parse_facts  # noqa: PLC0415 - loads slowly
    from loopback_iac.model import InputRejected  # noqa: PLC0415 - as above

    try:
        content = file.read_bytes()
        return parse_facts(str(file), content.decode(), now), content
    except InputRejected as cause:
        refuse(str(cause), 2)
    except (OSError, UnicodeDecodeError) as cause:
        refuse(f"{file}: {cause}\n  fix: name a file in YAML, see docs/incident.md", 2)


def _named(file: Path, facts: Facts) -> list[tuple[str, Path, EvidenceFile]]:
    return [
        (f"evidence[{at}]", file.parent / each.path, each) for at, each in enumerate(facts.evidence)
    ]


def _given(paths: Sequence[Path]) -> list[tuple[str, Path, EvidenceFile]]:
    from loopback_iac.incident import EvidenceFile  # noqa: PLC0415 - as above

    return [("--evidence", path, EvidenceFile(path=str(path))) for path in paths]


def _read_evidence(file: Path, asked: Sequence[tuple[str, Path, EvidenceFile]]) -> list[Evidence]:
    """Every file, or all that is wrong with them at once."""
    from loopback_iac.incident import parse_evidence  # noqa: PLC0415 - as above
    from loopback_iac.model import Problem, problems_text  # noqa: PLC0415 - as above

    read, problems = [], []
    for where, path, given in asked:
        try:
            found = parse_evidence(where, given, path.read_bytes())
        except OSError as cause:
            fix = "name a file that can be read, by its path from the facts"
            got = f"{given.path}: {cause.strerror}"
            found = Problem(where, got, "a file", fix, "evidence-unread")
        if isinstance(found, Problem):
            problems.append(found)
        else:
            read.append(found)
    if problems:
        refuse(problems_text(str(file), tuple(problems)), 2)
    return read


def print_draft(tree: dict[str, Any], console: Console) -> None:
    """Print what is due when, whether it is significant and why, and what is unknown."""
    if tree["exercise"]:
        console.print(Text("EXERCISE", style="bold magenta"))
    clock = tree["clock"]
    console.print(
        Text(f"{tree['title']} ({tree['point']}), version {tree['version']}. {tree['notice']}")
    )
    console.print(
        Text(f"clock: from {_moment(clock['from'])}, {clock['from_what']}"), soft_wrap=True
    )
    table = Table("report", "due", "", "", box=None, pad_edge=False)
    for each in clock["deadlines"]:
        least = "" if each["exact"] else "provisional: "
        style = "bold red" if each["state"] in ("passed", "submitted late") else ""
        state = Text(each["state"], style=style)
        table.add_row(each["title"], Text(least + _moment(each["due"])), state, each["left"] or "")
    console.print(table)
    found = tree["significance"]
    head = Text("significant? ").append(found["verdict"], style=STYLES[found["verdict"]])
    console.print(head.append(f"; {found['because']}"), soft_wrap=True)
    for each in found["criteria"]:
        verdict = Text(f"  {each['point']} ").append(each["verdict"], style=STYLES[each["verdict"]])
        service = f"{each['service']}: " if each["service"] else ""
        console.print(verdict.append(f": {service}{each['because']}"), soft_wrap=True)
    for each in tree["to_settle"]:
        text = f"to settle: {each['says']} ({each['source']}); {each['facts']}"
        console.print(Text(text, style="bold red"), soft_wrap=True)
    for each in tree["unknown"]:
        console.print(Text(f"unknown: {each['fact']}, {each['because']}"), soft_wrap=True)


def _moment(tree: dict[str, str]) -> str:
    return f"{tree['utc']} ({tree['local']})"
