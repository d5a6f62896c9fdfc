"""Hetzner's HTTP API, as much of it as an arbiter asks: who has a floating IP, and give it to whom.

A process of its own, `python -m loopback_iac.lab.cloud.hetzner.api`, in a lab's LOOPBACK_LAB: over
TLS of the lab's CA, at an address of the cloud's router, from the first floating IP on. What it
changes it changes as the provider plugin does: in the book, under the lock, and in the router.

Sources: docs.hetzner.cloud: Floating IPs, Floating IP Actions, Actions, Errors, Authentication.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import loopback_iac
from loopback_iac.lab import cgroups, namespaces
from loopback_iac.lab.cloud.account import Account
from loopback_iac.lab.cloud.hetzner.addresses import move
from loopback_iac.lab.cloud.hetzner.machines import CLOUD
from loopback_iac.lab.cloud.hetzner.words import FAULTS, find, refuse
from loopback_iac.lab.cloud.kinds import ApiError
from loopback_iac.lab.cloud.switches import take_fault
from loopback_iac.lab.keys import issue_certificate
from loopback_iac.lab.paths import InstancePaths, LabError

if TYPE_CHECKING:
    from loopback_iac.lab.cloud.book import Thing

# no cloud gives the first address of its network to a server
ADDRESS = str(CLOUD.v4[1])
ENDPOINT = f"https://{ADDRESS}/v1"
# Faults of a test: kinds of call, and the code of a move that is taken and never happens.
READ, ASSIGN, MOVE = "floating_ip-get", "floating_ip-assign", "floating_ip-move"
LOST = "lost"
_GET = re.compile(r"/v1/floating_ips/([0-9]+)")
_ASSIGN = re.compile(r"/v1/floating_ips/([0-9]+)/actions/assign")
_ACTION = re.compile(r"/v1/actions/([0-9]+)")
_DEADLINE_S, _AGAIN_S = 30.0, 0.05
_AUTHORITY = f"{CLOUD.name}-api"


def ensure_served(paths: InstancePaths) -> None:
    """
    Have the API answer; it ends with the lab.

    Raises: LabError when it does not start.
    """
    name = paths.namespace(CLOUD.name)
    namespaces.ip_batch(name, [f"address replace {ADDRESS}/32 dev lo"])
    deadline, started = time.monotonic() + _DEADLINE_S, False
    while not _listens(paths):
        if time.monotonic() > deadline:
            raise LabError("the API of hcloud does not start")
        if not started and not cgroups.pids(paths, _AUTHORITY):
            _start(paths)
            started = True
        time.sleep(_AGAIN_S)


def _start(paths: InstancePaths) -> None:
    join = cgroups.ensure_cgroup(paths, _AUTHORITY)
    root = str(Path(loopback_iac.__file__).parents[1])
    subprocess.run(
        ["setsid", "--fork", *join, sys.executable, "-m", __name__],
        env=os.environ | {"PYTHONPATH": root, "LOOPBACK_LAB": paths.name},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )


def _listens(paths: InstancePaths) -> bool:
    try:
        namespaces.connect(paths, CLOUD.name, ADDRESS, 443, 2).close()
    except OSError:
        return False
    return True


class Api:
    """What the API answers, whatever carries it."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._actions: list[dict[str, Any]] = []
        self._alone = threading.Lock()

    def check_token(self, given: str) -> None:
        """Raises: ApiError unless it is the token of the lab's account."""
        right = (self._account.shelf.paths.keys / f"token-{CLOUD.name}").read_text().strip()
        if not hmac.compare_digest(given.encode(), f"Bearer {right}".encode()):
            raise refuse("unauthorized", "unable to authenticate")

    def get(self, path: str) -> dict[str, Any]:
        """Raises: ApiError."""
        if found := _GET.fullmatch(path):
            with self._account.call("read", READ, found[1]) as book:
                return {"floating_ip": _shown(found[1], find(book, "floating_ip", found[1]))}
        if found := _ACTION.fullmatch(path):
            number = int(found[1])
            if 0 < number <= len(self._actions):
                return {"action": self._actions[number - 1]}
        raise refuse("not_found", f"{path} not found")

    def post(self, path: str, content: dict[str, Any]) -> dict[str, Any]:
        """
        Assign, and answer when that is done: the action it returns is over.

        Raises: ApiError.
        """
        found = _ASSIGN.fullmatch(path)
        if not found:
            raise refuse("not_found", f"{path} not found")
        if not isinstance(content.get("server"), int):
            raise refuse("invalid_input", "invalid input in field 'server'")
        with self._account.call("update", ASSIGN, found[1]) as book:
            find(book, "floating_ip", found[1])
            find(book, "server", content["server"])
        # a fault is taken under the lock that a call holds, so between two calls
        lost = take_fault(self._account.shelf, CLOUD.name, "update", MOVE, found[1]) == LOST
        if not lost:
            with self._account.call("update", MOVE, found[1]) as book:
                move(self._account, book, find(book, "floating_ip", found[1]), content["server"])
        return {"action": self._note(int(found[1]), content["server"])}

    def _note(self, address: int, server: int) -> dict[str, Any]:
        with self._alone:
            at = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
            action = {
                "id": len(self._actions) + 1,
                "command": "assign_floating_ip",
                "status": "success",
                "progress": 100,
                "started": at,
                "finished": at,
                "resources": [
                    {"id": server, "type": "server"},
                    {"id": address, "type": "floating_ip"},
                ],
                "error": None,
            }
            self._actions.append(action)
            return action


