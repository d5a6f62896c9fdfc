"""One question to many hosts over SSH: pinned host keys, at once, within a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncssh

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

AGENT = "/usr/local/sbin/loopback-agent"
MAX_ANSWER = 4_000_000  # a host that was broken into must not fill the asker's memory
ENDED_BY_SIGNAL = -1


@dataclass(frozen=True, slots=True)
class Jump:
    """A bastion in front of a host, or the PoP through whose tunnel a worker is managed."""

    address: str
    host_key: str
    ssh_port: int = 22
    user: str = "root"


@dataclass(frozen=True, slots=True)
class Expected:
    """A host as the state knows it: how to reach it, and what it was converged to.

    `host_key` may be several, one per line: any of them is the host.
    """

    host: str
    role: str
    address: str
    host_key: str
    digest: str
    ssh_port: int = 22
    user: str = "root"
    bastion: Jump | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """What proves to a host who asks: a private key's text, an SSH agent's socket, or both."""

    private_key: str = ""
    agent_socket: str = ""

    def __repr__(self) -> str:
        """Never the key."""
        return f"Identity(private_key={bool(self.private_key)}, agent={self.agent_socket!r})"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a host said. `unreachable` says why there is no answer."""

    stdout: str = ""
    stderr: str = ""
    exit_status: int = 0
    unreachable: str = ""


class TooLongError(Exception):
    """A host does not stop talking."""


class IdentityError(ValueError):
    """The private key cannot be used; the text never holds it."""


def ask_hosts(
    hosts: Iterable[Expected], words: Sequence[str], identity: Identity, deadline_s: float
) -> Mapping[str, Answer]:
    """Ask the agent of every host the same, all at once.

    In: words of the agent's verb, such as ("report",).
    Out: answer by host name; a host that gives none within the deadline is in it too.
    Raises: IdentityError.
    """
    try:
        keys = [asyncssh.import_private_key(identity.private_key)] if identity.private_key else []
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as cause:
        raise IdentityError(
            f"the private key cannot be read: {cause}\n  fix: give the private half as OpenSSH"
            " keeps it; one with a passphrase through an agent (`ssh-add`, SSH_AUTH_SOCK)"
        ) from None

    async def ask_all() -> dict[str, Answer]:
        listed = list(hosts)
        asked = (_ask(host, words, keys, identity.agent_socket, deadline_s) for host in listed)
        answers = await asyncio.gather(*asked)
        return {host.host: answer for host, answer in zip(listed, answers, strict=True)}

    return asyncio.run(ask_all())


async def _ask(
    host: Expected, words: Sequence[str], keys: list[asyncssh.SSHKey], agent: str, deadline_s: float
) -> Answer:
    end: Expected | Jump = host.bastion or host
    try:
        async with asyncio.timeout(deadline_s), contextlib.AsyncExitStack() as opened:
            tunnel = None
            if host.bastion is not None:
                tunnel = await opened.enter_async_context(_dial(host.bastion, keys, agent))
            end = host
            line = await opened.enter_async_context(_dial(host, keys, agent, tunnel))
            return await _talk(line, words)
    except TimeoutError:
        why = f"no answer within {deadline_s:g} s"
    except (asyncssh.Error, OSError, ValueError) as cause:
        why = _explain(cause, end)
    return Answer(unreachable=why if end is host else f"its bastion {end.address}: {why}")


def _explain(cause: Exception, end: Expected | Jump) -> str:
    """Why an end of the way gave no answer."""
    if isinstance(cause, asyncssh.HostKeyNotVerifiable):
        return "it shows another host key than the one that is pinned"
    if isinstance(cause, asyncssh.PermissionDenied):
        return f"it refuses this key for user {end.user}"
    if isinstance(cause, asyncssh.ChannelOpenError):
        return f"its bastion does not lead to {end.address} port {end.ssh_port}: {cause.reason}"
    if isinstance(cause, OSError):
        why = os.strerror(cause.errno) if cause.errno else str(cause)
        return f"{end.address} port {end.ssh_port}: {why}"
    return str(cause) or type(cause).__name__


def _dial(
    end: Expected | Jump,
    keys: list[asyncssh.SSHKey],
    agent: str,
    tunnel: asyncssh.SSHClientConnection | None = None,
) -> AbstractAsyncContextManager[asyncssh.SSHClientConnection]:
    pinned = [asyncssh.import_public_key(key) for key in end.host_key.splitlines()]
    return asyncssh.connect(
        end.address,
        end.ssh_port,
        tunnel=tunnel or (),
        username=end.user,
        known_hosts=(pinned, [], []),
        client_keys=keys or None,
        agent_path=agent or None,
        config=None,  # a file in somebody's home must not decide what we trust
        preferred_auth="publickey",
    )


async def _talk(connection: asyncssh.SSHClientConnection, words: Sequence[str]) -> Answer:
    command = " ".join((AGENT, *words))
    process = await connection.create_process(command, stdin=asyncssh.DEVNULL)
    try:
        out, complaint = await asyncio.gather(_read_all(process.stdout), _read_all(process.stderr))
    except TooLongError:
        connection.abort()  # an orderly end would wait for the flood to end
        return Answer(unreachable=f"its answer is longer than {MAX_ANSWER} characters")
    done = await process.wait()
    status = ENDED_BY_SIGNAL if done.exit_status is None else done.exit_status
    return Answer(out, complaint, status)


async def _read_all(stream: asyncssh.SSHReader[str]) -> str:
    parts, length = [], 0
    while chunk := await stream.read(65536):
        parts.append(chunk)
        length += len(chunk)
        if length > MAX_ANSWER:
            raise TooLongError
    return "".join(parts)
