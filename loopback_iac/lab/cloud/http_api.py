"""A stand-in cloud's HTTP API: over TLS of the lab's CA, at an address of the cloud's router.

A process of its own per cloud, in a lab's LOOPBACK_LAB. What it changes it changes as the provider
plugin does: in the book, under the lock, and in the router.
"""

from __future__ import annotations

import hmac
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import loopback_iac
from loopback_iac.lab import cgroups, namespaces
from loopback_iac.lab.cloud.kinds import ApiError
from loopback_iac.lab.keys import issue_certificate
from loopback_iac.lab.paths import InstancePaths, LabError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopback_iac.lab.topology import Cloud

_DEADLINE_S, _AGAIN_S = 30.0, 0.05


class Reply(NamedTuple):
    """What the API answers."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str] = {}


class Api(Protocol):
    """One vendor's API, whatever carries it."""

    def refuse_token(self) -> ApiError:
        """What a wrong token is told."""
        ...

    def answer(self, verb: str, path: str, content: dict[str, Any]) -> Reply:
        """Raises: ApiError."""
        ...

    def shape(self, refused: ApiError) -> dict[str, Any]:
        """An error as its body."""
        ...


def address_of(cloud: Cloud) -> str:
    """Where a cloud's API is: no cloud gives the first address of its network to a server."""
    return str(cloud.v4[1])


def ensure_served(paths: InstancePaths, cloud: Cloud, module: str) -> None:
    """
    Have the API answer; it ends with the lab.

    In: module, whose main is `serve`.
    Raises: LabError when it does not start.
    """
    address = address_of(cloud)
    namespaces.ip_batch(paths.namespace(cloud.name), [f"address replace {address}/32 dev lo"])
    deadline, started = time.monotonic() + _DEADLINE_S, False
    while not _listens(paths, cloud):
        if time.monotonic() > deadline:
            raise LabError(f"the API of {cloud.name} does not start")
        if not started and not cgroups.pids(paths, f"{cloud.name}-api"):
            _start(paths, cloud, module)
            started = True
        time.sleep(_AGAIN_S)


def _start(paths: InstancePaths, cloud: Cloud, module: str) -> None:
    join = cgroups.ensure_cgroup(paths, f"{cloud.name}-api")
    root = str(Path(loopback_iac.__file__).parents[1])
    subprocess.run(
        ["setsid", "--fork", *join, sys.executable, "-m", module],
        env=os.environ | {"PYTHONPATH": root, "LOOPBACK_LAB": paths.name},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )


def _listens(paths: InstancePaths, cloud: Cloud) -> bool:
    try:
        namespaces.connect(paths, cloud.name, address_of(cloud), 443, 2).close()
    except OSError:
        return False
    return True


class Exchange(BaseHTTPRequestHandler):
    """One request, one JSON answer."""

    api: Api
    token: Path
    protocol_version = "HTTP/1.1"
    timeout = 10

    def do_GET(self) -> None:
        """Ask."""
        self._answer()

    def do_POST(self) -> None:
        """Begin something."""
        self._answer()

    def do_PATCH(self) -> None:
        """Change."""
        self._answer()

    def do_PUT(self) -> None:
        """Make, or replace."""
        self._answer()

    def do_DELETE(self) -> None:
        """Take away."""
        self._answer()

    def _answer(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            right = f"Bearer {self.token.read_text().strip()}"
            given = self.headers.get("Authorization") or ""
            if not hmac.compare_digest(given.encode(), right.encode()):
                raise self.api.refuse_token()
            reply = self.api.answer(self.command, self.path, json.loads(raw or b"{}"))
        except ApiError as refused:
            reply = Reply(refused.status, self.api.shape(refused))
        except (LabError, ValueError, KeyError) as broken:
            reply = Reply(500, self.api.shape(ApiError("server_error", str(broken), 500)))
        text = json.dumps(reply.body).encode()
        self.send_response(reply.status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(text))}
        for name, value in {**headers, "Connection": "close", **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Nobody reads a log of this."""


def serve(paths: InstancePaths, cloud: Cloud, api: Api) -> None:
    """Answer for ever."""
    address = address_of(cloud)
    Exchange.api, Exchange.token = api, paths.keys / f"token-{cloud.name}"
    server = ThreadingHTTPServer((address, 443), Exchange, bind_and_activate=False)
    server.socket.close()
    listening = namespaces.listen(paths, cloud.name, address, 443)
    server.socket = _tls(paths, address).wrap_socket(
        listening, server_side=True, do_handshake_on_connect=False
    )
    server.serve_forever()


def _tls(paths: InstancePaths, address: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as pem:
        pem.write(issue_certificate(paths, address))
        pem.flush()
        context.load_cert_chain(pem.name)
    return context
