"""TCP sockets of this network namespace by state, asked from the kernel by sock_diag.

/proc/net/tcp prints every connection; on a PoP with a hundred thousand of them a look takes a good
part of a second.
sock_diag filters by state in the kernel (linux/inet_diag.h).
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_DONE, _ERROR = 3, 2
LISTEN = 1 << 10  # TCPF_LISTEN
# TCPF_ESTABLISHED, and TCPF_CLOSE_WAIT: the far end has said all, ours has not
CONNECTED = 1 << 1 | 1 << 8


class Socket(NamedTuple):
    """Both ends; a listener's far end is the wildcard."""

    address: str
    port: int
    peer: str
    peer_port: int


def read_sockets(states: int, families: tuple[int, ...]) -> Iterator[Socket]:
    """Every TCP socket in one of these states.

    In:  states, a mask of LISTEN and CONNECTED; AF_INET, AF_INET6.
    Raises: OSError when the kernel does not answer within a second.
    """
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG
    ) as talk:
        talk.settimeout(1.0)
        talk.bind((0, 0))
        for family in families:
            request = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, states) + bytes(48)
            header = struct.pack(
                "=IHHII", 16 + len(request), _SOCK_DIAG_BY_FAMILY, _DUMP, family, 0
            )
            talk.send(header + request)
            yield from _read_dump(talk)


def _read_dump(talk: socket.socket) -> Iterator[Socket]:
    while True:
        packet = talk.recv(1 << 17)
        offset = 0
        while offset + 16 <= len(packet):
            length, kind = struct.unpack_from("=IH", packet, offset)
            if kind == _ERROR:
                code = -struct.unpack_from("=i", packet, offset + 16)[0]
                raise OSError(code, "sock_diag refused")
            if kind == _DONE:
                return
            yield _parse_message(packet, offset + 16)
            offset += (length + 3) & ~3


def _parse_message(packet: bytes, at: int) -> Socket:
    family = packet[at]
    port, peer_port = struct.unpack_from("!HH", packet, at + 4)
    size = 4 if family == socket.AF_INET else 16
    ends = (packet[place : place + size] for place in (at + 8, at + 24))
    address, peer = (str(ipaddress.ip_address(end)) for end in ends)
    return Socket(address, port, peer, peer_port)


def count_connections() -> Counter[str] | None:
    """Connections over IPv4 by their far end's address; None when the kernel gives no answer.

    Out: also those of a daemon's old processes, which its own socket says nothing of.
    """
    try:
        return Counter(found.peer for found in read_sockets(CONNECTED, (socket.AF_INET,)))
    except OSError:
        return None
