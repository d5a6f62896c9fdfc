"""Zones of a hidden primary: what is declared, made whole and held to how it will be signed."""

from collections.abc import Mapping

from loopback_iac.dns.check import check_zone
from loopback_iac.dns.check_signing import Signing, check_signing
from loopback_iac.dns.declare import parse_zone
from loopback_iac.dns.rdata import parse_rdata
from loopback_iac.dns.render_zonefile import render_zone_file
from loopback_iac.dns.updated import check_updated_zones, render_top
from loopback_iac.dns.zone import Zone, make_zone
from loopback_iac.dns.zonefile import read_zone_file
from loopback_iac.model import InputRejected, Primary, Problem
from loopback_iac.model.primary import ZoneSource
from loopback_iac.model.structure import collect, plain

# Serial: the signer's. A lost NOTIFY costs ten minutes at most. RFC 1912 2.2, RFC 2308 5.
SOA_TIMES = "1 600 300 604800 3600"
# A question for a token that is not there yet may not be remembered for an hour.
UPDATED_SOA_TIMES = "1 600 300 604800 60"
Files = Mapping[str, str]


def parse_primary_zones(primary: Primary) -> dict[str, Zone]:
    """Every zone of a primary, whole: with the SOA that a declaration may leave out.

    Out: by name, in the order of the primary.
    Raises: InputRejected with every problem of every zone at once, each under its zone.
    """
    zones: dict[str, Zone] = {}
    problems: list[Problem] = []
    times = primary.signing
    signing = Signing(
        rrsig_lifetime_s=times.rrsig_lifetime_s, rrsig_refresh_s=times.rrsig_refresh_s
    )
    lifetimes: dict[Problem, None] = {}
    for name, source in primary.zones.items():
        path = f"zones.{name.removesuffix('.')}"
        try:
            times_of = UPDATED_SOA_TIMES if source.is_updated else SOA_TIMES
            zone = with_soa(parse_source(name, source, path), times_of)
        except InputRejected as refused:
            problems += [_below(path, problem) for problem in refused.problems]
            continue
        problems += check_zone(zone)
        # the same for every zone whose SOA has the same times: told once
        lifetimes |= dict.fromkeys(check_signing(zone, signing))
        zones[name] = zone
    problems += check_updated_zones(primary, zones)
    problems += [_below("signing", problem) for problem in lifetimes]
    if problems:
        raise InputRejected(primary.name, tuple(problems))
    return zones


def render_primary_zones(primary: Primary, zones: Mapping[str, Zone]) -> dict[str, str]:
    """File by zone: all of it, or the top alone of one that changes by update."""
    return {
        name: render_top(zone, primary.zones[name].update_types)
        if primary.zones[name].is_updated
        else render_zone_file(zone)
        for name, zone in zones.items()
    }


def with_soa(zone: Zone, times: str = SOA_TIMES) -> Zone:
    """The zone with a SOA: the one it has, or one of the primary's."""
    if zone.rrset(zone.name, "SOA"):
        return zone
    servers = zone.rrset(zone.name, "NS")
    # a zone without any NS is refused for that, and not for its SOA
    first = servers.values()[0] if servers else zone.name
    wire = parse_rdata("SOA", f"{first} hostmaster.{zone.name} {times}", zone.name)
    found = {r.key: (r.ttl_s, r.rdata) for r in zone.rrsets}
    return make_zone(zone.name, zone.default_ttl_s, {**found, (zone.name, "SOA"): (3600, (wire,))})


def parse_source(name: str, source: ZoneSource, path: str) -> Zone:
    """A zone from its records or its text.

    In: `path`, where it is declared.
    Raises: InputRejected with every problem at once.
    """
    if source.text is None:
        head = {} if source.default_ttl_s is None else {"default_ttl_s": source.default_ttl_s}
        return parse_zone(name, {**head, "records": source.records, "name": name})
    problems = []
    if source.records:
        fix = "keep one of the two"
        got = "has records and text, both of them the zone"
        problems.append(Problem("text", got, "one of the two", fix, "zone-given-twice"))
    if source.default_ttl_s is not None:  # whoever reads the text as a file would not know of it
        got, need = "stands beside text, which says its TTLs itself", "$TTL in the text"
        fix = f"write $TTL {source.default_ttl_s} as its first line, and leave this out"
        problems.append(Problem("default_ttl_s", got, need, fix, "zone-ttl-beside-text"))
    if problems:
        raise InputRejected(path, tuple(problems))
    return read_zone_file(source.text, name, title=name).zone


def parse_declared_zones(
    title: str, zones: Mapping[str, object]
) -> dict[str, dict[str, dict[str, list[str]]]]:
    """Zones as a program declares them for a primary: values by zone, owner and type.

    Out: zones without their final dot, owners with it; those that updates fill are left out.
    Raises: InputRejected with every problem of every zone at once.
    """
    problems: list[Problem] = []
    found: dict[str, dict[str, dict[str, list[str]]]] = {}
    for name, tree in zones.items():
        path = f"zones.{name}"
        source = collect(ZoneSource, path, plain(tree), problems)
        if source is None or source.is_updated:
            continue
        try:
            zone = parse_source(f"{name.lower().removesuffix('.')}.", source, path)
        except InputRejected as refused:
            problems += [_below(path, problem) for problem in refused.problems]
            continue
        owners: dict[str, dict[str, list[str]]] = {}
        for rrset in zone.rrsets:
            owner, kind = rrset.key
            owners.setdefault(owner, {})[kind] = list(rrset.values())
        found[zone.name.removesuffix(".")] = owners
    if problems:
        raise InputRejected(title, tuple(problems))
    return found


def _below(path: str, problem: Problem) -> Problem:
    return Problem(
        f"{path}.{problem.path}",
        problem.got,
        problem.need,
        problem.fix,
        problem.rule,
        problem.place,
    )
