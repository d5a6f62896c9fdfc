"""`loopback join NAME`: one line for a machine behind a router that hides it."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loopback_iac.cli.access import AccessError, read_hosts, read_identity
from loopback_iac.cli.running import (
    HERE,
    STACK,
    STDERR,
    ConfigFile,
    Directory,
    StackName,
    StateDir,
    guarded,
    make_options,
    refuse,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopback_iac.render import Door

# Says first whether the text arrived whole: what is pasted is sometimes wrapped or cut.
_LINE = (
    'python3 -Ic \'import base64,hashlib,json,zlib;t="{text}";'
    'hashlib.sha256(t.encode()).hexdigest()=="{digest}"'
    ' or exit("loopback join: the line was damaged on its way; paste it again. machine: unchanged")'
    ';p,r=json.loads(zlib.decompress(base64.b64decode(t)));exec(p);print(join(r),end="")\''
)
Name = Annotated[str, typer.Argument(help="What the worker is called in the fleet.")]
NodeId = Annotated[
    int,
    typer.Option(min=1, help="Its node_id: a number no worker ever had."),
]
Through = Annotated[
    str | None, typer.Option(help="PoP that it dials and is managed through; else the first.")
]
Mtu = Annotated[int, typer.Option(min=1360, max=9000, help="MTU of its path to the PoPs.")]
DeployKey = Annotated[
    Path | None,
    typer.Option(help="Public half of the deploy key; else derived as other verbs find the key."),
]


def register(app: typer.Typer) -> None:
    """Add `join` to `app`."""
    app.command("join")(join)


def join(
    name: Name,
    *,
    node_id: NodeId,
    through: Through = None,
    path_mtu_bytes: Mtu = 1500,
    deploy_key: DeployKey = None,
    cwd: Directory = HERE,
    stack: StackName = STACK,
    state_dir: StateDir = None,
    config_file: ConfigFile = None,
) -> None:
    """Print a line to paste, as root, on a machine that nobody reaches from outside.

    Its answer goes into the stack's configuration; the next `up` does the rest. Neither is secret.
    """
    from loopback_iac.render import Joining, render_join  # noqa: PLC0415 - loads slowly

    options = make_options(cwd, stack, state_dir, config_file=config_file)
    try:
        hosts = guarded(lambda: read_hosts(options))
        door = find_door(hosts, name, node_id, through)
        if deploy_key is not None:
            key = parse_deploy_key(deploy_key)
        else:
            key = guarded(lambda: _public_half(read_identity(options, None).private_key))
    except AccessError as cause:
        refuse(f"join: {cause}", 2)
    typer.echo(render_line(render_join(door, Joining(name, node_id, path_mtu_bytes, key))))
    STDERR.print(
        f"paste it on {name} as root; its answer goes into the stack's configuration, then `up`",
        markup=False,
    )


def find_door(
    hosts: Mapping[str, Mapping[str, Any]], name: str, node_id: int, through: str | None
) -> Door:
    """The PoP that the machine is to dial.

    In: the output `hosts` of AnycastEdge.
    Raises: AccessError when name or number is somebody else's, or there is no such PoP.
    """
    from loopback_iac.model.check_nodes import LONGEST_HOST_NAME  # noqa: PLC0415 - loads slowly
    from loopback_iac.model.structure import check_name  # noqa: PLC0415 - as above
    from loopback_iac.model.traffic import LAST_WORKER_ID  # noqa: PLC0415 - as above
    from loopback_iac.render import Door  # noqa: PLC0415 - as above

    if check_name("", name) or len(name) > LONGEST_HOST_NAME:
        raise AccessError(
            f"got the name {name!r}\n  fix: lower-case letters, digits and inner hyphens,"
            f" at most {LONGEST_HOST_NAME}"
        )
    if node_id > LAST_WORKER_ID:
        raise AccessError(f"got node_id {node_id}\n  fix: a number up to {LAST_WORKER_ID}")
    for host, facts in hosts.items():
        if facts["role"] == "worker" and (host == name) != (facts.get("node_id") == node_id):
            raise AccessError(
                f"worker {host} has node_id {facts.get('node_id')}; got {name} with {node_id}\n"
                "  fix: a number belongs to one name for good; take the next free one"
            )
    pops = {host: facts for host, facts in sorted(hosts.items()) if facts["role"] == "pop"}
    pop = through or next(iter(pops), "")
    if pop not in pops:
        raise AccessError(f"no PoP {pop!r}; there are {', '.join(pops) or 'none'}")
    facts = pops[pop]
    if not {"fleet", "node_id", "public_keys"} <= facts.keys():
        raise AccessError(
            f"output `hosts` does not say what {pop}'s tunnels need\n"
            "  fix: `loopback up` with this version of the library"
        )
    if facts.get("bastion"):
        raise AccessError(
            f"{pop} is reached through a bastion itself, and SSH jumps once\n"
            "  fix: --through another PoP"
        )
    return Door(
        fleet=str(facts["fleet"]),
        pop=pop,
        node_id=int(facts["node_id"]),
        address=ip_address(facts["address"]),
        public_keys={int(epoch): key for epoch, key in facts["public_keys"].items()},
    )


def render_line(request: Mapping[str, object]) -> str:
    """A line of shell that runs agent/join.py with this request; it holds no secret."""
    from loopback_iac.agent import join_program  # noqa: PLC0415 - nobody else needs it

    packed = zlib.compress(json.dumps([join_program(), request]).encode(), 9)
    text = base64.b64encode(packed).decode()
    return _LINE.format(text=text, digest=hashlib.sha256(text.encode()).hexdigest())


def parse_deploy_key(file: Path) -> str:
    """Type and base64 of a public key.

    Raises: AccessError when the file holds none.
    """
    import asyncssh  # noqa: PLC0415 - loads slowly

    try:
        return _as_line(asyncssh.read_public_key(file))
    except (OSError, asyncssh.KeyImportError) as cause:
        raise AccessError(
            f"--deploy-key {file}: {cause}\n  fix: give the public half, NAME.pub"
        ) from None


def _public_half(private: str) -> str:
    import asyncssh  # noqa: PLC0415 - as above

    if not private:
        raise AccessError(
            "the deploy key is in an SSH agent, which does not say which of its keys it is\n"
            "  fix: --deploy-key FILE with its public half"
        )
    try:
        return _as_line(asyncssh.import_private_key(private).convert_to_public())
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as cause:
        raise AccessError(
            f"the deploy key cannot be read: {cause}\n  fix: --deploy-key FILE"
        ) from (None)


def _as_line(key: Any) -> str:  # noqa: ANN401 - asyncssh.SSHKey, which would load here
    return " ".join(key.export_public_key().decode().split()[:2])
