"""Firewall rules and failover groups that are declared by themselves."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from loopback_iac.lab.cloud.ionos.nics import RULE, apply_nics, check_rule
from loopback_iac.lab.cloud.ionos.words import find, refuse
from loopback_iac.lab.cloud.kinds import Kind, parse_fields

if TYPE_CHECKING:
    from loopback_iac.engine.values import Values
    from loopback_iac.lab.cloud.account import Account
    from loopback_iac.lab.cloud.book import Book, Thing
    from loopback_iac.lab.cloud.kinds import Failures


class FirewallRules:
    """terraform-provider-ionoscloud ionoscloud/resource_firewall.go."""

    kind = Kind(
        "ionoscloud:compute/firewall:Firewall",
        "firewall_rule",
        parse_fields("""
            datacenterId string required replaces
            serverId string required replaces
            nicId string required replaces
            protocol string required
            name string
            sourceIp string
            targetIp string
            sourceMac string
            portRangeStart int
            portRangeEnd int
            icmpType string
            icmpCode string
            type string
            location string replaces
        """),
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        return check_rule(news)

    def create(self, news: Values) -> tuple[str, Values]:
        ident = str(uuid.uuid4())
        with self._account.call("create", "firewall_rule", news["name"]) as book:
            self._put(book, ident, news)
        return ident, {}

    def read(self, ident: str, olds: Values) -> Values | None:
        with self._account.call("read", "firewall_rule", olds.get("name", "")) as book:
            rule = book.of("firewall_rule").get(ident)
            return rule and {key: value for key, value in rule.items() if key != "inline"}

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        """The API refuses another protocol, which the provider does not replace for."""
        with self._account.call("update", "firewall_rule", olds.get("name", "")) as book:
            if find(book, "firewall_rule", ident)["protocol"] != news["protocol"]:
                raise refuse(422, "[(root).properties.protocol] Attribute is read-only", "105")
            self._put(book, ident, news)
        return {}

    def delete(self, ident: str, olds: Values) -> None:
        with self._account.call("delete", "firewall_rule", olds.get("name", "")) as book:
            nic = find(book, "firewall_rule", ident)["nicId"]
            del book.of("firewall_rule")[ident]
            apply_nics(self._account, book, find(book, "nic", nic)["serverId"])

    def _put(self, book: Book, ident: str, news: Values) -> None:
        server = find(book, "nic", news["nicId"])["serverId"]
        kept = {key: news[key] for key in RULE if news.get(key) is not None}
        places = {key: news[key] for key in ("nicId", "datacenterId", "serverId")}
        book.of("firewall_rule")[ident] = {**kept, **places, "inline": False}
        apply_nics(self._account, book, server)


class IpFailovers:
    """terraform-provider-ionoscloud ionoscloud/resource_ipfailover.go: entries of a LAN's list."""

    kind = Kind(
        "ionoscloud:compute/iPFailover:IPFailover",
        "ip_failover",
        parse_fields("""
            datacenterId string required replaces
            lanId string required replaces
            ip string required replaces
            nicuuid string required
            location string replaces
        """),
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        """Nothing beyond the schema."""
        del news
        return []

    def create(self, news: Values) -> tuple[str, Values]:
        with self._account.call("create", "ip_failover", news["ip"]) as book:
            self._register(book, news)
        return _ident(news), {}

    def read(self, ident: str, olds: Values) -> Values | None:
        del ident
        with self._account.call("read", "ip_failover", olds.get("ip", "")) as book:
            lan = book.of("lan").get(f"{olds.get('datacenterId')}/{olds.get('lanId')}")
            if lan is None:
                raise refuse(404, f"unable to find the LAN with ID: {olds.get('lanId')}")
            entry = next((e for e in lan["failovers"] if e["ip"] == olds.get("ip")), None)
            return entry and {**olds, "nicuuid": entry["nicUuid"]}

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        """Another card: the cloud sends the address there, servers keep running."""
        del ident, olds
        with self._account.call("update", "ip_failover", news["ip"]) as book:
            self._register(book, news)
        return {}

    def delete(self, ident: str, olds: Values) -> None:
        """
        The group ends; its address must be on no other card any more.

        Sources: API error 184, as terraform-provider-ionoscloud#432 and #585 show it.
        """
        del ident
        with self._account.call("delete", "ip_failover", olds["ip"]) as book:
            lan = _lan(book, olds)
            slaves = [
                key
                for key, nic in book.of("nic").items()
                if olds["ip"] in nic["ips"] and key != olds["nicuuid"]
            ]
            if slaves:
                text = f"Failover IP '{olds['ip']}' found in Slave NIC '{slaves[0]}'."
                raise refuse(422, f"{text} IP failover settings cannot be deleted.", "184")
            lan["failovers"] = [e for e in lan["failovers"] if e["ip"] != olds["ip"]]
            self._apply(book, olds)

    def _register(self, book: Book, news: Values) -> None:
        lan = _lan(book, news)
        nic = find(book, "nic", news["nicuuid"])
        if news["ip"] not in nic["ips"]:
            raise refuse(422, f"IP {news['ip']} is not on NIC {news['nicuuid']}")
        others = [e for e in lan["failovers"] if e["ip"] != news["ip"]]
        lan["failovers"] = [*others, {"ip": news["ip"], "nicUuid": news["nicuuid"]}]
        self._apply(book, news)

    def _apply(self, book: Book, news: Values) -> None:
        nics = [n for n in book.of("nic").values() if _in_lan(n, news)]
        apply_nics(self._account, book, *sorted({nic["serverId"] for nic in nics}))


def _ident(news: Values) -> str:
    # internal/utils: a name-based uuid of the address
    return str(uuid.uuid5(uuid.NAMESPACE_OID, news["ip"]))


def _lan(book: Book, news: Values) -> Thing:
    return find(book, "lan", f"{news['datacenterId']}/{news['lanId']}")


def _in_lan(nic: Thing, news: Values) -> bool:
    return (nic["datacenterId"], str(nic["lan"])) == (news["datacenterId"], str(news["lanId"]))
