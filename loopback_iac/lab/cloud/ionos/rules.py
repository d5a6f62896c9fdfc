"""Firewall rules that are declared by themselves."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from loopback_iac.lab.cloud.ionos.nics import RULE, apply_nics, check_rule
from loopback_iac.lab.cloud.ionos.words import find, refuse
from loopback_iac.lab.cloud.kinds import Kind, parse_fields

if TYPE_CHECKING:
    from loopback_iac.engine.values import Values
    from loopback_iac.lab.cloud.account import Account
    from loopback_iac.lab.cloud.book import Book
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
