"""`loopback lab`: the whole fleet on one machine."""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from loopback_iac.cli import lab_cluster
from loopback_iac.cli.demo import demo
from loopback_iac.lab.paths import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopback_iac.lab import Lab
    from loopback_iac.lab.instance import Report

app = typer.Typer(help="The whole fleet on one machine.", no_args_is_help=True)
_talk = Console(stderr=True)
_Name = Annotated[
    str,
    typer.Option("--name", envvar="LOOPBACK_LAB", help="Which lab; several may run side by side."),
]
_Host = Annotated[
    str, typer.Option("--host", help="A host of the lab; default is the workstation.")
]
_TAKES = {"image": "building the Debian image once, about half a minute"}


@app.command()
def image() -> None:
    """Build the Debian 13 image that every host boots from, unless it is cached."""
    from loopback_iac.lab import ensure_image, image_path  # noqa: PLC0415 - the lab loads slowly

    with _errors_told(), _progress() as report:
        if not image_path().is_dir():
            report("image", 0, 1)
        path, built = ensure_image()
    _talk.print("built" if built else "cached; nothing to do")
    typer.echo(path)


@app.command()
def binaries(
    names: Annotated[
        list[str] | None, typer.Argument(help="Which of them; default is all.", show_default=False)
    ] = None,
) -> None:
    """Build the programs of the lab's cluster from pinned Go modules, unless they are cached."""
    from loopback_iac.lab.cluster.binaries import (  # noqa: PLC0415 - as above
        PRODUCTS,
        build,
    )

    with _errors_told(), _progress() as report:
        done = build(names or PRODUCTS, report)
    table = Table("program", "MB", "built in s", "CPU s", box=None)
    for built in done:
        spent = (
            (f"{built.seconds:.0f}", f"{built.processor:.0f}") if built.seconds else ("cached", "")
        )
        table.add_row(built.name, f"{built.size / 1e6:.0f}", *spent)
    _talk.print(table)
    for built in done:
        typer.echo(built.path)


@app.command()
def up(
    name: _Name = "lab",
    topology: Annotated[
        str, typer.Option(help="Which fleet: demo, bare, bench5 or bench10.")
    ] = "demo",
    *,
    cluster: Annotated[
        bool,
        typer.Option(
            "--cluster",
            help="With a Kubernetes cluster on its workers, the edge deployed, Traefik and an"
            " application in it. It says first what it changes on this machine.",
        ),
    ] = False,
) -> None:
    """Bring a lab up, from whatever is there. Twice is as good as once."""
    from loopback_iac.lab import bring_up  # noqa: PLC0415 - as above

    begun = time.monotonic()
    if cluster:
        if topology != "demo":
            raise typer.BadParameter("--cluster has a topology of its own: leave --topology out")
        topology = "cluster"
        lab_cluster.foretell()
    with _errors_told(), _progress() as report:
        if cluster:
            lab_cluster.build(report)
        lab, changes = bring_up(name, topology, report)
    if cluster:
        with _errors_told(), _progress() as report:
            found = lab_cluster.populate(lab, report)
        lab_cluster.tell(found, name)
        return
    if not changes:
        _talk.print(f"lab {name} is up; nothing to do")
        return
    _talk.print(
        f"lab {name} is up after {time.monotonic() - begun:.1f} s:"
        f" {len(changes.hosts_started)} hosts started, {changes.links_made} links made"
    )
    if changes.disks_made and not changes.config_written:
        _talk.print(f"  made anew, the lab's code changed: {', '.join(changes.disks_made)}")
        _talk.print("  what was deployed to them is gone, and the stack's state is set aside")
    _talk.print(f"  stack configuration  {lab.paths.stack_config}", soft_wrap=True)
    _talk.print(f"  its passphrase       {lab.paths.passphrase}", soft_wrap=True)
    _talk.print(f"  operator's SSH key   {lab.paths.operator_key}", soft_wrap=True)


@app.command()
def down(name: _Name = "lab") -> None:
    """Remove everything of a lab, whole or half-made."""
    from loopback_iac.lab import take_down  # noqa: PLC0415 - as above

    with _errors_told(), _progress() as report:
        report("removing", 0, 1)
        there = take_down(name)
    _talk.print(f"lab {name} is gone" if there else f"there is no lab {name}; nothing to do")


