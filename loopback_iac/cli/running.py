"""What the stack verbs share: their options, and how a run is shown and ended."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer
from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopback_iac.engine import Options, Result
    from loopback_iac.engine.results import Watcher

Directory = Annotated[
    Path, typer.Option("-C", "--cwd", help="Look for Pulumi.yaml here and above.")
]
StackName = Annotated[
    str, typer.Option("--stack", "-s", envvar="LOOPBACK_STACK", help="The stack.")
]
StateDir = Annotated[
    Path | None,
    typer.Option(
        envvar="LOOPBACK_STATE_DIR", help="Where the state lies; else .loopback/ by Pulumi.yaml."
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        envvar="LOOPBACK_CONFIG_FILE", help="Instead of Pulumi.<stack>.yaml beside Pulumi.yaml."
    ),
]
Packs = Annotated[
    list[Path] | None, typer.Option("--policy-pack", help="A policy pack's folder; repeatable.")
]
PackConfigs = Annotated[
    list[Path] | None,
    typer.Option("--policy-pack-config", help="Its configuration (JSON), one per pack."),
]
Parallel = Annotated[int, typer.Option(min=1, max=256, help="Provider calls at the same time.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
GoOn = Annotated[
    bool,
    typer.Option(
        "--continue-on-error", help="A step that fails stops only what rests on it; still exits 1."
    ),
]
Sames = Annotated[bool, typer.Option("--show-sames", help="List unchanged resources as well.")]
ShowSecrets = Annotated[bool, typer.Option("--show-secrets", help="Print secrets in clear.")]
Seconds = Annotated[
    int | None,
    typer.Option(
        min=0, max=3600, help="Announce with GSHUT this long first; else as the fleet declares."
    ),
]
Last = Annotated[bool, typer.Option("--last", help="Even when no other PoP is known to announce.")]

Answer = TypeVar("Answer")

HERE = Path()
STACK = "dev"
PARALLEL = 16
STDERR = Console(stderr=True, highlight=False)


def make_options(
    cwd: Path,
    stack: str,
    state_dir: Path | None,
    *,
    config_file: Path | None = None,
    packs: list[Path] | None = None,
    configs: list[Path] | None = None,
    parallel: int = PARALLEL,
    go_on: bool = False,
) -> Options:
    """The engine's options for what the command line says."""
    from loopback_iac.engine import Options  # noqa: PLC0415  # pulumi and gRPC load slowly

    return Options(
        directory=cwd,
        stack=stack,
        state_dir=state_dir,
        config_file=config_file,
        policy_packs=tuple(packs or ()),
        policy_configs=tuple(configs or ()),
        parallel=parallel,
        continue_on_error=go_on,
    )


def run_verb(verb: str, options: Options, *, details: bool, sames: bool = False) -> Result:
    """Run plan, up or destroy; show what happens while it does."""
    from loopback_iac import engine  # noqa: PLC0415  # pulumi and gRPC load slowly
    from loopback_iac.cli.showing import Screen  # noqa: PLC0415

    verbs: dict[str, Callable[[Options], Result]] = {
        "plan": engine.plan,
        "up": engine.up,
        "destroy": engine.destroy,
    }
    with Screen(STDERR, details=details, sames=sames) as screen:
        watcher: Watcher = screen
        return guarded(lambda: verbs[verb](replace(options, watcher=watcher)))


def show(result: Result) -> None:
    """Say on standard error what a run came to."""
    from loopback_iac.cli.degraded import render_degraded  # noqa: PLC0415
    from loopback_iac.cli.showing import show_result  # noqa: PLC0415

    show_result(STDERR, result)
    for line in render_degraded(result):
        STDERR.print(line, markup=False, soft_wrap=True)


def finish(result: Result, *, as_json: bool) -> NoReturn:
    """Show a result and end with its exit code."""
    from loopback_iac.cli.degraded import render_degraded  # noqa: PLC0415

    show(result)
    if as_json:
        document = {**result.render_json(), "degraded": render_degraded(result)}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    raise typer.Exit(0 if result.ok else 1)


def guarded(work: Callable[[], Answer]) -> Answer:
    """Do something; what a user caused ends with its text and exit code 1 or 2."""
    from loopback_iac.engine import EngineError, UsageError  # noqa: PLC0415

    try:
        return work()
    except UsageError as error:
        refuse(str(error), 2)
    except EngineError as error:
        refuse(str(error), 1)


def refuse(message: str, code: int) -> NoReturn:
    """Say an error and end."""
    STDERR.print(f"error: {message}", style="bold red", markup=False, soft_wrap=True)
    raise typer.Exit(code)


def may_ask() -> bool:
    """Whether a person sits there."""
    return sys.stdin.isatty() and sys.stderr.isatty()
