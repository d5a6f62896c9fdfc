"""DNS zones and records of IONOS, which a real Knot serves; secondary zones have no resource."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from loopback_iac.lab.cloud.ionos.words import check_quota, find, refuse
from loopback_iac.lab.cloud.kinds import ApiError, Kind, parse_fields
from loopback_iac.lab.cloud.zones import Held, NameServer, Source

if TYPE_CHECKING:
    from loopback_iac.engine.values import Values
    from loopback_iac.lab.cloud.account import Account
    from loopback_iac.lab.cloud.book import Book, Thing
    from loopback_iac.lab.cloud.kinds import Failures

# ionos-cloud/sdk-go-bundle products/dns: metadata.nameservers of both kinds of zone
NAME_SERVERS = tuple(f"ns-ic.ui-dns.{tld}" for tld in ("com", "de", "org", "biz"))
SECONDARY_SERVERS = tuple(f"nscs.ui-dns.{tld}" for tld in ("com", "de", "org", "biz"))
# ionos-cloud/sdk-go-bundle products/dns/model_record_type.go; ALIAS is served by no other server
TYPES = (
    "A", "AAAA", "CNAME", "MX", "NS", "SRV", "TXT", "CAA", "SSHFP", "TLSA", "SMIMEA", "DS",
    "HTTPS", "SVCB", "OPENPGPKEY", "CERT", "URI", "RP", "LOC",
)  # fmt: skip
_PRIORITY = ("MX", "SRV", "URI")
_HIGHEST = 65_535
_MIN_TTL_S, _MAX_TTL_S, _TTL_S = 60, 604_800, 3600
_FAILED = (
    "{} creation has failed, this can happen if the data in the request is not correct, please"
    " check again the values defined in the plan"
)


class DnsZones:
    """terraform-provider-ionoscloud ionoscloud/resource_dns_zone.go."""

    kind = Kind(
        "ionoscloud:dns/zone:Zone",
        "dns_zone",
        parse_fields("""
            name string replaces
            description string
            enabled bool
            nameservers strings computed
        """),
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        del news
        return []

    def create(self, news: Values) -> tuple[str, Values]:
        with self._account.call("create", "dns_zone", news["name"]) as book:
            check_quota(self._account, book, "dns_zone")
            refuse_held(book, news["name"])
            ident = str(uuid.uuid4())
            book.of("dns_zone")[ident] = {**news, "serial": 1}
            serve_zones(self._account, book)
        return ident, {"nameservers": list(NAME_SERVERS)}

    def read(self, ident: str, olds: Values) -> Values | None:
        with self._account.call("read", "dns_zone", olds.get("name", "")) as book:
            zone = book.of("dns_zone").get(ident)
            return zone and {**zone, "nameservers": list(NAME_SERVERS)}

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        with self._account.call("update", "dns_zone", olds.get("name", "")) as book:
            zone = find(book, "dns_zone", ident)
            zone.update(news)
            zone["serial"] += 1
            serve_zones(self._account, book)
        return {}

    def delete(self, ident: str, olds: Values) -> None:
        """Its records go along; one that is gone already is no error."""
        with self._account.call("delete", "dns_zone", olds.get("name", "")) as book:
            book.of("dns_zone").pop(ident, None)
            records = book.of("dns_record")
            for key in [key for key, record in records.items() if record["zoneId"] == ident]:
                del records[key]
            serve_zones(self._account, book)


class DnsRecords:
    """terraform-provider-ionoscloud ionoscloud/resource_dns_record.go."""

    kind = Kind(
        "ionoscloud:dns/record:Record",
        "dns_record",
        parse_fields("""
            zoneId string required
            type string required
            content string required
            name string replaces
            ttl int
            priority int
            enabled bool
            fqdn string computed
        """),
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        """
        What the provider refuses before any call: priority.

        Sources: terraform-provider-ionoscloud ionoscloud/resource_dns_record.go.
        """
        priority = news.get("priority")
        if priority is None or 0 <= priority <= _HIGHEST:
            return []
        return [("priority", f"expected priority to be in the range (0 - 65535), got {priority}")]

    def create(self, news: Values) -> tuple[str, Values]:
        with self._account.call("create", "dns_record", news["name"]) as book:
            zone = find(book, "dns_zone", news["zoneId"])
            ident = str(uuid.uuid4())
            self._put(book, ident, news, zone)
        return ident, {"fqdn": f"{news['name']}.{zone['name']}".removeprefix(".")}

    def read(self, ident: str, olds: Values) -> Values | None:
        with self._account.call("read", "dns_record", olds.get("name", "")) as book:
            record = book.of("dns_record").get(ident)
            return record and {**olds, **record}

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        with self._account.call("update", "dns_record", olds.get("name", "")) as book:
            find(book, "dns_record", ident)
            self._put(book, ident, news, find(book, "dns_zone", news["zoneId"]))
        return {}

    def delete(self, ident: str, olds: Values) -> None:
        """A record that is gone already, alone or with its zone, is no error."""
        with self._account.call("delete", "dns_record", olds.get("name", "")) as book:
            if book.of("dns_record").pop(ident, None):
                find(book, "dns_zone", olds["zoneId"])["serial"] += 1
                serve_zones(self._account, book)

    def _put(self, book: Book, ident: str, news: Values, zone: Thing) -> None:
        """Taken as it is, and FAILED a moment later when it is no data of its type."""
        _check_record(news, f"{zone['name']}.")
        book.of("dns_record")[ident] = dict(news)
        zone["serial"] += 1
        serve_zones(self._account, book)


def refuse_held(book: Book, name: str) -> None:
    """
    A zone is held once, as a primary or as a secondary.

    Raises: ApiError 409.
    """
    held = [zone["name"] for zone in book.of("dns_zone").values()]
    held += [zone["zoneName"] for zone in book.of("secondary_zone").values()]
    if name in held:
        raise refuse(409, f"zone {name} already exists")


def serve_zones(account: Account, book: Book) -> None:
    """Have the name server serve what is in the book."""
    primaries = book.of("dns_zone").items()
    held = [_held(book, ident, zone) for ident, zone in primaries if zone.get("enabled", True)]
    held += [
        Held(zone["zoneName"], sources=tuple(Source(address) for address in zone["primaryIps"]))
        for zone in book.of("secondary_zone").values()
    ]
    NameServer(account.shelf.paths, account.cloud, account.ground.image).serve(held)


def _held(book: Book, ident: str, zone: Thing) -> Held:
    soa = f"{NAME_SERVERS[0]}. hostmaster.ionos.com. {zone['serial']} 28800 7200 604800 600"
    lines = [f"$ORIGIN {zone['name']}.", f"@ {_TTL_S} IN SOA {soa}"]
    lines += [f"@ {_TTL_S} IN NS {server}." for server in NAME_SERVERS]
    for record in book.of("dns_record").values():
        if record["zoneId"] == ident and record.get("enabled", True):
            ttl = record.get("ttl") or _TTL_S
            owner = record["name"] or "@"
            lines.append(f"{owner} {ttl} IN {record['type']} {_value(record)}")
    return Held(zone["name"], "\n".join(lines) + "\n")


def _check_record(news: Values, origin: str) -> None:
    """Raises: ApiError for what the API refuses, or takes and then calls FAILED."""
    from loopback_iac.dns import Refusal  # noqa: PLC0415 - slow, and most clouds hold no zone
    from loopback_iac.dns.rdata import parse_rdata  # noqa: PLC0415 - as above

    if news["type"] not in TYPES:
        raise refuse(400, f"type {news['type']} is not supported")
    if news["type"] in _PRIORITY and news.get("priority") is None:
        raise refuse(400, f"priority is mandatory for type {news['type']}")
    if not _MIN_TTL_S <= (news.get("ttl") or _TTL_S) <= _MAX_TTL_S:
        raise refuse(400, f"ttl must be between {_MIN_TTL_S} and {_MAX_TTL_S}")
    try:
        parse_rdata(news["type"], _value(news), origin)
    except Refusal:
        raise ApiError("", _FAILED.format("record")) from None


def _value(record: Values) -> str:
    """
    Content as a zone file has it: names in it are whole, and have no final dot.

    Sources: ionos-cloud/external-dns-ionos-webhook internal/ionoscloud: targets as external-dns
    gives them.
    """
    kind, content = record["type"], str(record["content"])
    if kind in ("CNAME", "NS", "MX", "SRV"):
        content = f"{content.removesuffix('.')}."
    if kind in _PRIORITY:
        content = f"{record['priority']} {content}"
    if kind == "TXT" and not content.startswith('"'):
        content = f'"{content}"'
    return content
