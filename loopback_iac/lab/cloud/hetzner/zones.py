"""Zones, their RRsets and single records of them, which a real NSD serves."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from loopback_iac.lab.cloud.hetzner.rrsets import (
    APEX,
    NAME_SERVERS,
    check_rrset,
    find_zone,
    serve_zones,
    touch,
)
from loopback_iac.lab.cloud.hetzner.words import (
    check_labels,
    check_new,
    find,
    refuse,
    refuse_protected,
)
from loopback_iac.lab.cloud.kinds import Kind, parse_fields

if TYPE_CHECKING:
    from loopback_iac.engine.values import Values
    from loopback_iac.lab.cloud.account import Account
    from loopback_iac.lab.cloud.kinds import Failures

# Hetzner Cloud API description, Zones: lower case, no trailing dot, A-labels
_NAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
_MODES = ("primary", "secondary")
# terraform-provider-hcloud internal/zone: tsig_algorithm
_ALGORITHMS = ("hmac-md5", "hmac-sha1", "hmac-sha256")
MIN_TTL_S, MAX_TTL_S = 60, 2**31 - 1
_NO_ID = "missing ID"
"""pulumi-terraform-bridge: what a resource without an id of its own gets (ZoneRecord)."""


class Zones:
    """terraform-provider-hcloud internal/zone."""

    kind = Kind(
        "hcloud:index/zone:Zone",
        "zone",
        parse_fields("""
            mode string required replaces
            name string replaces
            ttl int =3600
            labels map
            deleteProtection bool =false
            primaryNameservers list
            authoritativeNameservers object computed
            registrar string computed
        """),
        framework=True,
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        """
        What the provider refuses before any call.

        Sources: terraform-provider-hcloud internal/zone/resource.go (mode, primary_nameservers).
        """
        found = check_labels(news)
        mode, given = news.get("mode"), news.get("primaryNameservers")
        if mode is not None and mode not in _MODES:
            need = " ".join(f'"{one}"' for one in _MODES)
            found.append(("mode", f'Attribute mode value must be one of: [{need}], got: "{mode}"'))
        if mode == "primary" and given:
            text = "This attribute is forbidden when mode is primary."
            found.append(("primaryNameservers", text))
        if mode == "secondary" and "primaryNameservers" in news and not given:
            text = "This attribute is required when mode is secondary."
            found.append(("primaryNameservers", text))
        for at, one in enumerate(given or []):
            algorithm = one.get("tsigAlgorithm")
            if algorithm is not None and algorithm not in _ALGORITHMS:
                path = f"primaryNameservers[{at}].tsigAlgorithm"
                found.append((path, f"{algorithm} is none of {', '.join(_ALGORITHMS)}"))
        return found + _check_ttl(news)

    def create(self, news: Values) -> tuple[str, Values]:
        """
        A primary zone comes with a SOA and three NS of its own.

        Sources: Hetzner Cloud API description, Zones.
        """
        with self._account.call("create", "zone", news["name"]) as book:
            check_new(self._account, book, "zone", news["name"])
            if not _NAME.fullmatch(news["name"]):
                raise refuse("invalid_input", "invalid input in field 'name': is not a zone name")
            ident = book.next_id()
            book.of("zone")[ident] = {"labels": {}, "primaryNameservers": [], **news, "serial": 1}
            if news["mode"] == "primary":
                records = [{"value": server} for server in NAME_SERVERS]
                own = {"zone": ident, "name": APEX, "type": "NS", "records": records}
                book.of("zone_rrset")[f"{ident}/{APEX}/NS"] = own
            serve_zones(self._account, book)
        return ident, _shown()

    def read(self, ident: str, olds: Values) -> Values | None:
        with self._account.call("read", "zone", olds.get("name", "")) as book:
            zone = book.of("zone").get(ident)
            return zone and {**zone, **_shown()}

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        with self._account.call("update", "zone", olds.get("name", "")) as book:
            zone = find(book, "zone", ident)
            zone.update({"labels": {}, "primaryNameservers": [], **news})
            touch(zone)
            serve_zones(self._account, book)
        return {}

    def delete(self, ident: str, olds: Values) -> None:
        """What is in it goes along; one that is gone already is no error."""
        with self._account.call("delete", "zone", olds.get("name", "")) as book:
            zone = book.of("zone").pop(ident, None)
            if zone is None:
                return
            refuse_protected(zone, "zone")
            there = book.of("zone_rrset")
            for key in [key for key, rrset in there.items() if rrset["zone"] == ident]:
                del there[key]
            serve_zones(self._account, book)


class ZoneRrsets:
    """terraform-provider-hcloud internal/zonerrset."""

    kind = Kind(
        "hcloud:index/zoneRrset:ZoneRrset",
        "zone_rrset",
        parse_fields("""
            zone string required replaces
            type string required replaces
            records list required
            name string replaces
            ttl int
            labels map
            changeProtection bool
        """),
        framework=True,
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        return check_labels(news) + _check_ttl(news) + check_rrset(news)

    def create(self, news: Values) -> tuple[str, Values]:
        """A set that is there is refused, the zone's own NS among them (uniqueness_error)."""
        with self._account.call("create", "zone_rrset", news["name"]) as book:
            ident, zone = find_zone(book, news["zone"])
            key = f"{ident}/{news['name']}/{news['type']}"
            if key in book.of("zone_rrset"):
                raise refuse("uniqueness_error", "RRSet already exists")
            book.of("zone_rrset")[key] = {**news, "zone": ident}
            touch(zone)
            serve_zones(self._account, book)
        return f"{news['name']}/{news['type']}", {}

    def read(self, ident: str, olds: Values) -> Values | None:
        with self._account.call("read", "zone_rrset", olds.get("name", "")) as book:
            zone, _ = find_zone(book, olds["zone"])
            found = book.of("zone_rrset").get(f"{zone}/{ident}")
            return found and {**found, "zone": olds["zone"]}

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        with self._account.call("update", "zone_rrset", olds.get("name", "")) as book:
            key, zone = find_zone(book, olds["zone"])
            find(book, "zone_rrset", f"{key}/{ident}")
            book.of("zone_rrset")[f"{key}/{ident}"] = {**news, "zone": key}
            touch(zone)
            serve_zones(self._account, book)
        return {}

    def delete(self, ident: str, olds: Values) -> None:
        """One that is gone already, with its zone or alone, is no error."""
        with self._account.call("delete", "zone_rrset", olds.get("name", "")) as book:
            key = str(olds["zone"])
            if key not in book.of("zone"):
                return
            if book.of("zone_rrset").pop(f"{key}/{ident}", None):
                touch(book.of("zone")[key])
                serve_zones(self._account, book)


