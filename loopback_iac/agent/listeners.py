"""Which TCP listeners exist, asked from the kernel by sock_diag.

/proc/net/tcp prints every connection; on a PoP with a hundred thousand of them a look takes a good
part of a second.
sock_diag filters by state in the kernel (linux/inet_diag.h).
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_DONE, _ERROR = 3, 2
_LISTEN = 1 << 10  # TCPF_LISTEN

Listener = tuple[str, int]


def read_listeners() -> set[Listener]:
    """(address, port) of every TCP listener in this network namespace.

    Raises: OSError when the kernel does not answer within a second.
    """
    found: set[Listener] = set()
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG
    ) as talk:
        talk.settimeout(1.0)
        talk.bind((0, 0))
        for family in (socket.AF_INET, socket.AF_INET6):
            request = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, _LISTEN) + bytes(48)
            header = struct.pack(
                "=IHHII", 16 + len(request), _SOCK_DIAG_BY_FAMILY, _DUMP, family, 0
            )
            talk.send(header + request)
            found |= _read_dump(talk)
    return found


def _read_dump(talk: socket.socket) -> set[Listener]:
    found: set[Listener] = set()
    while True:
        packet = talk.recv(1 << 17)
        offset = 0
        while offset + 16 <= len(packet):
            length, kind = struct.unpack_from("=IH", packet, offset)
            if kind == _ERROR:
                code = -struct.unpack_from("=i", packet, offset + 16)[0]
                raise OSError(code, "sock_diag refused")
            if kind == _DONE:
                return found
            found.add(_parse_message(packet, offset + 16))
            offset += (length + 3) & ~3


def _parse_message(packet: bytes, at: int) -> Listener:
    family = packet[at]
    port = struct.unpack_from("!H", packet, at + 4)[0]
    size = 4 if family == socket.AF_INET else 16
    return str(ipaddress.ip_address(packet[at + 8 : at + 8 + size])), port


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
