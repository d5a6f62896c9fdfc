"""Which TCP listeners exist, and which of those that should exist they cover."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING

from .sockets import LISTEN, read_sockets

if TYPE_CHECKING:
    from collections.abc import Collection

Listener = tuple[str, int]


def read_listeners() -> set[Listener]:
    """(address, port) of every TCP listener in this network namespace.

    Raises: OSError when the kernel does not answer within a second.
    """
    families = (socket.AF_INET, socket.AF_INET6)
    return {(found.address, found.port) for found in read_sockets(LISTEN, families)}


def listening(wanted: Collection[Listener]) -> set[Listener]:
    """Those of `wanted` somebody listens on, by the address itself or by a wildcard."""
    return covered(wanted, read_listeners())


def covered(wanted: Collection[Listener], found: Collection[Listener]) -> set[Listener]:
    """Those of `wanted` that `found` covers; `::` counts for IPv6 only, a dual-stack socket is not
    asked for.
    """
    answered = set()
    for address, port in wanted:
        plain = str(ipaddress.ip_address(address))
        wildcard = "0.0.0.0" if "." in plain else "::"  # noqa: S104 - compared, not bound
        if (plain, port) in found or (wildcard, port) in found:
            answered.add((address, port))
    return answered
