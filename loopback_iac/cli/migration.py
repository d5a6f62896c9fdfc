"""What `loopback migrate` does beside asking and telling: the stack's file, `up`, the PoPs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopback_iac.cli.access import parse_expected, read_expected
from loopback_iac.cli.running import run_verb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loopback_iac.engine import Options
    from loopback_iac.model.migration import Move, Step, Workers
    from loopback_iac.remote.pool import Lack, Reports
    from loopback_iac.remote.ssh import Identity

    Look = Callable[[], Reports]

EDGE = "loopback-iac:index:AnycastEdge"
AGAIN_S = 1.0
_GOES_ON = (
    "the configuration is as the last step left it, and so is what serves"
    "\n  fix: mend that, then say the same again: it goes on from here"
)


class Stopped(Exception):  # noqa: N818 - what happened, not an error of the program
    """A step was not made; the text says which, why, and how the fleet stands."""


@dataclass(frozen=True)
class Stack:
    """The stack's configuration in its file."""

    path: Path
    project: str

    def config(self) -> dict[str, Any]:
        """Values by name without the project's; what is encrypted stays so."""
        from loopback_iac.engine.project import load_yaml  # noqa: PLC0415 - loads slowly

        own = f"{self.project}:"
        found = load_yaml(self.path).get("config") or {}
        return {key.removeprefix(own): value for key, value in found.items()}

    def workers(self) -> Workers:
        """The value `workers`."""
        found: Workers = self.config()["workers"]
        return found

    def write_workers(self, workers: Workers) -> None:
        """Change that value in the file, and nothing else of it.

        Raises: UsageError.
        """
        from loopback_iac.engine.stackedit import (  # noqa: PLC0415 - as above
            replace_config,
            write_stack_file,
        )

        plain = {name: dict(worker) for name, worker in workers.items()}
        text = self.path.read_text(encoding="utf-8")
        write_stack_file(self.path, replace_config(text, f"{self.project}:workers", plain))


def open_stack(options: Options) -> Stack:
    """The file of the stack that the options name.

    Raises: UsageError.
    """
    from loopback_iac.engine import UsageError  # noqa: PLC0415 - as above
    from loopback_iac.engine.project import parse_project  # noqa: PLC0415 - as above
    from loopback_iac.engine.stackconfig import load_stack_file  # noqa: PLC0415 - as above
    from loopback_iac.engine.stackedit import find_stack_file  # noqa: PLC0415 - as above

    project = parse_project(options.directory)
    path = find_stack_file(project, options.stack, options.config_file)
    if not load_stack_file(project, options.stack, options.config_file):
        raise UsageError(
            f"{path} is not there, and `workers` is kept in it\n  fix: --stack, or --config-file"
        )
    return Stack(path, project.name)


def read_pools(options: Options) -> dict[str, list[str]] | None:
    """Who is in which pool as last applied; None when nothing was applied yet.

    Raises: EngineError.
    """
    from loopback_iac.engine import read_resources  # noqa: PLC0415 - as above

    facts = [r["inputs"]["fleet"] for r in read_resources(options) if r["type"] == EDGE]
    if not facts:
        return None
    return {name: list(pool["workers"]) for fleet in facts for name, pool in fleet["pools"].items()}


def bring_up(options: Options) -> list[str]:
    """`up`.

    Out: hosts that were given something else than they had, by name.
    Raises: Stopped when it fails; the engine has told why by then.
    """
    from loopback_iac.cli.running import show  # noqa: PLC0415 - it loads Rich's tables
    from loopback_iac.engine import read_outputs  # noqa: PLC0415 - as above

    before = _digests(read_outputs(options).get("hosts"))
    result = run_verb("up", options, details=False)
    if not result.ok:
        show(result)
        raise Stopped(f"`up` failed; {_GOES_ON}")
    after = _digests(result.plain_outputs.get("hosts"))
    return sorted(name for name in before | after if before.get(name) != after.get(name))


def _digests(hosts: object) -> dict[str, str]:
    if not isinstance(hosts, dict) or not hosts:
        return {}
    return {host.host: host.digest for host in parse_expected(hosts)}


def watch_pops(options: Options, key: Identity) -> Look:
    """How to ask the PoPs as last applied.

    Raises: AccessError; the look itself IdentityError.
    """
    from loopback_iac.remote.pool import probe_pops  # noqa: PLC0415 - SSH loads slowly

    hosts = read_expected(options)
    return lambda: probe_pops(hosts, key)


def wait_for(
    move: Move, step: Step, look: Look, limit_s: float, again_s: float = AGAIN_S
) -> dict[str, int | None] | None:
    """Wait for what has to hold before a step.

    In: look asks every PoP; again_s, how long to wait between two looks.
    Out: before workers leave, connections that are left, by PoP; else None.
    Raises: Stopped when it does not hold in time.
    """
    from loopback_iac.remote.pool import count_left  # noqa: PLC0415 - as above

    deadline = time.monotonic() + limit_s
    while step.after:
        reports = look()
        if step.name == "remove":
            left = count_left(reports, move.leaving)
            if not any(count != 0 for count in left.values()) or time.monotonic() > deadline:
                return left
        else:
            lacks = check_step(move, step, reports)
            if not lacks:
                return None
            if time.monotonic() > deadline:
                told = "\n  - ".join(map(str, lacks))
                raise Stopped(f"stopped before `{step.name}`:\n  - {told}\n  {_GOES_ON}")
        time.sleep(again_s)
    return None


def check_step(move: Move, step: Step, reports: Reports) -> list[Lack]:
    """What keeps a step from being made: a newcomer that is not healthy, nobody left to serve."""
    from loopback_iac.model.migration import serving  # noqa: PLC0415 - as above
    from loopback_iac.remote.pool import check_one_serves, check_workers  # noqa: PLC0415 - as above

    lacks = check_workers(reports, move.pool, move.coming)
    if step.name == "drain" and not lacks:
        lacks = check_one_serves(reports, move.pool, serving(step.workers))
    return lacks


def render_commands(before: Workers, after: Workers) -> list[str]:
    """How to make one change of the configuration with the Pulumi CLI."""
    lines = [f"pulumi config rm --path 'workers.{name}'" for name in before if name not in after]
    for name, worker in after.items():
        old = before.get(name, {})
        lines += [
            f"pulumi config set --path 'workers.{name}.{key}' {_scalar(value)}"
            for key, value in worker.items()
            if old.get(key) != value
        ]
        lines += [
            f"pulumi config rm --path 'workers.{name}.{key}'" for key in old if key not in worker
        ]
    return lines


def _scalar(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
