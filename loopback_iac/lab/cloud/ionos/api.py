"""IONOS' HTTP API, as much of it as an arbiter asks: a LAN's failover groups; and the LAN's ear.

Run as `python -m loopback_iac.lab.cloud.ionos.api`, from the first failover group on. A change is
a request that is DONE a moment later. What a group names moves no address: a server's gratuitous
ARP does.

Sources: api.ionos.com Cloud API v6: LANs (GET, PATCH), Requests (status), Error, the models Lan and
RequestStatus of ionos-cloud/sdk-python; docs.ionos.com, VDC Networking: IP Failover, Compatibility.
"""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

from loopback_iac.lab import namespaces
from loopback_iac.lab.cloud import http_api
from loopback_iac.lab.cloud.account import Account
from loopback_iac.lab.cloud.http_api import Reply
from loopback_iac.lab.cloud.ionos.failovers import hear, shown, write_groups
from loopback_iac.lab.cloud.ionos.machines import CLOUD
from loopback_iac.lab.cloud.ionos.words import FAULTS, find, refuse
from loopback_iac.lab.cloud.kinds import ApiError
from loopback_iac.lab.cloud.switches import take_fault
from loopback_iac.lab.paths import InstancePaths, LabError

if TYPE_CHECKING:
    from loopback_iac.lab.cloud.book import Book

_BASE = "/cloudapi/v6"
ENDPOINT = f"https://{http_api.address_of(CLOUD)}{_BASE}"
# Faults of a test: kinds of call; a request that FAILs, one that is DONE and changed nothing, and
# an answer to a change that comes when nobody waits for it any more.
READ, CHANGE, REQUEST, PROVISION = "lan-get", "lan-patch", "request-get", "lan-provision"
FAILED, LOST, LATE = "failed", "lost", "late"
_LAN = re.compile(_BASE + r"/datacenters/([0-9a-f-]+)/lans/([0-9]+)")
_STATUS = re.compile(_BASE + r"/requests/([0-9a-f-]+)/status")
_PROVISION_S, _LATE_S = 0.3, 6.0
_ARP = struct.Struct("!6s6sHHHBBH6s4s6s4s")


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
        self._requests: dict[str, dict[str, str]] = {}

    def refuse_token(self) -> ApiError:
        """What a wrong token is told."""
        return refuse(401, "Unauthorized", "315")

    def shape(self, refused: ApiError) -> dict[str, Any]:
        """An error as its body."""
        told = [{"errorCode": refused.code, "message": refused.message}]
        if refused.code.isdigit():  # as `refuse` makes them
            told = json.loads(refused.message)
        return {"httpStatus": refused.status, "messages": told}

    def answer(self, verb: str, path: str, content: dict[str, Any]) -> Reply:
        """
        Ask, or begin a change.

        Raises: ApiError.
        """
        if found := _LAN.fullmatch(path):
            lan = f"{found[1]}/{found[2]}"
            return self._change(lan, content) if verb == "PATCH" else Reply(200, self._lan(lan))
        found = _STATUS.fullmatch(path)
        if verb == "GET" and found and found[1] in self._requests:
            with self._account.call("read", REQUEST, found[1]):
                body = {"id": f"{found[1]}/status", "type": "request-status"}
                return Reply(200, {**body, "metadata": self._requests[found[1]]})
        raise refuse(404, "Resource does not exist", "309")

    def _lan(self, lan: str) -> dict[str, Any]:
        with self._account.call("read", READ, lan) as book:
            return _shown(book, lan, "AVAILABLE")

    def _change(self, lan: str, content: dict[str, Any]) -> Reply:
        """Taken, and done in its own time."""
        wanted = content.get("ipFailover")
        if set(content) != {"ipFailover"} or not isinstance(wanted, list):
            raise refuse(422, "this stand-in changes ipFailover alone", "100")
        with self._account.call("update", CHANGE, lan) as book:
            body = _shown(book, lan, "BUSY")
        late = (
            take_fault(self._account.shelf, CLOUD.name, "update", f"{CHANGE}-answer", lan) == LATE
        )
        request = str(uuid.uuid4())
        self._requests[request] = {"status": "QUEUED", "message": "Request is queued"}
        threading.Thread(target=self._provision, args=(request, lan, wanted), daemon=True).start()
        if late:
            time.sleep(_LATE_S)
        location = f"{ENDPOINT}/requests/{request}/status"
        return Reply(202, body, {"Location": location})

    def _provision(self, request: str, lan: str, wanted: list[dict[str, Any]]) -> None:
        self._requests[request] = {"status": "RUNNING", "message": "Request is running"}
        time.sleep(_PROVISION_S)
        status, message = "DONE", "Request has been successfully executed"
        code = take_fault(self._account.shelf, CLOUD.name, "update", PROVISION, lan)
        try:
            if code == FAILED:
                raise refuse(500, "the request could not be provisioned")
            if code != LOST:
                with self._account.call("update", PROVISION, lan) as book:
                    write_groups(self._account, book, lan, wanted)
        except (ApiError, LabError) as broken:
            status, message = "FAILED", str(broken)
        self._requests[request] = {"status": status, "message": message}


def _shown(book: Book, lan: str, state: str) -> dict[str, Any]:
    """A LAN in the shape of the API."""
    found = find(book, "lan", lan)
    centre, _, ident = lan.partition("/")
    groups = {"ipFailover": shown(book, lan)}
    return {
        "id": ident,
        "type": "lan",
        "href": f"{ENDPOINT}/datacenters/{centre}/lans/{ident}",
        "metadata": {"state": state},
        "properties": {"name": found.get("name"), "public": found["public"], **groups},
    }


def parse_announcement(frame: bytes) -> str:
    """
    Out: the address that a gratuitous ARP is about; empty for any other frame.

    Sources: RFC 5227 section 3, RFC 826.
    """
    if len(frame) < _ARP.size:
        return ""
    fields = _ARP.unpack_from(frame)
    sender, target = fields[9], fields[11]
    return socket.inet_ntoa(sender) if sender == target else ""


def _hear(account: Account) -> None:
    """Whoever of a group says that it has the address gets it."""
    line = namespaces.hear_arp(account.shelf.paths, CLOUD.name)
    while True:
        frame, seen = line.recvfrom(256)
        address = parse_announcement(frame)
        if address:
            try:
                hear(account, str(seen[0]), address)
            except (ApiError, LabError):
                # a card that goes just now; a new holder says it more than once
                continue


if __name__ == "__main__":
    # a client's own retries are a client's own
    _account = Account(CLOUD.name, threading.Event(), FAULTS, {})
    threading.Thread(target=_hear, args=(_account,), daemon=True).start()
    http_api.serve(InstancePaths(os.environ["LOOPBACK_LAB"]), CLOUD, Api(_account))
