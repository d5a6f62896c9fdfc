"""Network cards, the firewall rules on them, and addresses that two of them share."""

from __future__ import annotations

import uuid
from ipaddress import IPv6Address, ip_interface
from typing import TYPE_CHECKING, Any

from loopback_iac.lab.cloud.ionos.ipv6 import card_addresses
from loopback_iac.lab.cloud.ionos.machines import (
    CLOUD,
    allocate,
    allocate_private,
    cards,
    lan_of,
    refresh,
)
from loopback_iac.lab.cloud.ionos.words import find, refuse
from loopback_iac.lab.cloud.kinds import Kind, parse_fields

if TYPE_CHECKING:
    from loopback_iac.engine.values import Values
    from loopback_iac.lab.cloud.account import Account
    from loopback_iac.lab.cloud.book import Book, Thing
    from loopback_iac.lab.cloud.kinds import Failures

_PROTOCOLS = ("TCP", "UDP", "ICMP", "ICMPv6", "GRE", "VRRP", "ESP", "AH", "ANY")
_TYPES = ("INGRESS", "EGRESS", "BIDIRECTIONAL")
# what a card has by itself, and what an order says of it in other words
SETTLED = ("number", "mac", "ips", "ipv6CidrBlock", "ipv6Ips")
_GIVEN = ("firewalls", "ips", "ipv6CidrBlock", "ipv6Ips", "id")
RULE = (
    "protocol", "sourceIp", "targetIp", "sourceMac", "portRangeStart", "portRangeEnd", "icmpType",
    "icmpCode", "type", "name",
)  # fmt: skip


def check_rule(rule: Values, place: str = "") -> Failures:
    """
    What the provider refuses in a rule.

    Sources: terraform-provider-ionoscloud ionoscloud/resource_firewall.go; the SDK's field texts.
    """
    at = f"{place}." if place else ""
    found = []
    if rule.get("protocol", "TCP") not in _PROTOCOLS:
        found.append((f"{at}protocol", f"expected protocol to be one of {list(_PROTOCOLS)}"))
    found += [
        (f"{at}{key}", f"expected {key} to be in the range (1 - 65534)")
        for key in ("portRangeStart", "portRangeEnd")
        if not 1 <= (rule.get(key) or 1) <= 65534
    ]
    for key in ("sourceIp", "targetIp"):
        try:
            ip_interface(rule.get(key) or "192.0.2.1")
        except ValueError:
            found.append((f"{at}{key}", f"{rule[key]} is no IP address"))
    if rule.get("type", "INGRESS") not in _TYPES[:2]:
        found.append((f"{at}type", "expected type to be one of [INGRESS EGRESS]"))
    return found


def check_nic(nic: Values, place: str = "") -> Failures:
    """
    What the provider and the lab refuse in a card.

    Sources: terraform-provider-ionoscloud internal/serverutil/schemas.go (inline card).
    """
    at = f"{place}." if place else ""
    unmade = ("flowlog", "securityGroupsIds")
    found = [(f"{at}{key}", f"this stand-in has no {key}") for key in unmade if nic.get(key)]
    for number, ip in enumerate(nic.get("ipv6Ips") or []):
        try:
            IPv6Address(ip)
        except ValueError:
            found.append((f"{at}ipv6Ips[{number}]", f"expected a valid IPv6 address, got: {ip}"))
    if nic.get("firewallType", "INGRESS") not in _TYPES:
        found.append((f"{at}firewallType", f"expected firewall_type to be one of {list(_TYPES)}"))
    for number, rule in enumerate(nic.get("firewalls") or []):
        found += check_rule(rule, f"{at}firewalls[{number}]")
    return found


def plug_nic(book: Book, centre: str, server: str, news: Values) -> str:
    """
    Give a server a card; a LAN that does not exist is made, private, as the API does.

    Out: its id.
    Raises: ApiError when an address is not the contract's, or another card has it.
    """
    lan = int(news["lan"])
    if f"{centre}/{lan}" not in book.of("lan"):
        book.of("lan")[f"{centre}/{lan}"] = {
            "datacenterId": centre, "public": False, "number": book.next_id(), "failovers": [],
        }  # fmt: skip
    ident, number = str(uuid.uuid4()), book.next_id()
    raw = f"{int(number):06x}"
    mac = news.get("mac") or f"02:01:{raw[:2]}:{raw[2:4]}:{raw[4:]}:01"
    nic = {
        **{key: value for key, value in news.items() if key not in _GIVEN},
        "datacenterId": centre, "serverId": server, "lan": lan, "mac": mac, "number": number,
        "ips": [],
    }  # fmt: skip
    nic["ips"] = lend(book, nic, news.get("ips") or [])
    book.of("nic")[ident] = nic | lend6(book, ident, nic, news)
    put_rules(book, centre, ident, news.get("firewalls") or [])
    return ident


