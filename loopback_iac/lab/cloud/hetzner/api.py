"""Hetzner's HTTP API, as much of it as an arbiter asks: who has a floating IP, and give it to whom.

Run as `python -m loopback_iac.lab.cloud.hetzner.api`, from the first floating IP on.

Sources: docs.hetzner.cloud: Floating IPs, Floating IP Actions, Actions, Errors, Authentication.
"""

from __future__ import annotations

import os
import re
import threading
import time
from typing import TYPE_CHECKING, Any

from loopback_iac.lab.cloud import http_api
from loopback_iac.lab.cloud.account import Account
from loopback_iac.lab.cloud.hetzner.addresses import move
from loopback_iac.lab.cloud.hetzner.machines import CLOUD
from loopback_iac.lab.cloud.hetzner.words import FAULTS, find, refuse
from loopback_iac.lab.cloud.http_api import Reply
from loopback_iac.lab.cloud.switches import take_fault
from loopback_iac.lab.paths import InstancePaths

if TYPE_CHECKING:
    from loopback_iac.lab.cloud.book import Thing
    from loopback_iac.lab.cloud.kinds import ApiError

ENDPOINT = f"https://{http_api.address_of(CLOUD)}/v1"
# Faults of a test: kinds of call, and the code of a move that is taken and never happens.
READ, ASSIGN, MOVE = "floating_ip-get", "floating_ip-assign", "floating_ip-move"
LOST = "lost"
_GET = re.compile(r"/v1/floating_ips/([0-9]+)")
_ASSIGN = re.compile(r"/v1/floating_ips/([0-9]+)/actions/assign")
_ACTION = re.compile(r"/v1/actions/([0-9]+)")


def ensure_served(paths: InstancePaths) -> None:
    """
    Have the API answer; it ends with the lab.

    Raises: LabError when it does not start.
    """
    http_api.ensure_served(paths, CLOUD, __name__)


class Api:
    """What the API answers, whatever carries it."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._actions: list[dict[str, Any]] = []
        self._alone = threading.Lock()

    def refuse_token(self) -> ApiError:
        """What a wrong token is told."""
        return refuse("unauthorized", "unable to authenticate")

    def shape(self, refused: ApiError) -> dict[str, Any]:
        """An error as its body."""
        return {"error": {"code": refused.code, "message": str(refused), "details": None}}

    def answer(self, verb: str, path: str, content: dict[str, Any]) -> Reply:
        """
        Ask, or begin something.

        Raises: ApiError.
        """
        if verb == "POST":
            return Reply(201, self.post(path, content))
        return Reply(200, self.get(path))

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


if __name__ == "__main__":
    # a client's own retries are a client's own
    http_api.serve(
        InstancePaths(os.environ["LOOPBACK_LAB"]),
        CLOUD,
        Api(Account(CLOUD.name, threading.Event(), FAULTS, {})),
    )
