"""IONOS Cloud's API, as much of it as renames the holder in a LAN's list of failover groups.

The group is what the cloud has in its books. What moves traffic there is the gratuitous ARP of the
server that takes the address, so members are told as well: see telling.py.

Sources: api.ionos.com Cloud API v6, "Retrieve LANs", "Partially modify LANs" (ipFailover),
"Retrieve request status"; docs.ionos.com, VDC Networking, IP Failover and Compatibility.
"""

from __future__ import annotations

import re
from typing import Any

from .api import Api, ApiError, MoveFailedError

_REQUEST = re.compile(r"/requests/([A-Za-z0-9-]+)/status")


class FailoverGroups(Api):
    """Failover groups by DATACENTER/LAN/ADDRESS; holders are network cards."""

    def read_holder(self, ident: str) -> str:
        """Out: the card that the group names; empty when the LAN has no such group.

        Raises: ApiError.
        """
        path, address = _split(ident)
        return next((e["nicUuid"] for e in self._groups(path) if e["ip"] == address), "")

    def assign(self, ident: str, server: str) -> str:
        """Ask for a card to be the group's; the LAN's other groups stay as they are.

        Out: the request's id; empty when the API was done at once.
        Raises: ApiError.
        """
        path, address = _split(ident)
        # the list is written as a whole
        others = [entry for entry in self._groups(path) if entry["ip"] != address]
        wanted = [*others, {"ip": address, "nicUuid": server}]
        answer = self.ask("PATCH", path, {"ipFailover": wanted})
        found = _REQUEST.search(answer.location)
        return found[1] if found else ""

    def is_done(self, action: str) -> bool:
        """Whether a request has come to its end; the API says 202 long before.

        Raises: ApiError; MoveFailedError with its own words when it failed.
        """
        if not action:
            return True
        told = self.ask("GET", f"/requests/{action}/status").body.get("metadata")
        told = told if isinstance(told, dict) else {}
        status = told.get("status")
        if status == "FAILED":
            raise MoveFailedError(f"request {action}: {told.get('message')}")
        if status not in ("QUEUED", "RUNNING", "DONE"):
            raise ApiError(f"request {action}: not the shape of its API")
        return bool(status == "DONE")

    def _groups(self, path: str) -> list[dict[str, Any]]:
        body = self.ask("GET", path).body
        try:
            listed = body["properties"].get("ipFailover") or []
            return [{"ip": str(e["ip"]), "nicUuid": str(e["nicUuid"])} for e in listed]
        except (KeyError, TypeError, AttributeError) as strange:
            raise ApiError(f"GET {path}: not the shape of its API") from strange


def _split(ident: str) -> tuple[str, str]:
    centre, lan, address = ident.split("/")
    return f"/datacenters/{centre}/lans/{lan}", address
