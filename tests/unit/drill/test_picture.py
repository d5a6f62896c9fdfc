"""The picture of the fleet: all of the topology is in it, and it never changes by itself."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from loopback_iac.lab.drill.picture import CABLE, SESSION, TUNNEL, draw_fleet, render_fleet
from loopback_iac.lab.topology import Role, bench10, demo

SVG = "{http://www.w3.org/2000/svg}"


def drawn(topology) -> ET.Element:
    return ET.fromstring(render_fleet(topology))  # noqa: S314 - we wrote this text ourselves


@pytest.mark.parametrize("topology", [demo(), bench10()], ids=lambda t: t.name)
def test_every_host_link_and_tunnel_is_drawn(topology):
    root = drawn(topology)
    words = " ".join(t.text for t in root.iter(f"{SVG}text"))
    for host in topology.hosts:
        assert host.name in words
        assert not host.asn or f"AS{host.asn}" in words
    assert "203.0.113.0/24" in words
    assert "2001:db8:100::/48" in words
    lines = [line.get("stroke") for line in root.iter(f"{SVG}line")]
    pops, workers = len(topology.having(Role.POP)), len(topology.having(Role.WORKER))
    upstreams = len(topology.having(Role.UPSTREAM))
    # one more of each in the legend
    assert lines.count(SESSION) == pops * upstreams + 1
    assert lines.count(TUNNEL) == pops * workers + 1
    assert lines.count(CABLE) == len(topology.links) - pops * upstreams + 1


def test_nothing_is_drawn_outside_or_over_another_host():
    for topology in (demo(), bench10()):
        root = drawn(topology)
        boxes = [
            tuple(float(r.get(k)) for k in ("x", "y", "width", "height"))
            for r in root.iter(f"{SVG}rect")
            if r.get("rx")
        ]
        assert len(boxes) == len(topology.hosts)
        for n, (x, y, width, height) in enumerate(boxes):
            assert x >= 0
            assert x + width <= 1000
            for left, top, wide, tall in boxes[n + 1 :]:
                apart = (
                    x + width <= left or left + wide <= x or y + height <= top or top + tall <= y
                )
                assert apart


def test_the_same_topology_gives_the_same_bytes(tmp_path):
    draw_fleet(demo(), tmp_path / "a" / "fleet.svg")
    assert (tmp_path / "a" / "fleet.svg").read_text() == render_fleet(demo())
    assert render_fleet(demo()) != render_fleet(bench10())
