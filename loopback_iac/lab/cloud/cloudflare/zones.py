"""Zones of Cloudflare and what is in them, which a real NSD serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopback_iac.lab.cloud.cloudflare.records import (
    NAME_SERVERS,
    SECONDARY_SERVERS,
    check_new,
    check_record,
    serve_zones,
)
from loopback_iac.lab.cloud.cloudflare.words import find, new_id, refuse
from loopback_iac.lab.cloud.kinds import Kind, parse_fields

if TYPE_CHECKING:
    from loopback_iac.engine.values import Values
    from loopback_iac.lab.cloud.account import Account
    from loopback_iac.lab.cloud.kinds import Failures

_TYPES = ("full", "partial", "secondary", "internal")
_STATES = ("active", "disabled")


class Zones:
    """terraform-provider-cloudflare internal/services/zone."""

    kind = Kind(
        "cloudflare:index/zone:Zone",
        "zone",
        parse_fields("""
            account object required replaces
            name string required replaces
            type string =full
            paused bool =false
            vanityNameServers strings
            nameServers strings computed
            status string computed
        """),
        framework=True,
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        kind = news.get("type", "full")
        if kind in _TYPES:
            return []
        need = " ".join(f'"{one}"' for one in _TYPES)
        return [("type", f'Attribute type value must be one of: [{need}], got: "{kind}"')]

    def create(self, news: Values) -> tuple[str, Values]:
        """A name that the account has is refused (1061)."""
        with self._account.call("create", "zone", news["name"]) as book:
            if any(zone["name"] == news["name"] for zone in book.of("zone").values()):
                raise refuse(1061, f"{news['name']} already exists")
            ident = new_id()
            book.of("zone")[ident] = {**news, "serial": 1}
            serve_zones(self._account, book)
        return ident, _shown(news)

    def read(self, ident: str, olds: Values) -> Values | None:
        with self._account.call("read", "zone", olds.get("name", "")) as book:
            zone = book.of("zone").get(ident)
            return zone and {**zone, **_shown(zone)}

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        with self._account.call("update", "zone", olds.get("name", "")) as book:
            find(book, "zone", ident).update(news)
            serve_zones(self._account, book)
        return {}

    def delete(self, ident: str, olds: Values) -> None:
        """Its records and its transfer go along."""
        with self._account.call("delete", "zone", olds.get("name", "")) as book:
            find(book, "zone", ident)
            del book.of("zone")[ident]
            book.of("incoming").pop(ident, None)
            records = book.of("dns_record")
            for key in [key for key, record in records.items() if record["zoneId"] == ident]:
                del records[key]
            serve_zones(self._account, book)


class DnsRecords:
    """terraform-provider-cloudflare internal/services/dns_record: one value of an RRset."""

    kind = Kind(
        "cloudflare:index/dnsRecord:DnsRecord",
        "dns_record",
        parse_fields("""
            zoneId string required replaces
            name string required
            type string required replaces
            ttl int required
            content string
            data object
            priority int
            proxied bool =false
            comment string
            tags strings
            settings object
            privateRouting bool
            proxiable bool computed
        """),
        framework=True,
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        return check_record(news)

    def create(self, news: Values) -> tuple[str, Values]:
        ident = new_id()
        self._put("create", ident, news)
        return ident, {"proxiable": news["type"] in ("A", "AAAA", "CNAME")}

    def read(self, ident: str, olds: Values) -> Values | None:
        with self._account.call("read", "dns_record", olds.get("name", "")) as book:
            record = book.of("dns_record").get(ident)
            return record and {**olds, **record}

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        del olds
        self._put("update", ident, news)
        return {}

    def delete(self, ident: str, olds: Values) -> None:
        with self._account.call("delete", "dns_record", olds.get("name", "")) as book:
            find(book, "dns_record", ident)
            del book.of("dns_record")[ident]
            find(book, "zone", olds["zoneId"])["serial"] += 1
            serve_zones(self._account, book)

    def _put(self, verb: str, ident: str, news: Values) -> None:
        with self._account.call(verb, "dns_record", news["name"]) as book:
            zone = find(book, "zone", news["zoneId"])
            if verb == "update":
                find(book, "dns_record", ident)
            check_new(book, ident, news, zone)
            book.of("dns_record")[ident] = dict(news)
            zone["serial"] += 1
            serve_zones(self._account, book)


class _Settings:
    """What a zone has once and never loses: an own resource writes it into the zone."""

    kind: Kind
    _kept: tuple[str, ...] = ()

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        del news
        return []

    def create(self, news: Values) -> tuple[str, Values]:
        return news["zoneId"], self._patch("create", news)

    def read(self, ident: str, olds: Values) -> Values | None:
        with self._account.call("read", self.kind.name) as book:
            zone = book.of("zone").get(ident)
            return zone and {**olds, **{key: zone[key] for key in self._kept if key in zone}}

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        del ident, olds
        return self._patch("update", news)

    def delete(self, ident: str, olds: Values) -> None:
        """Nothing happens: the zone keeps what it was set to."""
        del ident, olds

    def _patch(self, verb: str, news: Values) -> Values:
        with self._account.call(verb, self.kind.name) as book:
            zone = find(book, "zone", news["zoneId"])
            zone.update({key: news[key] for key in self._kept if key in news})
            zone["serial"] += 1
            serve_zones(self._account, book)
        return {}


class ZoneDnsSettings(_Settings):
    """terraform-provider-cloudflare internal/services/zone_dns_settings."""

    _kept = ("multiProvider", "flattenAllCnames", "secondaryOverrides")
    kind = Kind(
        "cloudflare:index/zoneDnsSettings:ZoneDnsSettings",
        "zone_dns_settings",
        parse_fields("""
            zoneId string required replaces
            multiProvider bool
            flattenAllCnames bool
            secondaryOverrides bool
            zoneMode string
            nsTtl int
            soa object
            nameservers object
        """),
        framework=True,
    )


class ZoneDnssecs(_Settings):
    """terraform-provider-cloudflare internal/services/zone_dnssec."""

    _kept = ("dnssecPresigned", "dnssecMultiSigner", "dnssecUseNsec3")
    kind = Kind(
        "cloudflare:index/zoneDnssec:ZoneDnssec",
        "zone_dnssec",
        parse_fields("""
            zoneId string required replaces
            status string
            dnssecPresigned bool
            dnssecMultiSigner bool
            dnssecUseNsec3 bool
            algorithm string computed
            ds string computed
        """),
        framework=True,
    )

    def check(self, news: Values) -> Failures:
        state = news.get("status", "active")
        if state in _STATES:
            return []
        return [
            (
                "status",
                f'Attribute status value must be one of: ["active" "disabled"], got: "{state}"',
            )
        ]


def _shown(zone: Values) -> Values:
    servers = SECONDARY_SERVERS if zone["type"] == "secondary" else NAME_SERVERS
    return {"nameServers": list(servers), "status": "pending"}
