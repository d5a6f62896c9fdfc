"""A zone as the resources of operators that are primaries themselves: pure, none is declared here.

Each operator has its own SOA and its own name servers in the zone; these are never sent. Other
name servers at the zone's own name are added to its own, value by value.
"""

import hashlib
from typing import NamedTuple

from loopback_iac.dns import names
from loopback_iac.dns.check import check_zone
from loopback_iac.dns.operators import check_operator, facts_of, unknown_of
from loopback_iac.dns.primary import parse_source, with_soa
from loopback_iac.dns.publish_cloudflare import check_fields
from loopback_iac.dns.rdata import render_rdata
from loopback_iac.dns.zone import RRset, Zone
from loopback_iac.model import InputRejected, Problem
from loopback_iac.model.dns_zone import API, CLOUDFLARE, HETZNER, IONOS, DnsZone

MAX_API_RECORDS = 1000
"""Beyond it a refresh alone takes an hour or the quota of one: operators.yaml, api_rate."""
_PRIORITY = ("MX", "SRV", "URI")
_BARE = ("CNAME", "MX", "NS", "SRV")
"""Types whose targets IONOS writes without a final dot."""


class HetznerSet(NamedTuple):
    """One RRset of a zone, all of it ours; `part` ends the name of its resource."""

    part: str
    name: str
    type: str
    ttl_s: int
    values: tuple[str, ...]


class HetznerRecord(NamedTuple):
    """One value in a set that has values of the operator."""

    part: str
    name: str
    type: str
    value: str


class IonosRecord(NamedTuple):
    """One record; `name` is empty at the zone's own name."""

    part: str
    name: str
    type: str
    ttl_s: int
    content: str
    priority: int | None


def parse_published_zone(title: str, declared: DnsZone) -> Zone:
    """The zone, held to its own rules and to what each operator can hold.

    Raises: InputRejected with every problem at once.
    """
    zone = with_soa(parse_source(declared.zone, declared.source, ""))
    problems = list(check_zone(zone))
    signed = declared.mode != API
    for operator, told in declared.operators.items():
        problems += check_operator(
            zone, operator, declared.mode, registered=declared.registered, signed=signed
        )
        problems += _check_name_servers(zone, operator, declared.mode, told.name_servers)
    if declared.mode == API:
        problems += _check_size(zone)
        problems += check_fields(zone) if CLOUDFLARE in declared.operators else []
    if problems:
        raise InputRejected(title, tuple(problems))
    return zone


def own_servers(operator: str, mode: str, told: tuple[str, ...] | None) -> tuple[str, ...]:
    """Names of an operator's servers, absolute; none where nobody says."""
    fact = facts_of(operator, mode).get("name_servers")
    given = told if told is not None else (fact.value if fact else None) or ()
    return tuple(f"{server.lower().removesuffix('.')}." for server in given)


def hetzner_sets(zone: Zone) -> tuple[HetznerSet, ...]:
    """RRsets for hcloud.ZoneRrset: all but SOA and the zone's own NS."""
    found = []
    for rrset in _sent(zone):
        if not _is_apex_ns(zone, rrset):
            name = names.relative(rrset.owner, zone.name)
            part = f"{name}-{rrset.type}"
            values = tuple(rrset.values())
            found.append(HetznerSet(part, name, rrset.type, rrset.ttl_s, values))
    return tuple(found)


def hetzner_records(zone: Zone, own: tuple[str, ...]) -> tuple[HetznerRecord, ...]:
    """Name servers for hcloud.ZoneRecord: those at the zone's own name that are not Hetzner's."""
    return tuple(
        HetznerRecord(f"@-NS-{_digest(value)}", "@", "NS", value)
        for rrset in _sent(zone)
        if _is_apex_ns(zone, rrset)
        for value in rrset.values()
        if value not in own
    )


def ionos_records(zone: Zone, own: tuple[str, ...]) -> tuple[IonosRecord, ...]:
    """Records for ionoscloud.dns.Record: all but SOA and IONOS' own NS."""
    found = []
    for rrset in _sent(zone):
        name = names.relative(rrset.owner, zone.name)
        for wire in rrset.rdata:
            value = render_rdata(rrset.type, wire)
            if _is_apex_ns(zone, rrset) and value in own:
                continue
            # an alias changes in place: two of them may never stand beside each other
            tail = "" if rrset.type == "CNAME" else f"-{_digest(value)}"
            at = "" if name == "@" else name
            part = f"{name}-{rrset.type}{tail}"
            found.append(IonosRecord(part, at, rrset.type, rrset.ttl_s, *_content(rrset, value)))
    return tuple(found)


def unknown_facts(declared: DnsZone) -> dict[str, list[str]]:
    """By operator, what nobody says about it and a probe has to decide."""
    found = {name: list(unknown_of(name, declared.mode)) for name in declared.operators}
    return {name: said for name, said in found.items() if said}


def _sent(zone: Zone) -> list[RRset]:
    return [rrset for rrset in zone.rrsets if rrset.type != "SOA"]


def _is_apex_ns(zone: Zone, rrset: RRset) -> bool:
    return rrset.type == "NS" and rrset.owner == zone.name


def _content(rrset: RRset, value: str) -> tuple[str, int | None]:
    priority = None
    if rrset.type in _PRIORITY:
        first, value = value.split(" ", 1)
        priority = int(first)
    # the root as a target is the dot itself (RFC 7505 3, RFC 2782)
    if rrset.type in _BARE and not value.endswith(" .") and value != ".":
        value = value.removesuffix(".")
    return value, priority


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _check_name_servers(
    zone: Zone, operator: str, mode: str, told: tuple[str, ...] | None
) -> list[Problem]:
    """An operator that no NS names is asked by nobody; one that adds its own answers otherwise."""
    if operator not in (HETZNER, IONOS):
        return []
    servers = zone.rrset(zone.name, "NS")
    there = set(servers.values()) if servers else set()
    missing = [server for server in own_servers(operator, mode, told) if server not in there]
    if not missing:
        return []
    path = f"{zone.name} NS"
    need = f"{', '.join(missing)} among the zone's name servers"
    got = f"{operator} holds the zone under names that its NS do not have"
    fix = f"add them to the NS of {zone.name}; operators.{operator}.name_servers says which"
    return [Problem(path, got, need, fix, "operator-ns")]


def _check_size(zone: Zone) -> list[Problem]:
    count = sum(len(rrset.rdata) for rrset in zone.rrsets)
    if count <= MAX_API_RECORDS:
        return []
    got, need = f"{count} records, each a resource", f"{MAX_API_RECORDS} at most"
    fix = "choose mode transfer: there records are no resources"
    return [Problem(zone.name, got, need, fix, "api-records-many")]
