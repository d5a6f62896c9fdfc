"""`loopback update`: security updates of what carries traffic, one host after the other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from loopback_iac.cli.access import AccessError, KeyFile, read_expected, read_identity
from loopback_iac.cli.running import (
    HERE,
    STACK,
    ConfigFile,
    Directory,
    Json,
    Last,
    Seconds,
    StackName,
    StateDir,
    guarded,
    make_options,
    refuse,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopback_iac.remote.ssh import Expected
    from loopback_iac.remote.update import Updated

WAIT_S = 1800.0
Hosts = Annotated[
    list[str] | None, typer.Argument(help="Hosts to update; else all: workers, then PoP by PoP.")
]
Wait = Annotated[
    float, typer.Option(min=1, max=7200, help="Most seconds one host may take beside --seconds.")
]


def register(app: typer.Typer) -> None:
    """Add `update` to `app`."""
    app.command("update")(update)


def update(
    hosts: Hosts = None,
    *,
    seconds: Seconds = None,
    last: Last = False,
    cwd: Directory = HERE,
    stack: StackName = STACK,
    state_dir: StateDir = None,
    config_file: ConfigFile = None,
    identity: KeyFile = None,
    wait: Wait = WAIT_S,
    as_json: Json = False,
) -> None:
    """Update held packages; a PoP is out of traffic meanwhile, the next one waits for its return.

    The first host that does not come back ends it; hosts that follow are not touched.
    """
    from loopback_iac.remote.drain import DrainError  # noqa: PLC0415 - SSH loads slowly
    from loopback_iac.remote.ssh import IdentityError  # noqa: PLC0415 - as above
    from loopback_iac.remote.update import UpdateError, update_hosts  # noqa: PLC0415 - as above

    options = make_options(cwd, stack, state_dir, config_file=config_file)
    console, done = Console(), list[dict[str, object]]()
    try:
        fleet = guarded(lambda: read_expected(options))
        chosen = choose_hosts(fleet, hosts or [])
        key = guarded(lambda: read_identity(options, identity))
        for each in update_hosts(chosen, fleet, key, wait, seconds, last=last):
            done.append(each.model_dump())
            if not as_json:
                console.print(render_updated(each), highlight=False, markup=False, soft_wrap=True)
    except (AccessError, IdentityError) as cause:
        refuse(f"update: {cause}", 2)
    except (DrainError, UpdateError) as cause:
        refuse(f"update: {cause}", 1)
    finally:
        if as_json:
            typer.echo(json.dumps(done))


def choose_hosts(fleet: Sequence[Expected], names: Sequence[str]) -> list[Expected]:
    """Hosts by name; all of the fleet when no name is given.

    Raises: AccessError naming the hosts there are.
    """
    known = {host.host: host for host in fleet}
    strange = [name for name in names if name not in known]
    if strange:
        raise AccessError(f"no host {', '.join(strange)}; there are {', '.join(sorted(known))}")
    return [known[name] for name in names] or list(fleet)


def render_updated(done: Updated) -> str:
    """One sentence on what became of a host."""
    if done.state == "current":
        return f"{done.host} has nothing to update"
    what = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in done.updated.items())
    served = ", out of traffic meanwhile and back" if done.drained else ""
    return (
        f"{done.host}: {what or 'finished an update that was cut off'}{served} ({done.took_s:g} s)"
    )
