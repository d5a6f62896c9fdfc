"""How a verb gets at hosts without Pulumi: from the stack's outputs, or from what it is told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopback_iac.engine import Options
    from loopback_iac.remote.ssh import Expected, Identity, Jump

KEY_NAME = "sshPrivateKey"
SSH_PORT = 22
KeyFile = Annotated[
    Path | None,
    typer.Option(help=f"Private key; else the secret {KEY_NAME}, else $SSH_AUTH_SOCK."),
]
_OFF_CONSOLE = (
    "--host-key 'ssh-ed25519 AAAA...' read off its console (/etc/ssh/ssh_host_ed25519_key.pub)"
)
FIELDS = ("role", "address", "ssh_port", "ssh_user", "host_key", "digest")


class AccessError(Exception):
    """No way to a host; the text says what is missing and how to give it."""


def read_expected(options: Options) -> list[Expected]:
    """Hosts of a stack, from its output `hosts`.

    Raises: AccessError when the stack was never applied, or exports no hosts.
    """
    return parse_expected(read_hosts(options))


def read_hosts(options: Options) -> dict[str, Any]:
    """The output `hosts` of a stack, as AnycastEdge gives it.

    Raises: AccessError when the stack was never applied, or exports no hosts.
    """
    from loopback_iac.engine import read_outputs  # noqa: PLC0415 - the engine loads slowly

    hosts = read_outputs(options).get("hosts")
    if not isinstance(hosts, dict) or not hosts:
        raise AccessError(
            f"stack {options.stack!r} has no output `hosts`: it was never applied, or its program"
            ' does not export it\n  fix: pulumi.export("hosts", edge.hosts), then `loopback up`'
        )
    return hosts


def parse_expected(hosts: Mapping[str, Any]) -> list[Expected]:
    """In: the output `hosts` of AnycastEdge.

    Raises: AccessError naming hosts whose facts are incomplete.
    """
    from loopback_iac.remote.ssh import Expected  # noqa: PLC0415 - as above

    short = [n for n, f in hosts.items() if not isinstance(f, dict) or not set(FIELDS) <= set(f)]
    if short:
        raise AccessError(
            f"output `hosts`: {', '.join(sorted(short))} lacks some of {', '.join(FIELDS)}\n"
            "  fix: `loopback up` with this version of the library"
        )
    return [
        Expected(
            host=name,
            role=str(facts["role"]),
            address=str(facts["address"]),
            host_key=str(facts["host_key"]),
            digest=str(facts["digest"]),
            ssh_port=int(facts["ssh_port"]),
            user=str(facts["ssh_user"]),
            bastion=_jump(facts.get("bastion")),
        )
        for name, facts in sorted(hosts.items())
    ]


def _jump(facts: Mapping[str, Any] | None) -> Jump | None:
    from loopback_iac.remote.ssh import Jump  # noqa: PLC0415 - as above

    if not facts:
        return None
    return Jump(
        address=str(facts["address"]),
        host_key=str(facts["host_key"]),
        ssh_port=int(facts["ssh_port"]),
        user=str(facts["ssh_user"]),
    )


def read_identity(options: Options, file: Path | None) -> Identity:
    """The key that opens the hosts: a file, the stack's secret, or an SSH agent, in this order.

    Raises: AccessError when there is none of them.
    """
    from loopback_iac.remote.ssh import Identity  # noqa: PLC0415 - as above

    if file is None and (secret := _stack_secret(options)):
        return Identity(private_key=secret)
    return read_own_identity(
        file, f"the stack has no readable secret {KEY_NAME}", "PULUMI_CONFIG_PASSPHRASE_FILE, or "
    )


def read_own_identity(file: Path | None, lacks: str = "", fix: str = "") -> Identity:
    """The key of whoever sits there: a file, else an SSH agent; nothing of a stack is read.

    In: what else was looked for in vain and how it could be given, for the refusal.
    Raises: AccessError when there is neither.
    """
    from loopback_iac.remote.ssh import Identity  # noqa: PLC0415 - as above

    if file is not None:
        try:
            return Identity(private_key=file.read_text())
        except OSError as cause:
            raise AccessError(f"--identity {file}: {cause.strerror}") from None
    agent = os.environ.get("SSH_AUTH_SOCK", "")
    if not agent:
        lacking = f"{lacks}, and no SSH agent runs" if lacks else "no SSH agent runs"
        raise AccessError(
            f"no key to log in with: {lacking}\n  fix: --identity FILE, or {fix}SSH_AUTH_SOCK"
        )
    return Identity(agent_socket=agent)


def parse_host_key(text: str) -> str:
    """A host key as somebody typed it.

    Raises: AccessError when it is none; dialled with it, the host would be blamed.
    """
    import asyncssh  # noqa: PLC0415 - loads slowly

    try:
        asyncssh.import_public_key(text)
    except asyncssh.KeyImportError as cause:
        raise AccessError(
            f"--host-key: got {text[:40]!r} ({cause})\n  fix: {_OFF_CONSOLE}"
        ) from None
    return text


def read_pinned_keys(file: Path, address: str, port: int) -> str:
    """Host keys that a known_hosts file pins for an address, one per line.

    In: a file as OpenSSH keeps it; hashed names and `[address]:port` are understood.
    Raises: AccessError when it cannot be read, or pins none for this address.
    """
    import asyncssh  # noqa: PLC0415 - loads slowly

    try:
        known = asyncssh.import_known_hosts(file.read_text())
    except OSError as cause:
        raise AccessError(
            f"--known-hosts {file}: {cause.strerror}\n"
            "  fix: give the file in which the hosts' keys are kept, or --host-key"
        ) from None
    except ValueError as cause:
        raise AccessError(f"--known-hosts {file}: {cause}") from None
    keys, _, revoked, *_ = known.match(address, address, None if port == SSH_PORT else port)
    allowed = [key for key in keys if key not in revoked]
    if not allowed:
        named = address if port == SSH_PORT else f"[{address}]:{port}"
        raise AccessError(
            f"{file} holds no key of {named}; a host whose key nobody pinned is not talked to\n"
            f"  fix: --known-hosts FILE, or {_OFF_CONSOLE}"
        )
    return "\n".join(dict.fromkeys(k.export_public_key().decode().strip() for k in allowed))


def _stack_secret(options: Options) -> str:
    from loopback_iac.engine.passphrase import open_crypter  # noqa: PLC0415 - as above
    from loopback_iac.engine.project import parse_project  # noqa: PLC0415 - as above
    from loopback_iac.engine.stackconfig import (  # noqa: PLC0415 - as above
        load_stack_file,
        parse_stack_config,
        read_passphrase,
    )

    project = parse_project(options.directory)
    raw = load_stack_file(project, options.stack, options.config_file)
    crypter = open_crypter(str(raw.get("encryptionsalt") or ""), read_passphrase())
    return parse_stack_config(raw, project, crypter).values.get(f"{project.name}:{KEY_NAME}", "")