def _shown(ident: str, ip: Thing) -> dict[str, Any]:
    """A floating IP in the shape of the API."""
    return {
        "id": int(ident),
        "name": ip["name"],
        "description": ip["description"],
        "ip": ip["ipAddress"] if ip["type"] == "ipv4" else ip["ipNetwork"],
        "type": ip["type"],
        "server": ip["assigneeId"] or None,
        "home_location": {"name": ip["location"]},
        "labels": ip["labels"],
        "protection": {"delete": ip["deleteProtection"]},
        "blocked": False,
    }


class Exchange(BaseHTTPRequestHandler):
    """One request, one JSON answer."""

    api: Api
    protocol_version = "HTTP/1.1"
    timeout = 10

    def do_GET(self) -> None:
        """Ask."""
        self._answer(200, lambda: self.api.get(self.path))

    def do_POST(self) -> None:
        """Change; what is created or begun is 201."""
        size = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(size)
        self._answer(201, lambda: self.api.post(self.path, json.loads(raw or b"{}")))

    def _answer(self, status: int, work: Any) -> None:  # noqa: ANN401  # a call without arguments
        try:
            self.api.check_token(self.headers.get("Authorization") or "")
            body = work()
        except ApiError as refused:
            status = refused.status
            body = {"error": {"code": refused.code, "message": str(refused), "details": None}}
        except (LabError, ValueError, KeyError) as broken:
            status, body = 500, {"error": {"code": "server_error", "message": str(broken)}}
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Nobody reads a log of this."""


def _tls(paths: InstancePaths) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as pem:
        pem.write(issue_certificate(paths, ADDRESS))
        pem.flush()
        context.load_cert_chain(pem.name)
    return context


def _serve(name: str) -> None:
    paths = InstancePaths(name)
    # a client's own retries are a client's own
    Exchange.api = Api(Account(CLOUD.name, threading.Event(), FAULTS, {}))
    server = ThreadingHTTPServer((ADDRESS, 443), Exchange, bind_and_activate=False)
    server.socket.close()
    listening = namespaces.listen(paths, CLOUD.name, ADDRESS, 443)
    server.socket = _tls(paths).wrap_socket(
        listening, server_side=True, do_handshake_on_connect=False
    )
    server.serve_forever()


if __name__ == "__main__":
    _serve(os.environ["LOOPBACK_LAB"])
