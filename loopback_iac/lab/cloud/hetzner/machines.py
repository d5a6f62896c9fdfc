"""A server of Hetzner's as a machine of the lab: cards, addresses, firewall, metadata."""

from __future__ import annotations

import json
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from loopback_iac.lab.cloud.book import Machine, Port
from loopback_iac.lab.topology import CLOUDS, UPLINK

if TYPE_CHECKING:
    from loopback_iac.lab.cloud.book import Book, Thing
    from loopback_iac.lab.cloud.ground import Gone

CLOUD = CLOUDS[0]
# docs.hetzner.com/cloud/servers/static-configuration: gateways of every cloud server
_GATEWAY4, _GATEWAY6 = "172.31.1.1", "fe80::1"
_PATH = "/hetzner/v1"
_NUMBERS = {"icmp": "icmp", "esp": "esp", "gre": "gre"}


def allocate4(book: Book) -> str:
    """The lowest free IPv4 address of the cloud, primary or floating."""
    taken = {
        ip["ipAddress"] for kind in ("primary_ip", "floating_ip") for ip in book.of(kind).values()
    }
    # .0 and .1 are left out, as no cloud gives them to a server
    return next(str(host) for host in list(CLOUD.v4)[2:] if str(host) not in taken)


def allocate6(book: Book) -> str:
    """The lowest free /64 of the cloud."""
    taken = {
        ip["ipNetwork"] for kind in ("primary_ip", "floating_ip") for ip in book.of(kind).values()
    }
    base = int(CLOUD.v6.network_address)
    numbered = (str(ip_network((base + (n << 64), 64))) for n in range(1, 1 << 20))
    return next(net for net in numbered if net not in taken)


def host6(network: str) -> str:
    """The first address of a server in its IPv6 network."""
    return str(ip_network(network)[1])


def describe(book: Book, ident: str, host: str) -> Machine:
    """What stands in the lab for a server as the book has it."""
    server = book.of("server")[ident]
    ports = [_public(book, ident, server)]
    ports += [
        _private(book, ident, at, attachment)
        for at, attachment in enumerate(server.get("networks", []))
    ]
    return Machine(
        host=host,
        cloud=CLOUD.name,
        ports=ports,
        metadata=render_metadata(book, ident),
        user_data=server.get("userData", ""),
        labels=dict(server.get("labels") or {}),
    )


def refresh(book: Book, ident: str) -> Gone:
    """
    Bring a server's machine in line with the book.

    Out: addresses that are no longer routed to it.
    """
    machine = book.machines[book.of("server")[ident]["host"]]
    new = describe(book, ident, machine.host)
    outside, routes = new.ports[0].outside, new.ports[0].routes
    gone = [(outside, route) for route in machine.ports[0].routes if route not in routes]
    machine.ports, machine.metadata = new.ports, new.metadata
    return gone


def _public(book: Book, ident: str, server: Thing) -> Port:
    port = Port(UPLINK, f"s{ident}", mac=_mac(ident, 0))
    for ip in assigned(book, "primary_ip", ident):
        if ip["type"] == "ipv4":
            port.v4, port.gateway4 = f"{ip['ipAddress']}/32", _GATEWAY4
            port.router4 = f"{_GATEWAY4}/32"
            port.routes.append(f"{ip['ipAddress']}/32")
        else:
            port.v6, port.gateway6 = f"{host6(ip['ipNetwork'])}/64", _GATEWAY6
            port.router6 = f"{_GATEWAY6}/64"
            port.routes.append(ip["ipNetwork"])
    if not port.v4:
        # the metadata service is reached over IPv4 by everybody, and knows them by address
        number = int(ident) % 40_000
        port.v4 = f"169.254.{1 + number // 250}.{1 + number % 250}/16"
        port.routes.append(port.v4.replace("/16", "/32"))
    for ip in assigned(book, "floating_ip", ident):
        port.routes.append(f"{ip['ipAddress']}/32" if ip["type"] == "ipv4" else ip["ipNetwork"])
    applied = firewalls_of(book, ident, server)
    if applied:
        rules = [rule for firewall in applied for rule in firewall["rules"]]
        port.inward = [line for r in rules if r["direction"] == "in" for line in render_rule(r)]
        outward = [line for r in rules if r["direction"] == "out" for line in render_rule(r)]
        # no `out` rule: everything leaves; no `in` rule: nothing enters
        port.outward = outward or None
    return port


