"""What the rate limits let in and kept out, read from the counters of nftables and HAProxy."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .haproxy import read_denied
from .programs import run

if TYPE_CHECKING:
    from .watchfile import Watch

# Name of the counter that a limit of nftables drops by, before the service's name.
COUNTERS = {"new_connections_per_client": "client", "new_connections": "service"}


def read_counters() -> dict[str, int] | None:
    """Packets of each named counter of our table; None when there is no such table."""
    told = run("nft", "-j", "list", "counters", "table", "inet", "loopback")
    if told.code:
        return None
    found = (entry.get("counter") for entry in json.loads(told.out)["nftables"])
    return {counter["name"]: int(counter["packets"]) for counter in found if counter}


def report_limits(watch: Watch | None) -> dict[str, Any]:
    """By service: new connections that came, and those that each declared limit dropped.

    Out: counts since the firewall, or HAProxy, was loaded last; null where one gave no answer.
    """
    if watch is None or not watch.services:
        return {}
    counters, denied = read_counters() or {}, read_denied(watch.haproxy_socket) or {}
    return {
        name: {
            "new_connections": counters.get(f"new-{name}"),
            "dropped": {
                limit: counters.get(f"{COUNTERS[limit]}-{name}")
                if limit in COUNTERS
                else denied.get(name)
                for limit in service.limits
            },
        }
        for name, service in watch.services.items()
    }
