"""Zone files as we write them go through Knot and NSD, which are to serve them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from loopback_iac.dns import Zone, parse_zone, render_zone_file
from tests.accept.parsers import silent
from tests.golden import zones
from tests.unit.dns.zones import VALUES, any_zone

if TYPE_CHECKING:
    from loopback_iac.lab.names.image import Image
    from tests.golden.zones import Case

SOA = "ns1.example.org. hostmaster.example.org. 1 3600 900 604800 3600"
FILE = "/stage/zones/example.net.zone"
KNOT = """\
server:
    rundir: /stage/zones
database:
    storage: /stage/zones
template:
  - id: default
    storage: /stage/zones
    semantic-checks: on
zone:
  - domain: example.net
    file: example.net.zone
"""


def complaints(image: Image, text: str, knot: str = KNOT) -> list[str]:
    """What either server says of a zone file, warnings included."""
    image.empty("/stage/zones")
    image.write(FILE, text)
    image.write("/stage/zones/knot.conf", knot)
    found = silent(image.run("nsd-checkzone", "example.net", FILE), "nsd-checkzone")
    told = image.run("knotc", "-c", "/stage/zones/knot.conf", "zone-check", "example.net")
    return found + silent(told, "knotc zone-check")


def served(case: Case) -> Zone:
    """A case's zone with what a server needs: one of them stands for the primary's SOA."""
    return with_soa(case.read().zone)


def with_soa(zone: Zone) -> Zone:
    if zone.rrset(zone.name, "SOA"):
        return zone
    soa = parse_zone("soa", {"name": zone.name, "records": {"@": {"SOA": SOA}}})
    return Zone(zone.name, zone.default_ttl_s, (*soa.rrsets, *zone.rrsets))


@pytest.mark.parametrize("name", zones.names(rejected=False))
def test_knot_and_nsd_take_every_zone_we_write(image, name):
    assert complaints(image, render_zone_file(served(zones.load(name)))) == []


PLACED = {kind: v for kind, v in VALUES.items() if kind not in ("CNAME", "DS", "NS", "SOA")}
"""Types that may stand anywhere: what is asked here is whether names and data are read."""


@given(zone=any_zone(PLACED))
def test_knot_and_nsd_read_whatever_a_name_or_a_text_holds(image, zone):
    zone = with_soa(zone)
    servers = parse_zone("ns", {"name": zone.name, "records": {"@": {"NS": "ns1.example.org."}}})
    whole = Zone(zone.name, zone.default_ttl_s, (*zone.rrsets, *servers.rrsets))
    assert (
        complaints(image, render_zone_file(whole), KNOT.replace("checks: on", "checks: off")) == []
    )


def test_either_would_have_refused_a_broken_one(image):
    text = render_zone_file(served(zones.load("a-small-zone")))
    found = complaints(image, text.replace("IN MX 10 ", "IN MX ten "))
    assert {line.split(" (exit")[0] for line in found} == {"nsd-checkzone", "knotc zone-check"}
