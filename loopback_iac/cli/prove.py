"""`loopback prove`: what each service survives, proved over what the stack declares."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from loopback_iac.cli.cost import applied_resources, planned_resources
from loopback_iac.cli.running import (
    HERE,
    STACK,
    STDERR,
    ConfigFile,
    Directory,
    Json,
    StackName,
    StateDir,
    make_options,
    refuse,
)

if TYPE_CHECKING:
    from loopback_iac.proof import Demands, Proof, Verdict

Losses = Annotated[
    int | None,
    typer.Option(
        "--k",
        min=0,
        max=3,
        help="Losses a service has to survive, unless --demands says of it. Default 1.",
    ),
]
DemandsFile = Annotated[
    Path | None,
    typer.Option(help="What is demanded, accepted and shared (YAML): docs/proof-example.yaml."),
]
FromState = Annotated[
    bool, typer.Option("--state/--plan", help="Of what was applied last, not of what `up` builds.")
]
Out = Annotated[Path | None, typer.Option(help="Write the certificate (JSON).")]
Picture = Annotated[Path | None, typer.Option(help="Draw the model with a cut marked (.svg).")]
Verifier = Annotated[
    Path | None, typer.Option(help="Write verify.py: it re-checks a certificate, Python alone.")
]
DEFAULT = 1
LINES = 10


def register(app: typer.Typer) -> None:
    """Add `prove` to `app`."""
    app.command("prove")(prove)


def prove(
    *,
    cwd: Directory = HERE,
    stack: StackName = STACK,
    state_dir: StateDir = None,
    config_file: ConfigFile = None,
    k: Losses = None,
    demands: DemandsFile = None,
    state: FromState = False,
    out: Out = None,
    picture: Picture = None,
    verifier: Verifier = None,
    as_json: Json = False,
) -> None:
    """Prove what each service survives; exit 1 when that is less than demanded."""
    from loopback_iac.model import InputRejected  # noqa: PLC0415 - loads slowly
    from loopback_iac.proof import prove_redundancy, read_stack  # noqa: PLC0415 - as above
    from loopback_iac.proof.certificate import render_certificate, render_text, verifier_text  # noqa: PLC0415 - as above

    if picture is not None and picture.suffix != ".svg":
        refuse(f"--picture {picture}: got {picture.suffix!r}, need .svg", 2)
    asked = _read_demands(demands, k)
    options = make_options(cwd, stack, state_dir, config_file=config_file)
    found = read_stack(applied_resources(options) if state else planned_resources(options))
    if found.late and not found.fleets:
        refuse(
            f"{', '.join(found.late)}: facts of the fleet that are known after `up` only\n"
            "  fix: prove what was applied: `loopback prove --state`",
            2,
        )
    if not found.fleets:
        refuse(
            f"stack {stack!r} has no AnycastEdge: there is no fleet to prove anything of\n"
            "  fix: name another folder with -C, or another stack with --stack",
            2,
        )
    try:
        proof = prove_redundancy(found, asked, DEFAULT, today=datetime.now(UTC).date())
    except InputRejected as cause:
        refuse(str(cause), 2)
    certificate = render_text(render_certificate(proof, stack))
    if as_json:
        typer.echo(certificate, nl=False)
    else:
        print_proof(proof, Console())
    for path, text in ((out, certificate), (verifier, verifier_text())):
        _write(path, text)
    if picture is not None:
        from loopback_iac.proof.picture import render_picture  # noqa: PLC0415 - for this alone

        _write(picture, render_picture(proof))
    _say_unmet(proof)
    raise typer.Exit(0 if proof.met else 1)


def _read_demands(path: Path | None, k: int | None) -> Demands:
    from loopback_iac.model import InputRejected  # noqa: PLC0415 - as above
    from loopback_iac.proof import Demands, parse_demands  # noqa: PLC0415 - as above

    try:
        found = parse_demands(str(path), path.read_text()) if path else Demands()
    except InputRejected as cause:
        refuse(str(cause), 2)
    except (OSError, UnicodeDecodeError) as cause:
        refuse(f"--demands: {cause}\n  fix: name a file in YAML, see docs/proof.md", 2)
    return found if k is None else found.model_copy(update={"survives": k})


def _write(path: Path | None, text: str) -> None:
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except OSError as cause:
        refuse(f"{path}: {cause}\n  fix: name a file that can be written", 2)
    STDERR.print(f"written: {path}", markup=False, soft_wrap=True)


def print_proof(proof: Proof, console: Console) -> None:
    """Print what each service survives and what bounds it, and what that rests on."""
    from loopback_iac.proof.certificate import assumed, not_covered  # noqa: PLC0415 - as above

    told: list[tuple[str, tuple[tuple[str, ...], ...]]] = []
    for verdict in proof.verdicts:
        _print_verdict(proof, verdict, console, told)
    _print_not_counted(proof, console)
    for title, lines in (("assumed", assumed(proof)), ("not covered", not_covered(proof))):
        console.print(title)
        for line in lines:
            console.print(Text(f"  {line}"), soft_wrap=True)


def _print_verdict(
    proof: Proof,
    verdict: Verdict,
    console: Console,
    told: list[tuple[str, tuple[tuple[str, ...], ...]]],
) -> None:
    """Cuts that another service's lines have shown already are not shown again."""
    from loopback_iac.proof.wording import cut_text, group_cuts, losses_text  # noqa: PLC0415 - as above

    name = verdict.system.name
    if verdict.survives < 0:
        words = "is down with nothing lost"
    else:
        words = f"survives {'' if verdict.exact else 'at least '}{losses_text(verdict.survives)}"
    style = "green" if verdict.met else "red"
    demand = f"; demanded: {verdict.system.demand}"
    head = Text(f"{name} {words}", style=f"bold {style}").append(demand, style="not bold default")
    console.print(head, soft_wrap=True)
    shown = next((other for other, cuts in told if cuts == verdict.cuts), None)
    if not verdict.cuts or verdict.survives < 0:
        return
    if shown is not None:
        console.print(Text(f"  bounded by the same as {shown}"), soft_wrap=True)
        return
    told.append((name, verdict.cuts))
    lines = group_cuts(verdict.cuts)
    for line in lines[:LINES]:
        console.print(Text(f"  falls with {cut_text(proof.model, line)}"), soft_wrap=True)
    if len(lines) > LINES:
        more = f"  and {len(lines) - LINES} lines more: see smallest_cuts of --json"
        console.print(Text(more), soft_wrap=True)


def _print_not_counted(proof: Proof, console: Console) -> None:
    console.print("single in every fleet, or accepted; not counted")
    for key, systems in proof.alone().items():
        cause = proof.model.causes[key]
        every = len(systems) == len(proof.verdicts)
        falls = "takes all down" if every else f"takes down {', '.join(systems) or 'nothing alone'}"
        text = f"  {cause.title}: {cause.standing.value}, {falls}; {cause.because}"
        if cause.standing.value == "accepted":
            text += f" (accepted by {cause.owner})" if cause.owner else " (accepted by nobody yet)"
        console.print(Text(text), soft_wrap=True)


def _say_unmet(proof: Proof) -> None:
    from loopback_iac.proof.wording import unmet_texts  # noqa: PLC0415 - as above

    for text in unmet_texts(proof):
        STDERR.print(text, style="bold red", markup=False, soft_wrap=True)
