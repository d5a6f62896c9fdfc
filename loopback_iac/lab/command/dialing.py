"""Connecting over SSH with pulumi-command's retries and host key rules."""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncssh

from loopback_iac.lab.command.outcome import CommandError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# pulumi-command provider/pkg/provider/remote/connection.go: defaults and the retry's backoff.
_PORT = 22
_DIAL_ERROR_LIMIT = 10
_PER_DIAL_TIMEOUT_S = 15
_FIRST_WAIT_S = 0.1
_WAIT_FACTOR = 1.5
_LONGEST_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Target:
    """One end of an SSH connection, as `connection` or `connection.proxy` describe it."""

    host: str
    port: int
    user: str
    password: str
    private_key: str
    private_key_password: str
    agent_socket: str
    host_key: str
    dial_error_limit: int
    per_dial_timeout_s: float


@dataclass(frozen=True, slots=True)
class Voice:
    """Where a connection says what goes on."""

    status: Callable[[str], None]
    warn: Callable[[str], None]
    stopped: Callable[[], bool]


def parse_target(raw: dict[str, Any]) -> Target:
    """
    Read `connection` (or its `proxy`).

    Sources: pulumi-command provider/pkg/provider/remote/connection.go: connectionBase.
    """
    return Target(
        host=str(raw.get("host", "")),
        port=int(raw.get("port", _PORT)),
        user=str(raw.get("user") or "root"),
        password=str(raw.get("password") or ""),
        private_key=str(raw.get("privateKey") or ""),
        private_key_password=str(raw.get("privateKeyPassword") or ""),
        agent_socket=str(raw.get("agentSocketPath") or os.environ.get("SSH_AUTH_SOCK") or ""),
        host_key=str(raw.get("hostKey") or ""),
        dial_error_limit=int(raw.get("dialErrorLimit", _DIAL_ERROR_LIMIT)),
        per_dial_timeout_s=float(raw.get("perDialTimeout", _PER_DIAL_TIMEOUT_S)),
    )


async def dial(
    raw: dict[str, Any], voice: Voice, closers: list[Callable[[], None]]
) -> asyncssh.SSHClientConnection:
    """
    Connect, through the bastion if there is one.

    In: closers: gets what is to be called afterwards, in reverse order.
    Raises: CommandError in pulumi-command's words.
    """
    target = parse_target(raw)
    bastion: asyncssh.SSHClientConnection | None = None
    if raw.get("proxy"):
        jump = parse_target(raw["proxy"])
        try:
            bastion = await _reach(jump, voice, "Dial proxy", closers)
        except CommandError as error:
            raise CommandError(f"proxy: {error}") from error
        return await _reach(target, voice, "Dial from proxy", closers, bastion)
    return await _reach(target, voice, "Dial", closers)


async def _reach(
    target: Target,
    voice: Voice,
    label: str,
    closers: list[Callable[[], None]],
    bastion: asyncssh.SSHClientConnection | None = None,
) -> asyncssh.SSHClientConnection:
    options = await _make_options(target, voice, closers)
    opened = await _retry(target, voice, label, lambda: _open(target, options, bastion))
    closers.append(opened.close)
    return opened


async def _make_options(
    target: Target, voice: Voice, closers: list[Callable[[], None]]
) -> dict[str, Any]:
    """
    What asyncssh needs to be told; mistakes here are not retried.

    Sources: pulumi-command provider/pkg/provider/remote/connection.go: SShConfig.
    """
    keys: list[Any] = [_read_key(target)] if target.private_key else []
    if target.agent_socket:
        keys += await _read_agent(target.agent_socket, closers)
    options: dict[str, Any] = {
        "username": target.user,
        "config": None,  # neither ~/.ssh/config nor default keys: only what the resource says
        "client_keys": keys or None,
        "agent_path": None,
        "password": target.password or None,
        "preferred_auth": "publickey,password,keyboard-interactive",
        "known_hosts": None,
    }
    if target.host_key:
        key = _read_host_key(target.host_key)
        options["known_hosts"] = ([key], [], [])
        # the pinned key's own type is the only algorithm offered
        options["server_host_key_algs"] = [key.algorithm.decode()]
    else:
        voice.warn(
            f"no hostKey for {target.host}: the host is not verified (InsecureIgnoreHostKey);"
            " pin it with `host_key`"
        )
    return options


