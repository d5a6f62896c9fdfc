"""`loopback egress hand-over`: a group's addresses to another node."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

from loopback_iac.cli.access import AccessError, KeyFile, read_expected, read_identity
from loopback_iac.cli.egress import app
from loopback_iac.cli.running import (
    HERE,
    STACK,
    ConfigFile,
    Directory,
    Json,
    StackName,
    StateDir,
    guarded,
    make_options,
    refuse,
)

WAIT_S = 60.0
Group = Annotated[str, typer.Argument(help="The group, as EgressGateway names it.")]
Node = Annotated[str, typer.Argument(help="The node that shall hold its addresses.")]


@app.command("hand-over")
def hand_over(
    group: Group,
    node: Node,
    *,
    identity: KeyFile = None,
    cwd: Directory = HERE,
    stack: StackName = STACK,
    state_dir: StateDir = None,
    config_file: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Give a group's egress addresses to another node, and wait until it has them."""
    from loopback_iac.remote import gateway  # noqa: PLC0415 - SSH loads slowly
    from loopback_iac.remote.ssh import IdentityError  # noqa: PLC0415 - as above

    options = make_options(cwd, stack, state_dir, config_file=config_file)
    try:
        hosts = guarded(lambda: read_expected(options))
        key = guarded(lambda: read_identity(options, identity))
        done = gateway.hand_over(hosts, group, node, key, WAIT_S)
    except (AccessError, IdentityError) as cause:
        refuse(f"hand-over: {cause}", 2)
    except gateway.HandOverError as cause:
        refuse(f"hand-over: {cause}", 1)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(done)))
    else:
        typer.echo(f"{done.holder} holds {done.group}, {done.took_s:g} s after it was asked for")
