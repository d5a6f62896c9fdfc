"""Addresses of this network namespace, read and written by rtnetlink.

No process is started for it: whoever has to take an address off must not wait for one. Debian 12's
`ip` does not know an address's protocol, either.

Sources: rtnetlink(7), linux/if_addr.h, linux/rtnetlink.h.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEWADDR, _DELADDR, _GETADDR = 20, 21, 22
_REQUEST, _ACK, _DUMP, _REPLACE, _CREATE = 1, 4, 0x300, 0x100, 0x400
_ERROR, _DONE = 2, 3
_ADDRESS, _LOCAL, _CACHEINFO, _FLAGS, _PROTO = 1, 2, 6, 8, 11
_NODAD = 0x02  # nobody waits for a collision
_SECONDARY = 0x01  # IPv4: behind another of the same network
FOR_EVER = 0xFFFFFFFF


class Held(NamedTuple):
    """An address on an interface."""

    device: str
    address: str
    protocol: int
    prefix: int
    secondary: bool = False


def read_addresses() -> list[Held]:
    """Every address of both families.

    Raises: OSError.
    """
    found = []
    for message in _ask(_GETADDR, _REQUEST | _DUMP, bytes(8)):
        family, prefix, flags, _, index = struct.unpack_from("=BBBBI", message)
        parts = dict(_attributes(message[8:]))
        text = parts.get(_LOCAL, parts.get(_ADDRESS))
        if family in (socket.AF_INET, socket.AF_INET6) and text is not None:
            protocol = parts.get(_PROTO, b"\0")[0]
            device, held = socket.if_indextoname(index), str(ipaddress.ip_address(text))
            secondary = family == socket.AF_INET and bool(flags & _SECONDARY)
            found.append(Held(device, held, protocol, prefix, secondary))
    return found


def put_address(device: str, address: str, protocol: int, lifetime_s: int = FOR_EVER) -> None:
    """Put an address on an interface as a host's own, or give it time again.

    An IPv6 address is deprecated at once: nothing leaves by it that does not ask for it.
    Raises: OSError.
    """
    version = ipaddress.ip_address(address).version
    preferred_s = 0 if version == 6 else lifetime_s
    cache = _attribute(_CACHEINFO, struct.pack("=IIII", preferred_s, lifetime_s, 0, 0))
    flags = _attribute(_FLAGS, struct.pack("=I", _NODAD)) if version == 6 else b""
    more = cache + flags + _attribute(_PROTO, bytes([protocol]))
    kind = _REQUEST | _ACK | _CREATE | _REPLACE
    own = _attribute(_ADDRESS, ipaddress.ip_address(address).packed)
    list(_ask(_NEWADDR, kind, _subject(device, address) + own + more))


def take_address(held: Held) -> None:
    """Take an address off its interface, whatever its prefix; one that is gone is fine.

    Raises: OSError.
    """
    try:
        list(_ask(_DELADDR, _REQUEST | _ACK, _subject(held.device, held.address, held.prefix)))
    except OSError as refused:
        if refused.errno != errno.EADDRNOTAVAIL:
            raise


def drags_along(held: Held, there: list[Held]) -> list[str]:
    """Addresses that the kernel takes off together with this one: IPv4, of its network, behind it.

    None where `promote_secondaries` of net/ipv4/devinet.c is on, for all cards or this one.
    """
    parsed = ipaddress.ip_interface(f"{held.address}/{held.prefix}")
    if parsed.version == 6 or held.secondary or _promotes("all") or _promotes(held.device):
        return []
    return [
        other.address
        for other in there
        if other.secondary and (other.device, other.prefix) == (held.device, held.prefix)
        if ipaddress.ip_address(other.address) in parsed.network
    ]


def _promotes(device: str) -> bool:
    path = f"/proc/sys/net/ipv4/conf/{device}/promote_secondaries"
    with open(path, encoding="ascii") as stream:
        return stream.read().strip() != "0"


def _subject(device: str, address: str, prefix: int | None = None) -> bytes:
    parsed = ipaddress.ip_address(address)
    family = socket.AF_INET if parsed.version == 4 else socket.AF_INET6
    length = parsed.max_prefixlen if prefix is None else prefix
    head = struct.pack("=BBBBI", family, length, 0, 0, socket.if_nametoindex(device))
    return head + _attribute(_LOCAL, parsed.packed)


def _attribute(kind: int, content: bytes) -> bytes:
    padding = bytes(-len(content) % 4)
    return struct.pack("=HH", 4 + len(content), kind) + content + padding


def _attributes(content: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(content):
        length, kind = struct.unpack_from("=HH", content, at)
        if length < 4:
            return
        yield kind, content[at + 4 : at + length]
        at += (length + 3) & ~3


def _ask(kind: int, flags: int, body: bytes) -> Iterator[bytes]:
    """Out: bodies of what the kernel answers."""
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
    ) as talk:
        talk.settimeout(1.0)
        talk.bind((0, 0))
        talk.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body)
        while True:
            packet, at = talk.recv(1 << 17), 0
            while at + 16 <= len(packet):
                length, answer = struct.unpack_from("=IH", packet, at)
                if answer == _ERROR:
                    code = -struct.unpack_from("=i", packet, at + 16)[0]
                    if code:
                        raise OSError(code, os.strerror(code))
                    return
                if answer == _DONE:
                    return
                yield packet[at + 16 : at + length]
                at += (length + 3) & ~3