def _read_key(target: Target) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_private_key(target.private_key, target.private_key_password or None)
    except asyncssh.KeyImportError as error:
        raise CommandError(f"failed to parse private key: {error}") from error


def _read_host_key(line: str) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_public_key(line)
    except asyncssh.KeyImportError as error:
        raise CommandError(f"failed to parse host key: {error}") from error


async def _read_agent(path: str, closers: list[Callable[[], None]]) -> list[Any]:
    """The agent's keys; one that does not answer is an error at once, not one of the dials."""
    try:
        agent = await asyncssh.connect_agent(path)
    except OSError as error:
        raise CommandError(f"dial unix {path}: connect: {error.strerror}") from error
    closers.append(agent.close)
    return list(await agent.get_keys())


async def _retry(
    target: Target,
    voice: Voice,
    label: str,
    attempt: Callable[[], Awaitable[asyncssh.SSHClientConnection]],
) -> asyncssh.SSHClientConnection:
    """
    Dial until it works or the limit of errors is reached.

    Sources: pulumi-command provider/pkg/provider/remote/connection.go: dialWithRetry; a refused
    login counts like a refused connection, a limit of 10 makes 11 dials.
    """
    limit, wait_s, failed = target.dial_error_limit, _FIRST_WAIT_S, 0
    while True:
        try:
            return await attempt()
        except CommandError as error:
            if voice.stopped():
                raise CommandError("context canceled") from error
            if limit >= 0 and failed >= limit:
                raise CommandError(f"after {failed} failed attempts: {error}") from error
        failed += 1
        total = f"/{limit}" if limit >= 0 else ""
        voice.status(f"{label} {failed}{total} failed: retrying")
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * _WAIT_FACTOR, _LONGEST_WAIT_S)


async def _open(
    target: Target, options: dict[str, Any], bastion: asyncssh.SSHClientConnection | None = None
) -> asyncssh.SSHClientConnection:
    try:
        if bastion is not None:
            return await bastion.connect_ssh(target.host, target.port, **options)
        plug = await _open_tcp(target)
        return await asyncssh.connect(target.host, target.port, sock=plug, **options)
    except asyncssh.HostKeyNotVerifiable as error:
        raise CommandError("ssh: handshake failed: ssh: host key mismatch") from error
    except asyncssh.PermissionDenied as error:
        tried = [
            *(["publickey"] if options["client_keys"] or target.agent_socket else []),
            *(["password", "keyboard-interactive"] if target.password else []),
        ]
        raise CommandError(
            "ssh: handshake failed: ssh: unable to authenticate, attempted methods"
            f" [{' '.join(['none', *tried])}], no supported methods remain"
        ) from error
    except (asyncssh.Error, OSError) as error:
        raise CommandError(f"ssh: handshake failed: {error}") from error


async def _open_tcp(target: Target) -> socket.socket:
    """Only the TCP connection is under perDialTimeout, as in Go's ssh.Dial."""
    place = f"dial tcp {target.host}:{target.port}"
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(target.per_dial_timeout_s or None):
            found = await loop.getaddrinfo(
                target.host, target.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
            )
            return await _connect_first(found)
    except TimeoutError as error:
        raise CommandError(f"{place}: i/o timeout") from error
    except socket.gaierror as error:
        raise CommandError(f"dial tcp: lookup {target.host}: no such host") from error
    except OSError as error:
        words = os.strerror(error.errno).lower() if error.errno else str(error)
        raise CommandError(f"{place}: connect: {words}") from error


async def _connect_first(found: list[Any]) -> socket.socket:
    loop = asyncio.get_running_loop()
    problem: OSError = OSError("no address")
    for family, kind, protocol, _, address in found:
        plug = socket.socket(family, kind, protocol)
        plug.settimeout(0)
        try:
            await loop.sock_connect(plug, address)
        except OSError as error:
            plug.close()
            problem = error
        except BaseException:
            plug.close()
            raise
        else:
            return plug
    raise problem