def lend(book: Book, nic: Thing, wanted: list[str]) -> list[str]:
    """
    Addresses of a card: those that were asked for, or one by DHCP.

    Raises: ApiError when one is not reserved here or is another card's.
    """
    lan = lan_of(book, nic)
    if not lan["public"]:
        return wanted or [allocate_private(book, lan)]
    where = book.of("datacenter")[nic["datacenterId"]]["location"]
    blocks = [b for b in book.of("ip_block").values() if b["location"] == where]
    shared = {entry["ip"] for entry in lan["failovers"]}
    for ip in wanted:
        if not any(ip in block["ips"] for block in blocks):
            raise refuse(422, f"IP {ip} is not reserved in {where}")
        others = [other for other in book.of("nic").values() if other is not nic]
        if ip not in shared and any(ip in other["ips"] for other in others):
            raise refuse(422, f"IP {ip} is assigned to another NIC")
    return wanted or (nic["ips"] or allocate(book, 1) if nic.get("dhcp", True) else [])


def lend6(book: Book, ident: str, nic: Thing, wanted: Values) -> Values:
    """Out: what a card has of its LAN's IPv6 network, as `card_addresses` says it."""
    return card_addresses(book, ident, nic, lan_of(book, nic).get("ipv6CidrBlock") or "", wanted)


def put_rules(book: Book, centre: str, nic: str, rules: list[Values]) -> list[str]:
    """
    The rules that are written into a card, in the place of those it had.

    Out: their ids.
    """
    there = book.of("firewall_rule")
    for key in [k for k, rule in there.items() if rule["nicId"] == nic and rule["inline"]]:
        del there[key]
    made = []
    for rule in rules:
        ident = str(uuid.uuid4())
        kept = {key: rule[key] for key in RULE if rule.get(key) is not None}
        there[ident] = {**kept, "nicId": nic, "datacenterId": centre, "inline": True}
        made.append(ident)
    return made


def unplug(book: Book, nic: str) -> None:
    """Take a card with its rules and its part in failover groups away."""
    card = book.of("nic").pop(nic)
    lan = book.of("lan").get(f"{card['datacenterId']}/{card['lan']}")
    if lan:
        lan["failovers"] = [entry for entry in lan["failovers"] if entry["nicUuid"] != nic]
        for entry in lan["failovers"]:
            entry["heard"] = "" if entry["heard"] == nic else entry["heard"]
    rules = book.of("firewall_rule")
    for key in [k for k, rule in rules.items() if rule["nicId"] == nic]:
        del rules[key]


def apply_nics(account: Account, book: Book, *servers: str) -> None:
    """Bring cables, routes and rules of servers in line with the book; they keep running."""
    for ident in servers:
        machine = book.machines[book.of("server")[ident]["host"]]
        before = {port.outside for port in machine.ports}
        gone = refresh(book, ident)
        account.ground.unplug_ports(machine, before - {port.outside for port in machine.ports})
        # what a group sends elsewhere stays on the card: that is the server's own matter
        kept = {f"{ip}/32" for _, nic in cards(book, ident) for ip in nic["ips"]}
        account.ground.reroute(machine, [pair for pair in gone if pair[1] in kept])
        ended = [pair for pair in gone if pair[1] not in kept]
        account.ground.reroute(machine, ended, leased=True)
    account.ground.filter(book, CLOUD.name)


def render_nic(book: Book, ident: str) -> dict[str, Any]:
    """A card as the provider shows it."""
    nic = book.of("nic")[ident]
    hidden = ("number", "datacenterId", "serverId")
    shown = {key: value for key, value in nic.items() if key not in hidden}
    return {**shown, "id": ident, "deviceNumber": 0, "pciSlot": 6}


class Nics:
    """terraform-provider-ionoscloud ionoscloud/resource_nic.go."""

    kind = Kind(
        "ionoscloud:compute/nic:Nic",
        "nic",
        parse_fields("""
            datacenterId string required replaces
            serverId string required replaces
            lan int required
            name string
            dhcp bool =true
            ips strings
            firewallActive bool
            firewallType string
            mac string replaces
            dhcpv6 bool
            ipv6CidrBlock string
            ipv6Ips strings
            flowlog object
            securityGroupsIds strings
            location string replaces
            deviceNumber int computed
            pciSlot int computed
        """),
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        return check_nic(news)

    def create(self, news: Values) -> tuple[str, Values]:
        with self._account.call("create", "nic", news["name"]) as book:
            find(book, "server", news["serverId"])
            ident = plug_nic(book, news["datacenterId"], news["serverId"], news)
            apply_nics(self._account, book, news["serverId"])
            return ident, _computed(book, ident)

    def read(self, ident: str, olds: Values) -> Values | None:
        with self._account.call("read", "nic", olds.get("name", "")) as book:
            nic = book.of("nic").get(ident)
            return nic and {k: v for k, v in nic.items() if k in self.kind.fields}

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        with self._account.call("update", "nic", olds.get("name", "")) as book:
            nic = find(book, "nic", ident)
            kept = {key: nic[key] for key in SETTLED if key in nic}
            book.of("nic")[ident] = nic = {**news, **kept}
            nic["ips"] = lend(book, nic, news.get("ips") or [])
            nic |= lend6(book, ident, nic, news)
            apply_nics(self._account, book, nic["serverId"])
            return _computed(book, ident)

    def delete(self, ident: str, olds: Values) -> None:
        with self._account.call("delete", "nic", olds.get("name", "")) as book:
            server = find(book, "nic", ident)["serverId"]
            unplug(book, ident)
            apply_nics(self._account, book, server)


def _computed(book: Book, ident: str) -> Values:
    nic = render_nic(book, ident)
    return {key: nic[key] for key in (*SETTLED[1:], "deviceNumber", "pciSlot")}
