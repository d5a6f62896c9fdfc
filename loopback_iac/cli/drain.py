"""`loopback drain|undrain POP`: out of traffic and back, over SSH alone when it must be."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from loopback_iac.cli.access import (
    SSH_PORT,
    AccessError,
    KeyFile,
    parse_host_key,
    read_expected,
    read_identity,
    read_own_identity,
    read_pinned_keys,
)
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
    from collections.abc import Callable

    from loopback_iac.remote.drain import Drained
    from loopback_iac.remote.ssh import Expected, Identity

WAIT_S = 120.0
Pop = Annotated[str, typer.Argument(help="The PoP's name in the fleet.")]
Address = Annotated[
    str | None,
    typer.Option(help="Break glass: dial this address; no program, state or secret is read."),
]
Port = Annotated[int, typer.Option(min=1, max=65535, help="SSH port, with --address.")]
User = Annotated[str, typer.Option(help="SSH user, with --address.")]
KnownHosts = Annotated[
    Path, typer.Option(help="Where its host key is pinned, as OpenSSH keeps it; with --address.")
]
HostKey = Annotated[
    str | None, typer.Option(help="Its host key itself, instead of --known-hosts; with --address.")
]
Wait = Annotated[
    float, typer.Option(min=1, max=7200, help="Most seconds to wait until it is done.")
]
Asked = tuple[Path, str, Path | None, Path | None]
Given = tuple[str | None, int, str, Path, str | None]

KNOWN_HOSTS = Path("~/.ssh/known_hosts")


def register(app: typer.Typer) -> None:
    """Add `drain` and `undrain` to `app`."""
    app.command("drain")(drain)
    app.command("undrain")(undrain)


def drain(
    pop: Pop,
    *,
    seconds: Seconds = None,
    last: Last = False,
    address: Address = None,
    port: Port = SSH_PORT,
    user: User = "root",
    known_hosts: KnownHosts = KNOWN_HOSTS,
    host_key: HostKey = None,
    identity: KeyFile = None,
    cwd: Directory = HERE,
    stack: StackName = STACK,
    state_dir: StateDir = None,
    config_file: ConfigFile = None,
    wait: Wait = WAIT_S,
    as_json: Json = False,
) -> None:
    """Take a PoP out of traffic, and wait until it announces nothing.

    With --address nobody knows of other PoPs: look at an upstream first.
    """
    from loopback_iac.remote.drain import drain_pop  # noqa: PLC0415 - SSH loads slowly

    asked = (cwd, stack, state_dir, config_file)
    given = (address, port, user, known_hosts, host_key)

    def work() -> Drained:
        target, others, key = _find(pop, given, identity, asked)
        return drain_pop(target, None if last else others, key, wait, seconds)

    _finish("drain", work, as_json=as_json)


def undrain(
    pop: Pop,
    *,
    address: Address = None,
    port: Port = SSH_PORT,
    user: User = "root",
    known_hosts: KnownHosts = KNOWN_HOSTS,
    host_key: HostKey = None,
    identity: KeyFile = None,
    cwd: Directory = HERE,
    stack: StackName = STACK,
    state_dir: StateDir = None,
    config_file: ConfigFile = None,
    wait: Wait = WAIT_S,
    as_json: Json = False,
) -> None:
    """Put a drained PoP back, and wait until it announces again."""
    from loopback_iac.remote.drain import undrain_pop  # noqa: PLC0415 - SSH loads slowly

    asked = (cwd, stack, state_dir, config_file)
    given = (address, port, user, known_hosts, host_key)

    def work() -> Drained:
        target, _, key = _find(pop, given, identity, asked)
        return undrain_pop(target, key, wait)

    _finish("undrain", work, as_json=as_json)


def _find(
    pop: str, given: Given, identity: Path | None, asked: Asked
) -> tuple[Expected, list[Expected] | None, Identity]:
    """Who is meant, who else is there as far as is known, and the key that opens them."""
    from loopback_iac.remote.ssh import Expected  # noqa: PLC0415 - as above

    address, port, user, known_hosts, host_key = given
    if address is not None:
        if host_key:
            pinned = parse_host_key(host_key)
        else:
            pinned = read_pinned_keys(known_hosts.expanduser(), address, port)
        target = Expected(pop, "pop", address, pinned, "", port, user)
        return target, None, read_own_identity(identity)
    directory, stack, state_dir, config_file = asked
    options = make_options(directory, stack, state_dir, config_file=config_file)
    hosts = guarded(lambda: read_expected(options))
    pops = {host.host: host for host in hosts if host.role == "pop"}
    if pop not in pops:
        raise AccessError(f"no PoP {pop!r}; there are {', '.join(sorted(pops)) or 'none'}")
    others = [host for name, host in pops.items() if name != pop]
    return pops[pop], others, guarded(lambda: read_identity(options, identity))


def _finish(verb: str, work: Callable[[], Drained], *, as_json: bool) -> None:
    from loopback_iac.remote.drain import DrainError  # noqa: PLC0415 - as above
    from loopback_iac.remote.ssh import IdentityError  # noqa: PLC0415 - as above

    try:
        done = work()
    except (AccessError, IdentityError) as cause:
        refuse(f"{verb}: {cause}", 2)
    except DrainError as cause:
        refuse(f"{verb}: {cause}", 1)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(done)))
    else:
        Console().print(render_drained(done), highlight=False, markup=False, soft_wrap=True)


def render_drained(done: Drained) -> str:
    """One sentence on how the PoP stands now."""
    how = "is drained and announces nothing" if done.drained else "announces again"
    return f"{done.pop} {how}, {done.took_s:g} s after it was told ({done.standing})"
