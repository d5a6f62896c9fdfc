"""An SSH server that stands for hosts: what it does depends on the user who logs in.

argv: server key file, file with the client's public key. Listens on 127.0.0.1 and ::1, port 22.
"""

from __future__ import annotations

import asyncio
import json
import sys

import asyncssh

REPORT = {
    "format": 1, "host": "fra1", "role": "pop", "active": None, "pending": None, "files": {},
    "bgp": None, "tunnels": {}, "blackholes": [],
}  # fmt: skip
OPEN = {"standing": "serving", "drain": [], "gates": {"v4": {"position": "open", "reason": "fine"}}}
SHUT = {
    "standing": "drained by update",
    "drain": ["update"],
    "gates": {"v4": {"position": "closed", "reason": "drained"}},
}


def act(user: str, words: list[str]) -> object:
    """A PoP that notes what it is told and stays as it is."""
    if words == ["report"]:
        return REPORT | (OPEN if user == "announces" else SHUT)
    return {"drained": words[0] == "drain"}


async def serve(process: asyncssh.SSHServerProcess) -> None:
    user = process.get_extra_info("username")
    if user == "hangs":
        await asyncio.sleep(3600)
    elif user == "floods":
        while True:
            process.stdout.write("x" * 65536)
            await process.stdout.drain()
    elif user == "refuses":
        process.stderr.write("loopback-agent report: this host was never enrolled\n")
        process.exit(1)
    elif user in ("announces", "is-shut"):
        process.stdout.write(json.dumps(act(user, process.command.split()[1:])))
        process.exit(0)
    else:
        process.stdout.write(f'{{"asked": "{process.command}"}}')
        process.exit(0)


class Server(asyncssh.SSHServer):
    """Leads on for one user: a bastion."""

    def begin_auth(self, username: str) -> bool:
        self._user = username
        return True

    def connection_requested(self, *_: object) -> bool:
        return self._user == "leads-on"


async def main() -> None:
    key, allowed = sys.argv[1:]
    for address in ("127.0.0.1", "::1"):
        await asyncssh.listen(
            address,
            22,
            server_factory=Server,
            server_host_keys=[key],
            authorized_client_keys=allowed,
            process_factory=serve,
        )
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    await asyncio.sleep(3600)


asyncio.run(main())
