"""`loopback lab demo`: the main job in one command, made of the commands a user would type."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopback_iac.lab import Lab

TALK = Console(stderr=True, highlight=False)
PROJECT = Path(__file__).parents[2]


def demo(
    name: Annotated[str, typer.Option("--name", envvar="LOOPBACK_LAB", help="Which lab.")] = "lab",
    *,
    runs: Annotated[
        int,
        typer.Option(min=1, max=50, envvar="LOOPBACK_DEMO_RUNS", help="How often the PoP is lost."),
    ] = 3,
    rate: Annotated[int, typer.Option(min=20, max=2000, help="New connections per second.")] = 200,
    out: Annotated[Path | None, typer.Option(help="Directory for the drill's record.")] = None,
) -> None:
    """Boot the fleet, deploy the program, ask it from both sides, lose a PoP under load."""
    from loopback_iac.lab import open_lab  # noqa: PLC0415 - after `up` there is one to open

    if not (PROJECT / "stacks/edge").is_dir():
        TALK.print(f"demo: no stacks/edge in {PROJECT}; run it from a checkout of the project")
        raise typer.Exit(2)
    begun = time.monotonic()
    _step("boot two PoPs, two upstreams, two workers and two clients as Debian hosts")
    _loopback("lab", "up", "--name", name)
    _step("deploy stacks/edge from the operator's workstation")
    _on_workstation(name, "up", "-C", str(PROJECT), "--yes")
    _step("deploy it again: nothing may change")
    _on_workstation(name, "up", "-C", str(PROJECT), "--yes")
    lab = open_lab(name)
    _step("who announces the prefixes, as the upstreams see it")
    show_routes(lab)
    _step("ask the service from both clients, over both families")
    show_answers(lab)
    _step(f"lose a PoP without a word, {runs} times, under {rate} new connections per second")
    record = ["--out", str(out)] if out else []
    _loopback("drill", "silent-pop", "--name", name, f"--runs={runs}", f"--rate={rate}", *record)
    TALK.print(f"\ndone after {time.monotonic() - begun:.0f} s. The fleet still runs:")
    TALK.print("  .venv/bin/loopback lab status")
    TALK.print("  .venv/bin/loopback lab exec -- loopback drift")
    TALK.print("  .venv/bin/loopback lab down")


def show_routes(lab: Lab) -> None:
    """Print each upstream's routes to the fleet's prefixes; the best is marked by BIRD."""
    for router in ("t1", "t2"):
        for prefix in ("203.0.113.0/24", "2001:db8:100::/48"):
            shown = lab.exec(router, ["birdc", "show", "route", "for", prefix]).stdout
            lines = [line for line in shown.splitlines() if " [" in line]
            for line in lines:
                typer.echo(f"{router}  {' '.join(line.split())}")


def show_answers(lab: Lab) -> None:
    """Print what clients get; exit 1 when an answer is missing or names another client."""
    wrong = 0
    for client in ("c-fra", "c-par"):
        addresses = lab.topology.uplink(client)
        for vip, ours in (("203.0.113.10", addresses.v4), ("[2001:db8:100::10]", addresses.v6)):
            answer = _ask(lab, client, vip)
            good = ours is not None and answer.get("client") == str(ours.ip)
            wrong += not good
            typer.echo(f"{client} -> {vip}: {json.dumps(answer)}{'' if good else '  WRONG'}")
    if wrong:
        raise typer.Exit(1)


def _ask(lab: Lab, client: str, vip: str) -> dict[str, object]:
    argv = ["curl", "--silent", "--max-time", "5", "--retry", "3", "--retry-connrefused"]
    argv += ["--cacert", "/etc/ssl/certs/loopback-lab-ca.pem"]
    argv += ["--resolve", f"www.example.net:443:{vip}", "https://www.example.net/"]
    done = lab.exec(client, argv)
    if done.returncode:
        return {"error": f"curl exit {done.returncode}"}
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def _step(text: str) -> None:
    TALK.print(f"\n[bold]== {text}[/bold]")


def _on_workstation(name: str, *words: str) -> None:
    _loopback("lab", "exec", "--name", name, "--", "loopback", *words)


def _loopback(*words: str) -> None:
    _run([str(Path(sys.executable).parent / "loopback"), *words])


def _run(argv: Sequence[str]) -> None:
    code = subprocess.run(argv, check=False).returncode
    if code:
        TALK.print(f"[red]demo: `{' '.join(argv[1:])}` failed with exit code {code}[/red]")
        raise typer.Exit(1)
