"""The addresses of a group on a card of this host.

Addresses that move carry a lifetime: a program that is stopped, or dead for good, has them taken
off by the kernel. Those of a group with a single node stand for ever.

Sources: ip-address(8), valid_lft; RFC 4861 7.2.6 (unsolicited neighbor advertisements).
"""

from __future__ import annotations

import ipaddress
import json
import socket
import struct

from .gatewayfile import LAYER_2, Group
from .hold import announce, find_own
from .programs import must
from .routes import OURS, PROTOCOL

_ALL_NODES = "ff02::1"
_ADVERTISEMENT, _OVERRIDE, _TARGET_LINK_ADDRESS = 136, 0x20000000, 2


class GroupCard:
    """One group's addresses on this host."""

    def __init__(self, group: Group, node: str) -> None:
        self._group, self._own = group, group.address_of(node)

    def is_on(self) -> bool:
        """Whether any of them is there already, of an earlier run."""
        return bool(self._there().intersection(self._group.addresses))

    def keep(self) -> bool:
        """Put them on, or give them time again.

        Out: whether one had been missing.
        Raises: RefusedError with ip's own complaint.
        """
        device, there = self._device(), self._there()
        for address in self._group.addresses:
            must("ip", "address", "replace", *self._words(address), "dev", device)
        return not there.issuperset(self._group.addresses)

    def _words(self, address: str) -> tuple[str, ...]:
        version = ipaddress.ip_address(address).version
        # it is asked for with the lease in hand: nobody waits for a collision; and nothing of this
        # host leaves by it unasked
        given = (_prefix(address), "proto", str(PROTOCOL), *(("nodad",) if version == 6 else ()))
        if self._group.fixed:
            return given
        left = str(self._group.timing.lifetime_s)
        return (*given, "valid_lft", left, "preferred_lft", "0" if version == 6 else left)

    def drop(self) -> None:
        """Take them off.

        Raises: RefusedError with ip's own complaint.
        """
        found = self._there()
        for address in self._group.addresses:
            if address in found:
                must("ip", "address", "del", _prefix(address), "dev", self._device())

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
        return self._group.interface or find_own(self._own)[0]

    def _there(self) -> set[str]:
        return {
            str(entry["local"])
            for link in json.loads(must("ip", "-j", "address", "show", "dev", self._device()))
            for entry in link.get("addr_info", [])
        }


def _prefix(address: str) -> str:
    return f"{address}/{ipaddress.ip_address(address).max_prefixlen}"


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
    """Take addresses of ours off that belong to no group now."""
    wanted = {address for group in groups for address in group.addresses}
    for link in json.loads(must("ip", "-j", "address", "show") or "[]"):
        for entry in link.get("addr_info", []):
            ours = str(entry.get("protocol", "")) in OURS
            if ours and entry["local"] not in wanted:
                prefix = _prefix(str(entry["local"]))
                must("ip", "address", "del", prefix, "dev", str(link["ifname"]))
