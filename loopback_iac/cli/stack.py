"""`loopback plan|up|destroy`: run a Pulumi program with the embedded engine."""

from __future__ import annotations

import typer

from loopback_iac.cli import state as state_verbs
from loopback_iac.cli.running import (
    HERE,
    PARALLEL,
    STACK,
    ConfigFile,
    Directory,
    GoOn,
    Json,
    PackConfigs,
    Packs,
    Parallel,
    Sames,
    StackName,
    StateDir,
    Yes,
    finish,
    make_options,
    may_ask,
    run_verb,
    show,
)


def register(app: typer.Typer) -> None:
    """Add the stack verbs to `app`."""
    app.command()(plan)
    app.command()(up)
    app.command()(destroy)
    app.command()(state_verbs.output)
    state = typer.Typer(help="The stored state.", no_args_is_help=True)
    state.command("export")(state_verbs.export)
    state.command("forget")(state_verbs.forget)
    state.command("degraded")(state_verbs.degraded)
    state.command("adopt")(state_verbs.adopt)
    app.add_typer(state, name="state")


def plan(
    *,
    cwd: Directory = HERE,
    stack: StackName = STACK,
    state_dir: StateDir = None,
    config_file: ConfigFile = None,
    policy_pack: Packs = None,
    policy_pack_config: PackConfigs = None,
    parallel: Parallel = PARALLEL,
    as_json: Json = False,
    show_sames: Sames = False,
) -> None:
    """Say what `up` would do; needs no cloud credential, no plugin, no passphrase."""
    options = make_options(
        cwd,
        stack,
        state_dir,
        config_file=config_file,
        packs=policy_pack,
        configs=policy_pack_config,
        parallel=parallel,
    )
    result = run_verb("plan", options, details=True, sames=show_sames)
    finish(result, as_json=as_json)


def up(
    *,
    cwd: Directory = HERE,
    stack: StackName = STACK,
    state_dir: StateDir = None,
    config_file: ConfigFile = None,
    policy_pack: Packs = None,
    policy_pack_config: PackConfigs = None,
    parallel: Parallel = PARALLEL,
    as_json: Json = False,
    yes: Yes = False,
    show_sames: Sames = False,
    continue_on_error: GoOn = False,
) -> None:
    """Bring the stack to what the program wants; on a terminal, plans and asks first."""
    options = make_options(
        cwd,
        stack,
        state_dir,
        config_file=config_file,
        packs=policy_pack,
        configs=policy_pack_config,
        parallel=parallel,
        go_on=continue_on_error,
    )
    if may_ask() and not yes:
        planned = run_verb("plan", options, details=True, sames=show_sames)
        if not planned.ok:
            finish(planned, as_json=as_json)
        show(planned)
        typer.confirm("Do this?", abort=True, err=True)
    finish(run_verb("up", options, details=False, sames=show_sames), as_json=as_json)


def destroy(
    *,
    cwd: Directory = HERE,
    stack: StackName = STACK,
    state_dir: StateDir = None,
    config_file: ConfigFile = None,
    parallel: Parallel = PARALLEL,
    as_json: Json = False,
    yes: Yes = False,
) -> None:
    """Delete everything the stack has."""
    options = make_options(cwd, stack, state_dir, config_file=config_file, parallel=parallel)
    if may_ask() and not yes:
        typer.confirm(f"Delete everything stack {stack} has?", abort=True, err=True)
    finish(run_verb("destroy", options, details=False), as_json=as_json)
