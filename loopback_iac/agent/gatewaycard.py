"""The addresses of a group on a card of this host.

Addresses that move carry a lifetime: a program that is stopped, or dead for good, has them taken
off by the kernel. Those of a group with a single node stand for ever.

Sources: RFC 4861 7.2.6 (unsolicited neighbor advertisements).
"""

from __future__ import annotations

import ipaddress
import socket
import struct

from .addresses import FOR_EVER, drags_along, put_address, read_addresses, take_address
from .gatewayfile import LAYER_2, Group
from .hold import announce
from .refusal import RefusedError
from .routes import PROTOCOL

_ALL_NODES = "ff02::1"
_ADVERTISEMENT, _OVERRIDE, _TARGET_LINK_ADDRESS = 136, 0x20000000, 2


class GroupCard:
    """One group's addresses on this host."""

    def __init__(self, group: Group, node: str) -> None:
        self._group, self._own = group, group.address_of(node)

    def is_on(self) -> bool:
        """Whether any of them is there already, of an earlier run."""
        there = {held.address for held in read_addresses()}
        return bool(there.intersection(self._group.addresses))

    def keep(self) -> bool:
        """Put them on, or give them time again.

        Out: whether one had been missing.
        Raises: RefusedError without such a card; OSError.
        """
        device, found = self._device(), read_addresses()
        lifetime_s = FOR_EVER if self._group.fixed else self._group.timing.lifetime_s
        for address in self._group.addresses:
            put_address(device, address, PROTOCOL, lifetime_s)
        there = {held.address for held in found if held.device == device}
        return not there.issuperset(self._group.addresses)

    def drop(self) -> None:
        """Take them off, wherever they are, and whoever put them on.

        Raises: RefusedError while one is still there; OSError.
        """
        there = read_addresses()
        for held in there:
            if held.address in self._group.addresses:
                dragged = drags_along(held, there)
                if dragged:
                    raise RefusedError(
                        f"{held.address}/{held.prefix} stays on {held.device}: without it the"
                        f" kernel would take {', '.join(dragged)} off as well",
                        fix="declare it on no card of the host: it is the keeper's",
                    )
                take_address(held)
        left = [held for held in read_addresses() if held.address in self._group.addresses]
        if left:
            told = ", ".join(f"{held.address}/{held.prefix} on {held.device}" for held in left)
            raise RefusedError(f"still there after it was taken off: {told}")

    def announce(self) -> None:
        """Tell the LAN, where that is what moves traffic."""
        if self._group.announced != LAYER_2:
            return
        device = self._device()
        for address in self._group.addresses:
            if ipaddress.ip_address(address).version == 4:
                announce(device, address)
            else:
                advertise(device, address)

    def _device(self) -> str:
        wanted = self._group.interface
        if wanted:
            if all(name != wanted for _, name in socket.if_nameindex()):
                raise RefusedError(f"this host has no card {wanted}")
            return wanted
        for held in read_addresses():
            if held.address == self._own:
                return held.device
        raise RefusedError(f"no card has this host's own address {self._own}")


def render_advertisement(mac: bytes, address: str) -> bytes:
    """An unsolicited neighbor advertisement; the kernel fills in the checksum.

    Sources: RFC 4861 4.4, 7.2.6.
    """
    head = struct.pack("!BBHI", _ADVERTISEMENT, 0, 0, _OVERRIDE)
    target = ipaddress.IPv6Address(address).packed
    return head + target + struct.pack("!BB", _TARGET_LINK_ADDRESS, 1) + mac


def advertise(device: str, address: str) -> None:
    """Tell the LAN of a card that an IPv6 address is here."""
    with open(f"/sys/class/net/{device}/address", encoding="ascii") as stream:
        mac = bytes.fromhex(stream.read().strip().replace(":", ""))
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as line:
        line.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        line.bind((address, 0, 0, 0))
        number = socket.if_nametoindex(device)
        line.sendto(render_advertisement(mac, address), (_ALL_NODES, 0, 0, number))


def drop_strays(groups: tuple[Group, ...]) -> None:
    """Take addresses of ours off that belong to no group now.

    Raises: OSError.
    """
    wanted = {address for group in groups for address in group.addresses}
    for held in read_addresses():
        if held.protocol == PROTOCOL and held.address not in wanted:
            take_address(held)
