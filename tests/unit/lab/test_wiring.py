"""Links as `ip` lines, and what counts as missing."""

from __future__ import annotations

import pytest

from loopback_iac.lab.topology import demo
from loopback_iac.lab.wiring import (
    WIRED,
    Seen,
    missing_links,
    parse_seen,
    render_end,
    render_link,
    render_namespace,
    render_sysctls,
)

FLEET = demo()


def test_an_uplink_gets_addresses_and_default_routes_and_is_marked_last():
    assert render_end(FLEET.uplink("w1")) == [
        "link set eth0 up",
        "address replace 198.18.11.21/24 dev eth0",
        "address replace 2001:db8:b::21/64 dev eth0 nodad",
        "route replace default via 198.18.11.1 dev eth0",
        "route replace ::/0 via 2001:db8:b::1 dev eth0",
        f"link set eth0 alias '{WIRED}'",
    ]


def test_a_port_of_the_core_joins_its_bridge_and_has_no_address():
    port = FLEET.link("core", "svc1").end("core")
    assert render_end(port) == [
        "link set p-svc1 master net-svc",
        "link set p-svc1 up",
        f"link set p-svc1 alias '{WIRED}'",
    ]


def test_both_ends_of_a_link_are_made_inside_namespaces():
    link = FLEET.link("t1", "fra1")
    assert render_link(link, "lb-x-fra1") == (
        "link add fra1 type veth peer name t1 netns lb-x-fra1"
    )


def test_bridges_that_exist_are_not_made_again():
    lines = render_namespace(FLEET, FLEET.host("core"), frozenset({"lo", "net-svc"}))
    made = [line.split()[2] for line in lines if line.startswith("link add")]
    assert made == ["net-fra", "net-par", "net-dc1", "net-dc2", "net-ops"]
    assert "address replace 198.18.250.1/24 dev net-svc" in lines
    assert render_namespace(FLEET, FLEET.host("w1"), frozenset()) == [
        "link set lo up",
        f"link set lo alias '{WIRED}'",
    ]


@pytest.mark.parametrize(("host", "forwards"), [("t1", True), ("core", True), ("fra1", False)])
def test_only_routers_of_the_lab_forward(host, forwards):
    assert ("net.ipv4.ip_forward" in render_sysctls(FLEET.host(host))) is forwards


def complete():
    seen = {}
    for link in FLEET.links:
        for end in (link.left, link.right):
            seen.setdefault(end.host, set()).add(end.interface)
    return {host: Seen(frozenset(names), frozenset(names)) for host, names in seen.items()}


def test_nothing_is_missing_when_every_end_is_wired():
    assert missing_links(FLEET, complete()) == []
    assert len(missing_links(FLEET, {})) == len(FLEET.links)


def test_an_end_that_is_there_and_not_finished_is_missing():
    seen = complete()
    seen["w2"] = Seen(frozenset({"eth0"}))
    assert missing_links(FLEET, seen) == [FLEET.link("core", "w2")]


def test_an_interface_counts_as_wired_when_it_is_marked_and_up():
    listed = [
        {"ifname": "lo", "ifalias": WIRED, "flags": ["LOOPBACK", "UP"]},
        {"ifname": "t1", "ifalias": WIRED, "flags": ["BROADCAST"]},
        {"ifname": "t2", "flags": ["UP"]},
        {},
    ]
    assert parse_seen(listed) == Seen(frozenset({"lo", "t1", "t2"}), frozenset({"lo"}))
