"""Links and addresses as `ip -batch` lines, and what is missing of them in a namespace."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

from loopback_iac.lab.topology import ROUTERS, UPLINK, Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loopback_iac.lab.topology import End, Host, Link, Topology

# The last thing done to an interface: seen means everything before it was done.
WIRED = "loopback-lab wired"
FORWARDING = ROUTERS | {Role.PROVIDER}


@dataclass(frozen=True)
class Seen:
    """What a namespace holds: interfaces, and which of them are completely wired."""

    interfaces: frozenset[str] = field(default_factory=frozenset)
    wired: frozenset[str] = field(default_factory=frozenset)


def parse_seen(links: Iterable[dict[str, Any]]) -> Seen:
    """
    Read `ip -json link show`.

    In: its list of interfaces.
    """
    listed = [link for link in links if link]
    return Seen(
        frozenset(link["ifname"] for link in listed),
        frozenset(
            link["ifname"]
            for link in listed
            # an end that was set down lost its IPv6 addresses
            if link.get("ifalias") == WIRED and "UP" in link["flags"]
        ),
    )


def render_sysctls(host: Host) -> dict[str, str]:
    """
    Kernel settings of a namespace before any interface exists in it.

    Out: sysctl name -> value. Routers forward; a machine of the operator is left as Debian has it,
    but for duplicate address detection, which would make every start a second slower.
    """
    settings = {
        "net.ipv6.conf.all.accept_dad": "0",
        "net.ipv6.conf.default.accept_dad": "0",
        "net.ipv6.conf.all.accept_ra": "0",
        "net.ipv6.conf.default.accept_ra": "0",
    }
    if host.role in FORWARDING:
        settings |= {"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1"}
        # a router answers from several links; the anycast way back need not be the way in
        settings |= {"net.ipv4.conf.all.rp_filter": "0", "net.ipv4.conf.default.rp_filter": "0"}
    if host.role is Role.WORKSTATION:
        settings["net.ipv4.ping_group_range"] = "0 2147483647"
    return settings


def render_namespace(topology: Topology, host: Host, there: frozenset[str]) -> list[str]:
    """
    Lines that make what is in a namespace before its links: loopback, bridges.

    In: there, the interfaces that exist already.
    Out: `ip -batch` lines, which may be repeated.
    """
    lines = ["link set lo up", f"link set lo alias '{WIRED}'"]
    for net in topology.nets_of(host.name):
        if net.name not in there:
            lines.append(f"link add {net.name} type bridge forward_delay 0 mcast_snooping 0")
        if net.v4:
            lines.append(f"address replace {net.v4} dev {net.name}")
        if net.v6:
            lines.append(f"address replace {net.v6} dev {net.name} nodad")
        lines += [f"link set {net.name} up", f"link set {net.name} alias '{WIRED}'"]
    return lines


def render_link(link: Link, peer_namespace: str) -> str:
    """One line, run in the left end's namespace, that makes both ends where they belong."""
    left, right = link.left.interface, link.right.interface
    return f"link add {left} type veth peer name {right} netns {peer_namespace}"


def render_end(end: End) -> list[str]:
    """
    Lines that bring one end up with its addresses and default routes.

    Out: `ip -batch` lines, which may be repeated; the last one marks the end as wired.
    """
    dev = end.interface
    lines = []
    if end.bridge:
        lines.append(f"link set {dev} master {end.bridge}")
    if end.mac:
        lines.append(f"link set {dev} address {end.mac}")
    lines.append(f"link set {dev} up")
    lines += render_addresses(end)
    if end.gateway4 and dev == UPLINK:
        lines.append(f"route replace default via {end.gateway4} dev {dev}{_direct(end)}")
    if end.gateway6 and dev == UPLINK:
        lines.append(f"route replace ::/0 via {end.gateway6} dev {dev}")
    lines += [f"route replace {route} dev {dev}" for route in end.routes]
    lines.append(f"link set {dev} alias '{WIRED}'")
    return lines


def _direct(end: End) -> str:
    """A cloud's gateway is in no network of the server: it is reached all the same."""
    if end.v4 is None or IPv4Address(end.gateway4) in end.v4.network:
        return ""
    return " onlink"


def render_addresses(end: End) -> list[str]:
    """Lines that put an end's addresses on it; `link set down` takes the IPv6 ones away."""
    lines = []
    if end.v4:
        lines.append(f"address replace {end.v4} dev {end.interface}")
    if end.v6:
        lines.append(f"address replace {end.v6} dev {end.interface} nodad")
    return lines


def missing_links(topology: Topology, seen: dict[str, Seen]) -> list[Link]:
    """
    Links that are not there or not finished.

    In: seen, by host name.
    """
    return [
        link
        for link in topology.links
        if any(
            end.interface not in seen.get(end.host, Seen()).wired for end in (link.left, link.right)
        )
    ]
