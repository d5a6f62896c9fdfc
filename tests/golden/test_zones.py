"""Zones as texts: what each becomes, and what is refused in which words."""

from __future__ import annotations

import pytest

from loopback_iac.dns import parse_octodns, parse_zone_file
from tests.golden import case as golden
from tests.golden import zones


@pytest.mark.parametrize("name", zones.names(rejected=True))
def test_rejected(name):
    case = zones.load(name)
    golden.refused(case.folder, case.means, case.read)


@pytest.mark.parametrize("name", zones.names(rejected=False))
def test_rendered(name):
    case = zones.load(name)
    diff = golden.compare(case.folder, zones.texts(case))
    assert not diff, f"\n{diff}"


@pytest.mark.parametrize("name", zones.names(rejected=False))
def test_what_was_rendered_is_the_zone(name):
    case = zones.load(name)
    zone, texts = case.read().zone, zones.texts(case)
    assert parse_zone_file(texts["zone.txt"]) == zone
    if texts["octodns.txt"].startswith("---\n"):
        again = parse_octodns(texts["octodns.txt"], zone.name)
        assert again.rrsets == tuple(r for r in zone.rrsets if r.type != "SOA")