def _private(book: Book, ident: str, at: int, attachment: dict[str, Any]) -> Port:
    network = str(attachment["networkId"])
    ranges = [s["ipRange"] for s in book.of("network_subnet").values() if s["network"] == network]
    length = ip_network(ranges[0]).prefixlen if ranges else 32
    return Port(
        # the first private card of a cloud server with an AMD or Intel processor
        f"enp{7 + at}s0",
        f"n{ident}-{at}",
        v4=f"{attachment['ip']}/{length}",
        mac=attachment.get("macAddress", _mac(ident, at + 1)),
        bridge=f"net{network}",
    )


def _mac(ident: str, at: int) -> str:
    raw = (int(ident) << 4) + at
    return "96:00:" + ":".join(f"{raw >> shift & 255:02x}" for shift in (24, 16, 8, 0))


def assigned(book: Book, kind: str, ident: str) -> list[Thing]:
    """Primary or floating addresses of a server."""
    return [ip for ip in book.of(kind).values() if str(ip["assigneeId"]) == ident]


def firewalls_of(book: Book, ident: str, server: Thing) -> list[Thing]:
    """Firewalls that hold for a server: named, or by a label selector."""
    return [
        firewall
        for firewall in book.of("firewall").values()
        if any(
            str(to.get("server")) == ident
            or ("labelSelector" in to and selects(to["labelSelector"], server.get("labels", {})))
            for to in firewall["applied"]
        )
    ]


def selects(selector: str, labels: dict[str, str]) -> bool:
    """Whether labels meet a selector of `key`, `key=value`, `key==value`, `key!=value` parts."""
    for part in filter(None, (p.strip() for p in selector.split(","))):
        key, sign, value = part.replace("==", "=").partition("!=" if "!=" in part else "=")
        if sign == "!=" and labels.get(key.strip()) == value.strip():
            return False
        if sign == "=" and labels.get(key.strip()) != value.strip():
            return False
        if not sign and key not in labels:
            return False
    return True


def render_rule(rule: dict[str, Any]) -> list[str]:
    """A rule of a Hetzner firewall as nftables matches, one per family."""
    near = "sourceIps" if rule["direction"] == "in" else "destinationIps"
    side = "saddr" if rule["direction"] == "in" else "daddr"
    lines = []
    for family, version in (("ip", 4), ("ip6", 6)):
        nets = [net for net in rule.get(near) or [] if ip_network(net).version == version]
        if not nets:
            continue
        # a set may not hold overlapping networks, a rule of Hetzner's may
        lines += [f"{family} {side} {net} {_transport(rule, version)}" for net in nets]
    return lines


def _transport(rule: dict[str, Any], version: int) -> str:
    protocol = rule["protocol"]
    if protocol == "icmp":
        return "meta l4proto icmp" if version == 4 else "meta l4proto ipv6-icmp"
    if protocol not in ("tcp", "udp"):
        return f"meta l4proto {_NUMBERS[protocol]}"
    return f"{protocol} dport {'0-65535' if rule['port'] == 'any' else rule['port']}"


def render_metadata(book: Book, ident: str) -> dict[str, Any]:
    """
    What the metadata service answers to a server, by path.

    Sources: cloud-init 25.1 DataSourceHetzner (`/metadata` is YAML, `/userdata` raw); network
    settings are the lab's, so cloud-init is told to leave them.
    """
    server = book.of("server")[ident]
    ips = [ip["ipAddress"] for ip in assigned(book, "primary_ip", ident) if ip["type"] == "ipv4"]
    whole = {
        "instance-id": int(ident),
        "hostname": server["name"],
        "region": server["location"],
        "public-ipv4": ips[0] if ips else "",
        "public-keys": server.get("publicKeys", []),
        "network-config": {"version": 1, "config": []},
        "vendor_data": "#cloud-config\n{}\n",
    }
    single = {
        f"{_PATH}/metadata/{key}": whole[key] for key in ("instance-id", "hostname", "region")
    }
    return {
        "serial": ident,
        # JSON is YAML
        f"{_PATH}/metadata": json.dumps(whole),
        f"{_PATH}/userdata": "@user-data",
        f"{_PATH}/metadata/public-ipv4": whole["public-ipv4"],
        **single,
    }
