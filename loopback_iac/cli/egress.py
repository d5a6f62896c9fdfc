"""`loopback egress`: policies checked, rendered, a backend chosen. Who left: egress_audit.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from loopback_iac.cli.running import STDERR, Json, refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopback_iac.kube import Egress
    from loopback_iac.kube.backends import Fit
    from loopback_iac.model import Problem

app = typer.Typer(
    help="Egress of a cluster: check, render, choose a backend, audit.", no_args_is_help=True
)

File = Annotated[Path, typer.Argument(help="What is declared: docs/egress-example.yaml.")]
CheckedFile = Annotated[
    Path, typer.Argument(help="The same, or manifests of kind CiliumEgressGatewayPolicy.")
]
Values = Annotated[bool, typer.Option("--values", help="Values for Cilium's chart instead.")]
WIDE = 200
"""Columns where no terminal says how many it has."""


def register(parent: typer.Typer) -> None:
    """Add `egress` to `parent`."""
    from loopback_iac.cli import egress_audit, egress_gateway  # noqa: F401, PLC0415  # verbs of `app`

    parent.add_typer(app, name="egress")


@app.command()
def check(file: CheckedFile, *, as_json: Json = False) -> None:
    """Check declared policies, or manifests written by hand; exit 1 when something is wrong."""
    from loopback_iac.kube import check_manifests, load_yaml, parse_egress  # noqa: PLC0415 - loads slowly
    from loopback_iac.model import InputRejected, problems_text  # noqa: PLC0415 - as above

    text = read_text(file)
    problems: tuple[Problem, ...] = ()
    told = ""
    try:
        documents = load_yaml(str(file), text)
        if any(isinstance(each, dict) and "kind" in each for each in documents):
            found = [each for each in documents if _is_policy(each)]
            problems = check_manifests(documents)
            told = f"{len(found)} egress gateway policies of {len(documents)} manifests"
            if not found:
                refuse(f"{file}: no CiliumEgressGatewayPolicy in it\n  fix: name another file", 2)
        else:
            egress = parse_egress(str(file), text)
            told = f"{egress.cluster}: {len(egress.policies)} policies for {egress.backend}"
    except InputRejected as cause:
        problems = cause.problems
    if as_json:
        typer.echo(json.dumps({"problems": [_tree(each) for each in problems]}, indent=2))
    elif not problems:
        typer.echo(told)
    if problems:
        STDERR.print(problems_text(str(file), problems), markup=False, soft_wrap=True)
    raise typer.Exit(1 if problems else 0)


def _is_policy(document: object) -> bool:
    return isinstance(document, dict) and document.get("kind") == "CiliumEgressGatewayPolicy"


def _tree(problem: Problem) -> dict[str, str]:
    return {
        "path": problem.path,
        "got": problem.got,
        "need": problem.need,
        "fix": problem.fix,
        "rule": problem.rule,
    }


@app.command()
def render(file: File, *, values: Values = False) -> None:
    """Print the manifests of declared policies, or the values for Cilium's chart."""
    from loopback_iac.kube import (  # noqa: PLC0415 - loads slowly
        render_cilium,
        render_kube_vip,
        render_values,
        render_yaml,
    )

    egress = read_egress(file)
    if values:
        if egress.backend != "cilium":
            refuse("--values: kube-vip is rendered whole\n  fix: leave --values out", 2)
        typer.echo(render_yaml([render_values(egress)]), nl=False)
        return
    made = render_cilium(egress) if egress.backend == "cilium" else render_kube_vip(egress)
    typer.echo(render_yaml(made), nl=False)


@app.command()
def pool(file: File, *, as_json: Json = False) -> None:
    """Print who has which address, and which are free."""
    from loopback_iac.kube import allocation_rows, free_text  # noqa: PLC0415 - loads slowly

    egress = read_egress(file, judged=False)
    rows = allocation_rows(egress.pools)
    free = {name: free_text(each) for name, each in egress.pools.items()}
    if as_json:
        typer.echo(json.dumps({"allocated": rows, "next_free": free}, indent=2))
        return
    table = Table("address", "tenant", "pool", "kind", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row["address"], row["tenant"], row["pool"], row["kind"])
    console().print(table)
    for name, text in free.items():
        typer.echo(f"next free in {name}: {text}")


