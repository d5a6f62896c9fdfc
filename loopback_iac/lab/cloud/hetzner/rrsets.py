"""What Hetzner's zones hold: rules of their records, and the zone files that a server reads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from loopback_iac.lab.cloud.hetzner.words import refuse
from loopback_iac.lab.cloud.zones import Held, NameServer, Source

if TYPE_CHECKING:
    from loopback_iac.engine.values import Values
    from loopback_iac.lab.cloud.account import Account
    from loopback_iac.lab.cloud.book import Book, Thing
    from loopback_iac.lab.cloud.kinds import Failures

APEX = "@"
# Hetzner Cloud API description, Zones: assigned name servers
NAME_SERVERS = ("hydrogen.ns.hetzner.com.", "oxygen.ns.hetzner.com.", "helium.ns.hetzner.de.")
# hetznercloud/hcloud-go hcloud/zone_rrset.go
TYPES = (
    "A", "AAAA", "CAA", "CNAME", "DS", "HINFO", "HTTPS", "MX", "NS", "PTR", "RP", "SOA", "SRV",
    "SVCB", "TLSA", "TXT",
)  # fmt: skip
# The API has no name for a TSIG key, and no document says which one is sent; this is ours.
KEY_NAME = "hetzner"
# terraform-provider-hcloud internal/zonerrset: strings in quotes, 255 octets each
_TEXT = re.compile(r'"(?:[^"\\]|\\.){0,1020}"(?: "(?:[^"\\]|\\.){0,1020}")*')


def check_rrset(news: Values) -> Failures:
    """
    What the provider refuses of a set before any call.

    Sources: terraform-provider-hcloud internal/zonerrset (types, TXT), the API's rules for names.
    """
    found = []
    kind, name = news.get("type", "A"), news.get("name", APEX)
    if kind not in TYPES:
        need = " ".join(f'"{one}"' for one in TYPES)
        found.append(("type", f'Attribute type value must be one of: [{need}], got: "{kind}"'))
    if name != name.lower() or name.endswith("."):
        found.append(("name", f"{name} is not lower case, or ends with a dot"))
    values = [record.get("value", "") for record in news.get("records", [])]
    if "records" in news and not values:
        found.append(("records", "Attribute records set must contain at least 1 elements, got: 0"))
    if len(set(values)) < len(values):
        found.append(("records", "values of a set are distinct"))
    if kind == "TXT":
        text = "TXT records must be strings in quotes, separated by spaces"
        found += [("records", f"{text}: {value}") for value in values if not _TEXT.fullmatch(value)]
    return found


def find_zone(book: Book, wanted: object) -> tuple[str, Thing]:
    """
    A primary zone by id or name, as references in the API are.

    Raises: ApiError not_found, and incorrect_zone_mode for a secondary.
    """
    for ident, zone in book.of("zone").items():
        if str(wanted) in (ident, zone["name"]):
            if zone["mode"] != "primary":
                text = "zone is not in primary mode"
                raise refuse("incorrect_zone_mode", text)
            return ident, zone
    raise refuse("not_found", f"zone with ID '{wanted}' not found")


def touch(zone: Thing) -> None:
    """A change raises the serial."""
    zone["serial"] += 1


def serve_zones(account: Account, book: Book) -> None:
    """
    Have the name server serve what is in the book.

    Raises: ApiError invalid_input for a value that is no data of its type.
    """
    server = NameServer(account.shelf.paths, account.cloud, account.ground.image)
    server.serve([_held(book, ident, zone) for ident, zone in book.of("zone").items()])


def _held(book: Book, ident: str, zone: Thing) -> Held:
    if zone["mode"] == "secondary":
        return Held(zone["name"], sources=tuple(map(_source, zone["primaryNameservers"])))
    origin = f"{zone['name']}."
    soa = f"{NAME_SERVERS[0]} dns.hetzner.com. {zone['serial']} 86400 10800 3600000 3600"
    lines = [f"$ORIGIN {origin}", f"$TTL {zone['ttl']}", f"@ IN SOA {soa}"]
    for rrset in book.of("zone_rrset").values():
        if rrset["zone"] == ident and rrset["type"] != "SOA":
            lines += _lines(rrset, origin)
    return Held(zone["name"], "\n".join(lines) + "\n")


def _lines(rrset: Thing, origin: str) -> list[str]:
    from loopback_iac.dns import Refusal  # noqa: PLC0415 - slow, and most clouds hold no zone
    from loopback_iac.dns.rdata import parse_rdata  # noqa: PLC0415 - as above

    ttl = rrset.get("ttl")
    head = f"{rrset['name']} {'' if ttl is None else ttl} IN {rrset['type']}"
    for record in rrset["records"]:
        try:
            parse_rdata(rrset["type"], record["value"], origin)
        except Refusal as wrong:
            text = f"invalid input in field 'records': {wrong.got}"
            raise refuse("invalid_input", text) from None
    return [f"{head} {record['value']}" for record in rrset["records"]]


def _source(given: Values) -> Source:
    key = KEY_NAME if given.get("tsigKey") else ""
    return Source(
        given["address"],
        int(given.get("port") or 53),
        key,
        given.get("tsigAlgorithm") or "hmac-sha256",
        given.get("tsigKey") or "",
    )
