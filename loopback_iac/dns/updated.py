"""Zones that change by dynamic update: their top is declared, and the zone above leads there."""

import json
from collections.abc import Iterator, Mapping

from loopback_iac.dns import names
from loopback_iac.dns.zone import Zone
from loopback_iac.model import Primary, Problem

APEX = ("NS", "SOA")
"""Types that such a zone declares, at its own name."""


def check_updated_zones(primary: Primary, zones: Mapping[str, Zone]) -> Iterator[Problem]:
    """What is declared in a zone of updates that is not its top, and a delegation that is missing.

    In: zones that could be parsed, by name.
    """
    for name, source in primary.zones.items():
        if source.is_updated and name in zones:
            path = f"zones.{name.removesuffix('.')}"
            yield from _check_records(path, zones[name])
            yield from _check_delegation(path, zones[name], zones)


def render_top(zone: Zone, types: tuple[str, ...]) -> str:
    """What the agent holds a zone of updates to: its SOA, its NS, and the types of all else."""
    tree = {rrset.type: {"ttl_s": rrset.ttl_s, "values": rrset.values()} for rrset in zone.rrsets}
    return json.dumps({**tree, "updated": sorted(types)}, indent=2, sort_keys=True) + "\n"


def _check_records(path: str, zone: Zone) -> Iterator[Problem]:
    for rrset in zone.rrsets:
        if rrset.owner != zone.name or rrset.type not in APEX:
            yield Problem(
                f"{path}.records",
                f"declares {rrset.owner} {rrset.type} in a zone that changes by update",
                "NS at the zone's own name, and nothing else",
                "bring it by update, or declare it in a zone without updated_by",
                "zone-updated-records",
            )


def _check_delegation(path: str, zone: Zone, zones: Mapping[str, Zone]) -> Iterator[Problem]:
    """Resolvers come by the zone above; where that is declared here, it has to name the servers."""
    above = [z for z in zones.values() if z is not zone and names.is_within(zone.name, z.name)]
    if not above:
        return
    nearest = max(above, key=lambda z: len(z.name))
    own, led = zone.rrset(zone.name, "NS"), nearest.rrset(zone.name, "NS")
    if own is None or (led is not None and led.rdata == own.rdata):
        return
    yield Problem(
        path,
        f"{nearest.name} {'has other NS for it' if led else 'does not lead to it'}",
        f"{zone.name} NS {', '.join(own.values())} in {nearest.name}",
        f"declare these NS in {nearest.name}, and its DS once the report of the host shows them",
        "zone-updated-delegation",
    )