class ZoneRecords:
    """terraform-provider-hcloud internal/zonerecord: one value in a set that others fill too."""

    kind = Kind(
        "hcloud:index/zoneRecord:ZoneRecord",
        "zone_record",
        parse_fields("""
            zone string required replaces
            type string required replaces
            value string required replaces
            name string replaces
            comment string
        """),
        framework=True,
    )

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, news: Values) -> Failures:
        return check_rrset({**news, "records": [{"value": news.get("value", "")}]})

    def create(self, news: Values) -> tuple[str, Values]:
        with self._account.call("create", "zone_record", news["name"]) as book:
            ident, zone = find_zone(book, news["zone"])
            key = f"{ident}/{news['name']}/{news['type']}"
            empty = {"zone": ident, "name": news["name"], "type": news["type"], "records": []}
            rrset = book.of("zone_rrset").setdefault(key, empty)
            if any(record["value"] == news["value"] for record in rrset["records"]):
                raise refuse("uniqueness_error", "record already exists")
            rrset["records"] = [*rrset["records"], {"value": news["value"]}]
            touch(zone)
            serve_zones(self._account, book)
        return _NO_ID, {}

    def read(self, ident: str, olds: Values) -> Values | None:
        del ident
        with self._account.call("read", "zone_record", olds.get("name", "")) as book:
            zone, _ = find_zone(book, olds["zone"])
            rrset = book.of("zone_rrset").get(f"{zone}/{olds['name']}/{olds['type']}")
            there = rrset and any(r["value"] == olds["value"] for r in rrset["records"])
            return dict(olds) if there else None

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        """Its comment alone may change, and nobody is served that."""
        del ident, olds, news
        return {}

    def delete(self, ident: str, olds: Values) -> None:
        """A record that is gone is an error here; a set without records goes with its last one."""
        del ident
        with self._account.call("delete", "zone_record", olds.get("name", "")) as book:
            ident, zone = find_zone(book, olds["zone"])
            key = f"{ident}/{olds['name']}/{olds['type']}"
            rrset = find(book, "zone_rrset", key)
            left = [one for one in rrset["records"] if one["value"] != olds["value"]]
            if len(left) == len(rrset["records"]):
                raise refuse("not_found", f"record '{olds['value']}' not found")
            rrset["records"] = left
            if not left:
                del book.of("zone_rrset")[key]
            touch(zone)
            serve_zones(self._account, book)


def _check_ttl(news: Values) -> Failures:
    ttl = news.get("ttl")
    if ttl is None or MIN_TTL_S <= ttl <= MAX_TTL_S:
        return []
    text = f"Attribute ttl value must be between {MIN_TTL_S} and {MAX_TTL_S}, got: {ttl}"
    return [("ttl", text)]


def _shown() -> Values:
    return {"authoritativeNameservers": {"assigneds": list(NAME_SERVERS)}, "registrar": "unknown"}
