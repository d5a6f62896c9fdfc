"""`loopback migrate POOL --from w1 --to h1`: workers of a pool change places, step by step.

Every step is a change of the configuration, then `up`. Which one comes next is read from the
configuration alone, and what has to hold before it from the PoPs themselves, so an interrupted move
goes on where it stands.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from loopback_iac.cli.access import AccessError, KeyFile, read_identity
from loopback_iac.cli.migration import (
    Stack,
    Stopped,
    bring_up,
    open_stack,
    read_pools,
    render_commands,
    wait_for,
    watch_pops,
)
from loopback_iac.cli.running import (
    HERE,
    PARALLEL,
    STACK,
    STDERR,
    ConfigFile,
    Directory,
    Json,
    PackConfigs,
    Packs,
    Parallel,
    StackName,
    StateDir,
    Yes,
    guarded,
    make_options,
    may_ask,
    refuse,
)

if TYPE_CHECKING:
    from loopback_iac.engine import Options
    from loopback_iac.model.migration import Move, Step
    from loopback_iac.remote.ssh import Identity

DRAIN_S, WAIT_S = 300.0, 300.0
Pool = Annotated[str, typer.Argument(help="The pool's name in the fleet.")]
Leaving = Annotated[str, typer.Option("--from", help="Workers that leave, with commas between.")]
Coming = Annotated[
    str, typer.Option("--to", help="Machines that take over, with commas between; else the rest.")
]
PlanOnly = Annotated[
    bool, typer.Option("--plan", help="Print each change and how to make it by hand; do nothing.")
]
DrainTime = Annotated[
    float,
    typer.Option("--seconds", min=0, max=86400, help="Most seconds for connections to end."),
]
Wait = Annotated[
    float, typer.Option(min=1, max=7200, help="Most seconds until newcomers are healthy.")
]


def register(app: typer.Typer) -> None:
    """Add `migrate` to `app`."""
    app.command("migrate")(migrate)


def migrate(
    pool: Pool,
    *,
    leaving: Leaving,
    coming: Coming = "",
    plan: PlanOnly = False,
    seconds: DrainTime = DRAIN_S,
    wait: Wait = WAIT_S,
    cwd: Directory = HERE,
    stack: StackName = STACK,
    state_dir: StateDir = None,
    config_file: ConfigFile = None,
    identity: KeyFile = None,
    policy_pack: Packs = None,
    policy_pack_config: PackConfigs = None,
    parallel: Parallel = PARALLEL,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Move a pool's workers: newcomers at weight 0, healthy, their share, drain the old, remove.

    Said again after an interruption, it goes on where it stands.
    """
    options = make_options(
        cwd,
        stack,
        state_dir,
        config_file=config_file,
        packs=policy_pack,
        configs=policy_pack_config,
        parallel=parallel,
    )
    found = guarded(lambda: open_stack(options))
    move = _parse(pool, leaving, coming, found, options)
    if plan:
        _print_plan(found, move, seconds, as_json=as_json)
        return
    if may_ask() and not yes:
        _print_plan(found, move, seconds, as_json=False)
        typer.confirm("Do this?", abort=True, err=True)
    try:
        key = guarded(lambda: read_identity(options, identity))
    except AccessError as cause:
        refuse(f"migrate: {cause}", 2)
    _drive(Drive(found, move, options, key, wait, seconds), as_json=as_json)


def _parse(pool: str, leaving: str, coming: str, found: Stack, options: Options) -> Move:
    from loopback_iac.model.migration import parse_move  # noqa: PLC0415 - loads slowly
    from loopback_iac.model.problem import InputRejected  # noqa: PLC0415 - as above

    pools = guarded(lambda: read_pools(options))
    try:
        return parse_move(pool, _split(leaving), _split(coming), found.config(), pools)
    except InputRejected as cause:
        refuse(str(cause), 2)


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _print_plan(found: Stack, move: Move, seconds: float, *, as_json: bool) -> None:
    from loopback_iac.model.migration import steps_left  # noqa: PLC0415 - as above

    workers = found.workers()
    steps = steps_left(move, workers)
    if as_json:
        tree = [
            {"step": s.name, "what": s.what, "after": s.after, "workers": s.workers} for s in steps
        ]
        typer.echo(json.dumps({"pool": move.pool, "steps": tree}, indent=2))
        return
    lines = [] if steps else [f"nothing to do: {', '.join(sorted(workers))} make up {move.pool}"]
    for number, step in enumerate(steps, 1):
        lines.append(f"{number}. {step.name}: {step.what}")
        if step.after:
            bound = f", at most {seconds:g} s" if step.name == "remove" else ""
            lines.append(f"   not before: {step.after}{bound}")
        lines += [f"     {line}" for line in render_commands(workers, step.workers)]
        lines.append("     pulumi up")
        workers = step.workers
    typer.echo("\n".join(lines))


@dataclass(frozen=True)
class Drive:
    """One move under way; `done` is what this process did of it."""

    stack: Stack
    move: Move
    options: Options
    key: Identity
    wait_s: float
    drain_s: float
    done: list[dict[str, Any]] = field(default_factory=list)

    def run(self) -> None:
        """Every step that is left.

        Raises: Stopped before the first one that may not be made.
        """
        from loopback_iac.model.migration import next_step  # noqa: PLC0415 - as above

        name = "begin"
        while True:
            self._up(name)
            step = next_step(self.move, self.stack.workers())
            if step is None:
                return
            self._wait(step)
            STDERR.print(f"{step.name}: {step.what}", style="bold", markup=False, soft_wrap=True)
            self.stack.write_workers(step.workers)
            name = step.name

    def _up(self, name: str) -> None:
        began = time.monotonic()
        changed = bring_up(self.options)
        took_s = round(time.monotonic() - began, 1)
        self.done.append({"step": name, "hosts_changed": changed, "up_s": took_s})
        if changed:
            STDERR.print(f"changed: {', '.join(changed)} ({took_s:g} s)", markup=False)

    def _wait(self, step: Step) -> None:
        began = time.monotonic()
        limit_s = self.drain_s if step.name == "remove" else self.wait_s
        left = wait_for(self.move, step, watch_pops(self.options, self.key), limit_s)
        waited = {"waited_s": round(time.monotonic() - began, 1)}
        if left is None:
            self.done[-1] |= waited
            return
        self.done[-1] |= waited | {"connections_left": left}
        for pop, count in left.items():
            if count != 0:
                told = "does not say how many connections are left" if count is None else (
                    f"{count} connections are left to end with the workers that go"
                )  # fmt: skip
                STDERR.print(f"after {limit_s:g} s {pop}: {told}", style="yellow", markup=False)


def _drive(drive: Drive, *, as_json: bool) -> NoReturn:
    from loopback_iac.remote.ssh import IdentityError  # noqa: PLC0415 - SSH loads slowly

    stopped = ""
    try:
        guarded(drive.run)
    except (AccessError, IdentityError) as cause:
        refuse(f"migrate: {cause}", 2)
    except Stopped as cause:
        stopped = str(cause)
    if as_json:
        tree = {"pool": drive.move.pool, "done": not stopped, "steps": drive.done}
        sys.stdout.write(json.dumps(tree | {"stopped": stopped or None}, indent=2) + "\n")
    if stopped:
        refuse(f"migrate: {stopped}", 1)
    names = ", ".join(sorted(drive.stack.workers()))
    STDERR.print(f"done: pool {drive.move.pool} is {names}", style="bold green", markup=False)
    raise typer.Exit(0)
