"""Running one command over one new SSH connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import asyncssh
from asyncssh import connection as asyncssh_connection
from asyncssh.channel import SSHClientChannel
from asyncssh.packet import String

from loopback_iac.lab.command.dialing import Voice, dial
from loopback_iac.lab.command.outcome import CommandError, Output

if TYPE_CHECKING:
    from collections.abc import Callable

_SIGNALS = {"HUP": 1, "INT": 2, "QUIT": 3, "ABRT": 6, "KILL": 9, "USR1": 10, "SEGV": 11, "TERM": 15}


class RefusedVariableError(Exception):
    """The server does not accept an environment variable (AcceptEnv)."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(slots=True)
class Job:
    """What to run and how."""

    command: str
    stdin: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    hints: dict[str, str] = field(default_factory=dict)  # previous outputs: refusal only warns
    on_line: Callable[[str, bool], None] = lambda _line, _error: None


class _Session(asyncssh.SSHClientSession[bytes]):
    """Collects both streams in the order their packets arrive."""

    def __init__(self, job: Job, voice: Voice) -> None:
        self.job, self.voice = job, voice
        self.output = Output()
        self._partial = {False: b"", True: b""}

    def data_received(self, data: bytes, datatype: int | None) -> None:
        error = datatype is not None
        self.output.add(data, error=error)
        *lines, self._partial[error] = (self._partial[error] + data).split(b"\n")
        for line in lines:
            self.job.on_line(line.decode(errors="replace"), error)

    def eof_received(self) -> bool:
        """Keep the channel open: how the command ended may come after its output."""
        return True

    def flush(self) -> None:
        """Report last lines without a newline."""
        for error, rest in self._partial.items():
            if rest:
                self.job.on_line(rest.decode(errors="replace"), error)


class _Channel(SSHClientChannel[bytes]):
    """
    Sets environment variables as Go's ssh does: each is asked for, before the command starts.

    asyncssh sends them without asking for an answer, so a refusal would go unseen and the command
    would run without them.
    """

    async def _make_request(self, request: bytes, *args: bytes) -> bool | None:
        session = self._session
        if request == b"exec" and isinstance(session, _Session):
            await self._set_environment(session)
        return await super()._make_request(request, *args)

    async def _set_environment(self, session: _Session) -> None:
        job = session.job
        for name, value in {**job.hints, **job.environment}.items():
            if await super()._make_request(b"env", String(name), String(value)):
                continue
            # pulumi-command provider/pkg/provider/remote/commandOutputs.go: logAndWrapSetenvErr
            words = (
                f"Unable to set '{name}'. This only works if your SSH server is configured to"
                " accept this variable via AcceptEnv."
            )
            session.voice.warn(words)
            if name in job.environment:
                raise RefusedVariableError(name)


# This process is the plugin's own: nobody else uses asyncssh in it.
vars(asyncssh_connection)["SSHClientChannel"] = _Channel


async def run_remote(connection: dict[str, Any], job: Job, voice: Voice) -> tuple[str, str]:
    """
    Connect, run, disconnect.

    Out: standard output and standard error.
    Raises: CommandError when the command cannot be run or does not end with 0.
    Sources: pulumi-command provider/pkg/provider/remote/commandOutputs.go: run.
    """
    closers: list[Callable[[], None]] = []
    try:
        return await _run_session(await dial(connection, voice, closers), job, voice)
    finally:
        for close in reversed(closers):
            close()


async def _run_session(
    connection: asyncssh.SSHClientConnection, job: Job, voice: Voice
) -> tuple[str, str]:
    session = _Session(job, voice)
    try:
        channel, _ = await connection.create_session(lambda: session, job.command, encoding=None)
    except RefusedVariableError as error:
        raise CommandError(
            f'could not set environment variable "{error.name}": ssh: setenv failed'
        ) from error
    except (asyncssh.Error, OSError) as error:
        raise CommandError(f"could not start the command: {error}") from error
    if job.stdin:
        channel.write(job.stdin.encode())
    channel.write_eof()
    await channel.wait_closed()
    session.flush()
    reason = _explain_end(channel)
    if reason:
        raise session.output.explain(reason, job.command)
    return session.output.render()


def _explain_end(channel: asyncssh.SSHClientChannel[bytes]) -> str:
    """
    Out: "" for an end with 0, else Go's words for it.

    Sources: golang.org/x/crypto/ssh session.go: Session.wait, Waitmsg.String.
    """
    signal = channel.get_exit_signal()
    if signal is not None:
        code = 128 + _SIGNALS.get(signal[0], 0)
        return f"Process exited with status {code} from signal {signal[0]}"
    status = channel.get_exit_status()
    if status is None:
        return "wait: remote command exited without exit status or exit signal"
    return f"Process exited with status {status}" if status else ""
