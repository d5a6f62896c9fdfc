"""A server of IONOS's as a machine of the lab: cards, addresses, firewall rules, metadata."""

from __future__ import annotations

import base64
import json
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from loopback_iac.lab.cloud.book import Machine, Port
from loopback_iac.lab.topology import CLOUDS, UPLINK

if TYPE_CHECKING:
    from loopback_iac.lab.cloud.book import Book, Thing
    from loopback_iac.lab.cloud.ground import Gone

CLOUD = CLOUDS[1]
_GATEWAY = str(CLOUD.v4[1])
# what a router's advertisements would say; the lab has none
_GATEWAY6 = "fe80::1"
# IANA protocol numbers of what nftables has no word for
_PROTOCOLS = {"GRE": "gre", "VRRP": "112", "ESP": "esp", "AH": "ah"}
_PATH = "/nocloud"


def allocate(book: Book, count: int) -> list[str]:
    """The lowest free addresses of the cloud, reserved or lent to a card."""
    taken = {ip for block in book.of("ip_block").values() for ip in block["ips"]}
    taken |= {ip for nic in book.of("nic").values() for ip in nic["ips"]}
    free = (str(host) for host in list(CLOUD.v4)[2:] if str(host) not in taken)
    return [next(free) for _ in range(count)]


def allocate_private(book: Book, lan: Thing) -> str:
    """An address of a private LAN: one /24 each, as the cloud's DHCP hands them out."""
    net = ip_network(f"10.7.{int(lan['number']) % 250}.0/24")
    taken = {ip for nic in book.of("nic").values() for ip in nic["ips"]}
    return next(str(host) for host in list(net)[10:] if str(host) not in taken)


def describe(book: Book, ident: str, host: str) -> Machine:
    """What stands in the lab for a server as the book has it."""
    server = book.of("server")[ident]
    nics = cards(book, ident)
    public = [(key, nic) for key, nic in nics if lan_of(book, nic)["public"]]
    others = [(key, nic) for key, nic in nics if (key, nic) not in public]
    # the first public card is the one with the default route, whichever came first
    ports = [_port(book, key, nic, at) for at, (key, nic) in enumerate([*public, *others])]
    return Machine(
        host=host,
        cloud=CLOUD.name,
        ports=ports,
        metadata=render_metadata(ident, server),
        user_data=base64.b64decode(server["volume"].get("userData", "")).decode(),
        labels={one["key"]: one["value"] for one in server.get("labels") or ()},
    )


def cards(book: Book, server: str) -> list[tuple[str, Thing]]:
    """A server's cards by id, in the order in which they came."""
    found = [(key, nic) for key, nic in book.of("nic").items() if nic["serverId"] == server]
    return sorted(found, key=lambda item: int(item[1]["number"]))


def lan_of(book: Book, nic: Thing) -> Thing:
    """The LAN of a card."""
    return book.of("lan")[f"{nic['datacenterId']}/{nic['lan']}"]


def refresh(book: Book, ident: str) -> Gone:
    """
    Bring a server's machine in line with the book.

    Out: addresses that are no longer routed to it.
    """
    machine = book.machines[book.of("server")[ident]["host"]]
    new = describe(book, ident, machine.host)
    before = [(port.outside, route) for port in machine.ports for route in port.routes]
    after = [(port.outside, route) for port in new.ports for route in port.routes]
    machine.ports, machine.metadata = new.ports, new.metadata
    return [pair for pair in before if pair not in after]


def _port(book: Book, key: str, nic: Thing, at: int) -> Port:
    lan = lan_of(book, nic)
    port = Port(f"eth{at}" if at else UPLINK, f"i{nic['number']}", mac=nic["mac"])
    if not lan["public"]:
        # without DHCP the host's own business
        leased = nic["ips"] and nic.get("dhcp", True)
        port.v4 = f"{nic['ips'][0]}/24" if leased else ""
        port.bridge = f"l{lan['number']}"
        return port
    # an address of a failover group is sent to the card that said last that it has it
    elsewhere = {entry["ip"] for entry in lan["failovers"] if entry["heard"] != key}
    here = {entry["ip"] for entry in lan["failovers"] if entry["heard"] == key}
    own = [ip for ip in nic["ips"] if ip not in elsewhere | here]
    if own:
        port.v4, port.gateway4, port.router4 = f"{own[0]}/32", _GATEWAY, f"{_GATEWAY}/32"
    port.routes = [f"{ip}/32" for ip in [*own, *sorted(here)]]
    if six := nic.get("ipv6Ips"):
        port.gateway6, port.router6 = _GATEWAY6, f"{_GATEWAY6}/64"
        port.v6 = f"{six[0]}/128" if nic.get("dhcpv6") else ""
        port.routes += [f"{ip}/128" for ip in six]
    if nic.get("firewallActive"):
        kind = nic.get("firewallType") or "INGRESS"
        rules = [r for r in book.of("firewall_rule").values() if r["nicId"] == key]
        inward = [render_rule(r) for r in rules if r.get("type", "INGRESS") == "INGRESS"]
        outward = [render_rule(r) for r in rules if r.get("type", "INGRESS") == "EGRESS"]
        # active without a rule: nothing passes
        port.inward = inward if kind in ("INGRESS", "BIDIRECTIONAL") else None
        port.outward = outward if kind in ("EGRESS", "BIDIRECTIONAL") else None
    return port


def render_rule(rule: dict[str, Any]) -> str:
    """
    A firewall rule of a card as one nftables match.

    Sources: ionos-cloud/sdk-go v6 model_firewallrule_properties.go on ipVersion, which the
    provider cannot say: the version is that of the addresses, and IPv4 where there is none.
    """
    parts = [] if rule.get("sourceIp") or rule.get("targetIp") else ["meta nfproto ipv4"]
    for key, side in (("sourceIp", "saddr"), ("targetIp", "daddr")):
        if rule.get(key):
            family = "ip6" if ":" in rule[key] else "ip"
            parts.append(f"{family} {side} {rule[key]}")
    protocol = rule["protocol"]
    if protocol in ("TCP", "UDP"):
        first, last = rule.get("portRangeStart", 0), rule.get("portRangeEnd", 65535)
        parts.append(f"{protocol.lower()} dport {first}-{last}")
    elif protocol in ("ICMP", "ICMPv6"):
        word = "icmp" if protocol == "ICMP" else "icmpv6"
        number = rule.get("icmpType")
        proto = "icmp" if protocol == "ICMP" else "ipv6-icmp"
        parts.append(f"{word} type {number}" if number is not None else f"meta l4proto {proto}")
        if rule.get("icmpCode") is not None:
            parts.append(f"{word} code {rule['icmpCode']}")
    elif protocol != "ANY":
        parts.append(f"meta l4proto {_PROTOCOLS[protocol]}")
    return " ".join(parts)


def render_metadata(ident: str, server: Thing) -> dict[str, Any]:
    """
    What the metadata service answers to a server, by path.

    Sources: cloud-init 25.1 DataSourceNoCloud; which datasource IONOS's images use is not known.
    """
    whole = {
        "instance-id": ident,
        "local-hostname": server.get("hostname") or server["name"],
        "public-keys": server.get("publicKeys", []),
    }
    return {
        "serial": ident,
        # JSON is YAML
        f"{_PATH}/meta-data": json.dumps(whole),
        f"{_PATH}/user-data": "@user-data",
        f"{_PATH}/vendor-data": "#cloud-config\n{}\n",
        f"{_PATH}/network-config": "config: disabled\n",
    }
