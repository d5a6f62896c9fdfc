"""`loopback output|state`: read and mend what is stored about a stack."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from loopback_iac.cli.running import (
    HERE,
    STACK,
    STDERR,
    ConfigFile,
    Directory,
    Json,
    ShowSecrets,
    StackName,
    StateDir,
    guarded,
    make_options,
    refuse,
)


def output(
    name: Annotated[str | None, typer.Argument(help="One output; else all.")] = None,
    cwd: Directory = HERE,
    stack: StackName = STACK,
    state_dir: StateDir = None,
    *,
    as_json: Json = False,
    show_secrets: ShowSecrets = False,
) -> None:
    """Print the stack's outputs as last applied."""
    from loopback_iac.engine import read_outputs  # noqa: PLC0415  # pulumi and gRPC load slowly
    from loopback_iac.engine.values import redact, strip_secrets  # noqa: PLC0415

    options = make_options(cwd, stack, state_dir)
    found = guarded(lambda: read_outputs(options))
    plain = strip_secrets(found) if show_secrets else redact(found)
    if name is not None:
        if name not in plain:
            refuse(f"no output {name!r}; there are: {', '.join(sorted(plain)) or 'none'}", 2)
        plain = plain[name]
    if as_json or not isinstance(plain, (str, dict)):
        sys.stdout.write(json.dumps(plain, indent=2) + "\n")
    elif isinstance(plain, str):
        sys.stdout.write(plain + "\n")
    else:
        for key, value in plain.items():
            text = value if isinstance(value, str) else json.dumps(value)
            sys.stdout.write(f"{key}: {text}\n")


def export(cwd: Directory = HERE, stack: StackName = STACK, state_dir: StateDir = None) -> None:
    """Print the state as `pulumi stack import` takes it; secrets stay encrypted."""
    from loopback_iac.engine import export_state  # noqa: PLC0415  # pulumi and gRPC load slowly

    options = make_options(cwd, stack, state_dir)
    sys.stdout.write(guarded(lambda: export_state(options)))


def degraded(
    cwd: Directory = HERE,
    stack: StackName = STACK,
    state_dir: StateDir = None,
    *,
    as_json: Json = False,
) -> None:
    """Say what the last run left undone, by zone and operator; exit 1 when there is any."""
    from loopback_iac.cli.degraded import render_degraded  # noqa: PLC0415  # loads slowly
    from loopback_iac.engine import read_undone  # noqa: PLC0415  # pulumi and gRPC load slowly

    options = make_options(cwd, stack, state_dir)
    found = guarded(lambda: read_undone(options))
    at, result = found or ("", None)
    lines = render_degraded(result) if result else []
    undone = [item.render_json() for item in result.undone] if result else []
    if as_json:
        document = {"since": at or None, "degraded": lines, "undone": undone}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    elif result:
        sys.stdout.write(f"{result.verb} of {at} left {len(undone)} undone\n")
        rest = [f"{item['state']}: {item['urn']}" for item in undone]
        sys.stdout.write("".join(f"{line}\n" for line in (*lines, *rest)))
    raise typer.Exit(1 if result else 0)


def forget(
    urns: Annotated[list[str], typer.Argument(help="URNs to take out of the state.")],
    cwd: Directory = HERE,
    stack: StackName = STACK,
    state_dir: StateDir = None,
    *,
    resource: Annotated[
        bool, typer.Option("--resource", help="Resources of these URNs as well.")
    ] = False,
) -> None:
    """Take pending operations out of the state; nothing real is touched."""
    from loopback_iac.engine import forget as take_out  # noqa: PLC0415  # loads slowly

    options = make_options(cwd, stack, state_dir)
    for line in guarded(lambda: take_out(options, urns, resources=resource)):
        STDERR.print(f"forgot {line}", markup=False)


def adopt(
    urn: Annotated[str, typer.Argument(help="The resource whose create was interrupted.")],
    ident: Annotated[str, typer.Argument(metavar="ID", help="The id its provider knows it by.")],
    *,
    cwd: Directory = HERE,
    stack: StackName = STACK,
    state_dir: StateDir = None,
    config_file: ConfigFile = None,
) -> None:
    """Take over what an interrupted run created; the next `up` brings it in order."""
    from loopback_iac.engine import adopt as take_over  # noqa: PLC0415  # loads slowly

    options = make_options(cwd, stack, state_dir, config_file=config_file)
    line = guarded(lambda: take_over(options, urn, ident))
    STDERR.print(f"adopted {line}", markup=False)