@app.command()
def advise(file: File, *, as_json: Json = False) -> None:
    """Say which backend holds what is declared, and why; exit 1 when none does."""
    from loopback_iac.kube import backends, fit  # noqa: PLC0415 - loads slowly

    egress = read_egress(file, judged=False)
    fits = [fit(egress, name) for name in backends()]
    choice, because = choose(egress, fits)
    if as_json:
        tree = {
            "backend": choice,
            "because": because,
            "unmet": {each.backend: _unmet(each) for each in fits},
        }
        typer.echo(json.dumps(tree, indent=2))
    else:
        print_advice(fits, choice, because)
    raise typer.Exit(0 if choice else 1)


def choose(egress: Egress, fits: Sequence[Fit]) -> tuple[str | None, str]:
    """The backend that holds all of it, and the reason in words."""
    from loopback_iac.kube.backends import masquerades  # noqa: PLC0415 - as above

    able = [each.backend for each in fits if each.fits]
    if "kube-vip" in able and masquerades(egress):
        able.remove("kube-vip")
    if not able:
        return None, "neither holds every policy: see what each cannot, below"
    if len(able) == 1:
        return able[0], "the other does not hold every policy, or is ruled out"
    if egress.cilium is not None:
        return "cilium", "both hold it, and Cilium is the cluster's network already"
    return "kube-vip", "both hold it, and kube-vip asks for no other network in the cluster"


def _unmet(found: Fit) -> list[dict[str, str]]:
    from loopback_iac.kube import backends  # noqa: PLC0415 - as above

    can = backends()[found.backend].can
    return [
        {
            "policy": policy,
            "asks": ability,
            "says": can[ability].says,
            "source": can[ability].source,
        }
        for policy, ability in found.unmet
    ]


def print_advice(fits: Sequence[Fit], choice: str | None, because: str) -> None:
    """Print the choice, what each backend cannot hold, and what it cannot do at all."""
    from loopback_iac.kube import backends  # noqa: PLC0415 - as above

    out = console()
    head = Text(f"backend: {choice or 'none'}", style="bold green" if choice else "bold red")
    out.print(head.append(f"; {because}", style="not bold default"), soft_wrap=True)
    for each in fits:
        claims = backends()[each.backend]
        out.print(Text(each.backend, style="bold"), soft_wrap=True)
        for unmet in _unmet(each):
            text = f"  {unmet['policy']} asks for {unmet['asks']}: {unmet['says']}"
            out.print(Text(f"{text} ({unmet['source']})", style="red"), soft_wrap=True)
        for needed in claims.needs.values():
            out.print(
                Text(f"  needs: {needed.says} ({needed.mark}: {needed.source})"), soft_wrap=True
            )
        for claim in claims.cannot:
            out.print(
                Text(f"  cannot: {claim.says} ({claim.mark}: {claim.source})"), soft_wrap=True
            )


def console() -> Console:
    """Standard output, wide where it is no terminal."""
    return Console(width=None if sys.stdout.isatty() else WIDE)


def read_text(file: Path) -> str:
    """A file's text, or the end."""
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as cause:
        refuse(f"{file}: {cause}\n  fix: name a file in YAML, see docs/egress.md", 2)


def read_egress(file: Path, *, judged: bool = True) -> Egress:
    """What a file declares, or the end."""
    from loopback_iac.kube import parse_egress  # noqa: PLC0415 - as above
    from loopback_iac.model import InputRejected  # noqa: PLC0415 - as above

    try:
        return parse_egress(str(file), read_text(file), judged=judged)
    except InputRejected as cause:
        refuse(str(cause), 2)
