"""A real SSH server on 127.0.0.1 that runs what it is told in /bin/sh."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import asyncssh
from asyncssh.channel import SSHServerChannel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncssh.packet import SSHPacket

ACCEPTED = ("GIVEN", "PULUMI_COMMAND_STDOUT", "PULUMI_COMMAND_STDERR")


class _Server(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def connection_requested(self, *_: object) -> bool:
        return True  # the server is a bastion as well


async def _run(process: asyncssh.SSHServerProcess[bytes]) -> None:
    child = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        process.command or "",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin", **process.env},
    )
    # Not redirected: asyncssh would close the channel at the end of output, before the exit status.
    out, err = await child.communicate(await process.stdin.read())
    process.stdout.write(out)
    process.stderr.write(err)
    code = await child.wait()
    if code < 0:
        process.exit_with_signal({-15: "TERM", -9: "KILL"}[code])
    else:
        process.exit(code)


@dataclass
class Sshd:
    """Started by the test; ends with it."""

    port: int
    host_key: str
    user_key: str

    def connection(self, **changes: object) -> dict[str, object]:
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "user": "root",
            "host_key": self.host_key,
            "dial_error_limit": 0,
            **changes,
        }


@contextmanager
def running_sshd(folder: Path) -> Iterator[Sshd]:
    """A process of its own: its event loop must not live in the engine's."""
    host, user = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    (folder / "authorized_keys").write_bytes(user.export_public_key())
    host.write_private_key(folder / "host_key")
    with subprocess.Popen(
        [sys.executable, __file__, str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        public = host.export_public_key().decode().strip()
        yield Sshd(port, public, user.export_private_key().decode())
        process.kill()


def _accept_some(channel: SSHServerChannel[bytes], packet: SSHPacket) -> bool:
    """Answer `env` requests as sshd's AcceptEnv does; asyncssh itself accepts every name."""
    name = packet.get_string().decode()
    value = packet.get_string()
    packet.check_end()
    if name not in ACCEPTED:
        return False
    channel._env[name.encode()] = value
    return True


async def listen(folder: Path) -> None:
    SSHServerChannel._process_env_request = _accept_some
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=_Server,
        server_host_keys=[str(folder / "host_key")],
        authorized_client_keys=str(folder / "authorized_keys"),
        process_factory=_run,
        encoding=None,
    )
    sys.stdout.write(f"{server.get_port()}\n")
    sys.stdout.flush()
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(listen(Path(sys.argv[1])))