@app.command()
def status(
    name: _Name = "lab",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show hosts with their state, process, address and memory, and the routers' sessions."""
    from loopback_iac.lab import open_lab  # noqa: PLC0415 - as above

    with _errors_told():
        lab = open_lab(name)
        hosts, bgp = lab.status(), lab.bgp()
    if as_json:
        typer.echo(json.dumps({"name": name, "hosts": [asdict(h) for h in hosts], "bgp": bgp}))
        return
    _print_status(lab, Console())


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def exec(  # noqa: A001 -- the verb users know
    command: Annotated[list[str], typer.Argument(help="The command and its arguments, after --.")],
    name: _Name = "lab",
    host: _Host = "ops",
) -> None:
    """Run a command in the workstation's network, or as root inside a host."""
    _become(name, host, command)


@app.command()
def shell(name: _Name = "lab", host: _Host = "ops") -> None:
    """Open a shell in the workstation's network, or as root inside a host."""
    _become(name, host, [os.environ.get("SHELL", "/bin/bash") if host == "ops" else "/bin/bash"])


@app.command()
def logs(
    host: Annotated[str, typer.Argument(help="A host of the lab.")],
    name: _Name = "lab",
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the last lines.")] = 50,
) -> None:
    """Print the end of a host's journal, or of its console when it does not run."""
    from loopback_iac.lab import open_lab  # noqa: PLC0415 - as above
    from loopback_iac.lab.boot import console_tail  # noqa: PLC0415 - as above
    from loopback_iac.lab.cgroups import leader  # noqa: PLC0415 - as above

    with _errors_told():
        lab = open_lab(name)
        _known(lab, host)
        if leader(lab.paths, host):
            argv = ["journalctl", "--no-pager", f"--lines={lines}", "--output=short-iso"]
            typer.echo(lab.exec(host, argv).stdout, nl=False)
            return
        typer.echo(console_tail(lab.paths, host, lines))


app.command()(demo)


def _become(name: str, host: str, command: list[str]) -> None:
    from loopback_iac.lab import open_lab  # noqa: PLC0415 - as above
    from loopback_iac.lab.entering import replace_process  # noqa: PLC0415 - as above

    with _errors_told():
        lab = open_lab(name)
        _known(lab, host)
        replace_process(lab.paths, host, command)


def _known(lab: Lab, host: str) -> None:
    names = [h.name for h in lab.topology.hosts]
    if host not in names:
        raise typer.BadParameter(f"no host {host!r}; there are {', '.join(names)}")


def _print_status(lab: Lab, out: Console) -> None:
    hosts, bgp = lab.status(), lab.bgp()
    table = Table("host", "role", "state", "pid", "addresses", "memory MiB", box=None)
    for host in hosts:
        table.add_row(
            host.name,
            host.role,
            host.state,
            str(host.pid or ""),
            " ".join(host.addresses),
            f"{host.memory_mib:.1f}",
        )
    table.add_row("total", "", "", "", "", f"{sum(h.memory_mib for h in hosts):.1f}")
    out.print(table)
    for router, sessions in bgp.items():
        shown = ", ".join(f"{n} {'up' if up else 'down'}" for n, up in sessions.items())
        out.print(f"BGP at {router}: {shown}", soft_wrap=True, highlight=False)


@contextmanager
def _errors_told() -> Iterator[None]:
    """Say what the lab cannot do, without a traceback."""

    try:
        yield
    except LabError as error:
        _talk.print(f"lab: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(2) from None


@contextmanager
def _progress() -> Iterator[Report]:
    """On a terminal one moving line with the elapsed time; elsewhere a line per step."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=_talk, transient=True, disable=not _talk.is_terminal) as line:
        task, told = line.add_task("looking", total=None), ""

        def report(step: str, done: int, total: int) -> None:
            nonlocal told
            text = _TAKES.get(step, step) if total == 1 else f"{step} {done}/{total}"
            line.update(task, description=text)
            if not _talk.is_terminal and step != told:
                _talk.print(f"lab: {text}", highlight=False)
            told = step

        yield report
