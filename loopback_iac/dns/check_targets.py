"""Names that records point to: hosts that exist, are no alias, and are no address."""

import re
from collections.abc import Iterator, Mapping
from enum import Enum

from dns.rdtypes.IN.SRV import SRV
from dns.rdtypes.svcbbase import SVCBBase

from loopback_iac.dns import names
from loopback_iac.dns.findings import finding
from loopback_iac.dns.rdata import opened
from loopback_iac.dns.zone import RRset, Zone
from loopback_iac.model.problem import Problem

ADDRESS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}\.")
HOSTS = ("NS", "MX", "SRV", "SVCB", "HTTPS")
NO_ALIAS = frozenset({"NS", "MX", "SRV"})


class Stand(Enum):
    """What a zone knows about a name."""

    OUTSIDE = "is another zone's"
    ALIAS = "is an alias (CNAME)"
    HOST = "has addresses"
    MISSING = "does not exist"
    NO_ADDRESS = "has no address"


def stand_of(zone: Zone, name: str) -> Stand:
    """What a resolver would find at a name, as far as this zone tells (RFC 1034 4.3.2)."""
    if not names.is_within(name, zone.name):
        return Stand.OUTSIDE
    if name in zone.cuts or zone.cut_above(name) is not None:
        return Stand.OUTSIDE
    closest = _closest(zone, name)
    below_dname = any("DNAME" in zone.by_owner.get(up, {}) for up in _up(closest, zone.name))
    if closest != name and below_dname:
        return Stand.OUTSIDE
    types = types_at(zone, name)
    return Stand.MISSING if types is None else _stand(types)


def types_at(zone: Zone, name: str) -> Mapping[str, RRset] | None:
    """What a name within a zone has, by itself or by a wildcard; None: it does not exist."""
    closest = _closest(zone, name)
    return zone.by_owner.get(name, {}) if closest == name else zone.by_owner.get(f"*.{closest}")


def _closest(zone: Zone, name: str) -> str:
    while name not in zone.names:
        name = names.parent(name)
    return name


def _stand(types: Mapping[str, RRset]) -> Stand:
    if "CNAME" in types:
        return Stand.ALIAS
    return Stand.HOST if "A" in types or "AAAA" in types else Stand.NO_ADDRESS


def _up(name: str, top: str) -> Iterator[str]:
    """The name and all above it, up to `top`."""
    while True:
        yield name
        if name == top:
            return
        name = names.parent(name)


def targets(rrset: RRset) -> Iterator[str]:
    """The hosts that NS, MX, SRV, SVCB and HTTPS records name; "." (none) is left out."""
    return (name for wire in rrset.rdata for name in _named(rrset, wire))


def _named(rrset: RRset, wire: bytes) -> Iterator[str]:
    if rrset.type == "NS":
        name = names.name_text(wire)
    elif rrset.type == "MX":
        name = names.name_text(wire[2:])
    else:
        data = opened(rrset.type, wire)
        assert isinstance(data, SRV | SVCBBase)  # noqa: S101  # their types' classes
        name = names.text_of(data.target)
    if name != ".":
        yield name


def check_targets(zone: Zone) -> Iterator[Problem]:
    """Hosts that records name."""
    for kind in HOSTS:
        for rrset in zone.by_type.get(kind, []):
            for name in targets(rrset):
                yield from _check_target(zone, rrset, name)
    for kind in ("CNAME", "DNAME", "PTR"):
        for rrset in zone.by_type.get(kind, []):
            for name in map(names.name_text, rrset.rdata):
                if ADDRESS.fullmatch(name):
                    yield _is_address(rrset, name)
    yield from _check_glue(zone)


def _check_target(zone: Zone, rrset: RRset, name: str) -> Iterator[Problem]:
    bare = name[: -len(zone.name)] if names.is_within(name, zone.name) else name
    if ADDRESS.fullmatch(bare or "-"):
        yield _is_address(rrset, bare)
        return
    stand = stand_of(zone, name)
    if stand is Stand.ALIAS and rrset.type in NO_ALIAS:
        need, fix = "a name with addresses", "name the host itself, or give it A and AAAA"
        yield finding("target-cname", rrset, f"{name} {stand.value}", need, fix)
    elif stand is Stand.NO_ADDRESS and name != rrset.owner and _leads_on(zone, rrset, name):
        return
    elif stand in (Stand.MISSING, Stand.NO_ADDRESS):
        need, fix = "a name with A or AAAA", "declare its addresses, or correct the name"
        yield finding("target-missing", rrset, f"{name} {stand.value}", need, fix)


def _leads_on(zone: Zone, rrset: RRset, name: str) -> bool:
    """Whether a record is another name for one of its own type (RFC 9460 2.4.2: AliasMode)."""
    if rrset.type not in ("HTTPS", "SVCB") or rrset.type not in (types_at(zone, name) or {}):
        return False
    modes = {int.from_bytes(wire[:2]) for wire in rrset.rdata if name in _named(rrset, wire)}
    return modes == {0}


def _is_address(rrset: RRset, name: str) -> Problem:
    got, need = f"{name.rstrip('.')} is an address", "a host's name"
    return finding("target-address", rrset, got, need, "declare a name with that address")


def _check_glue(zone: Zone) -> Iterator[Problem]:
    for rrset in zone.by_type.get("NS", []):
        if rrset.owner == zone.name:
            continue
        for name in targets(rrset):
            if names.is_within(name, rrset.owner) and not (
                {"A", "AAAA"} & zone.by_owner.get(name, {}).keys()
            ):
                got, need = f"{name} has no address here", "A or AAAA as glue"
                fix = "declare its addresses in this zone as well"
                yield finding("glue-missing", rrset, got, need, fix)


def check_dangling(zone: Zone) -> Iterator[Problem]:
    """Aliases within the zone that lead nowhere."""
    for rrset in zone.by_type.get("CNAME", []):
        name = names.name_text(rrset.rdata[0])
        if stand_of(zone, name) is Stand.MISSING:
            got, need = f"{name} {Stand.MISSING.value}", "a name of this zone"
            yield finding("alias-dangling", rrset, got, need, "declare it, or remove the alias")
