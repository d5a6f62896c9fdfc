"""The rendered firewalls in a real kernel: who reaches what, and what may leave."""

from __future__ import annotations

import json
import sys

import pytest

from loopback_iac.lab.names.space import exchange
from tests.accept.firewall import (
    ADMIN,
    ADMIN6,
    CARRIER,
    HOST,
    HOST6,
    PATIENCE_S,
    PROBE,
    PROMETHEUS,
    PROMETHEUS6,
    SILENT_S,
    STRANGER,
    STRANGER6,
    VIP,
    VIP6,
    edge_and_world,
    hear,
    is_heard,
    load,
    nft,
    reach,
    tracked,
)
from tests.accept.network import cable, namespaces
from tests.golden import case as golden


@pytest.fixture
def pop(image):
    with edge_and_world(image) as (fra1, world):
        load(image, fra1, "fra1")
        yield fra1, world


def test_who_reaches_a_pop(pop):
    fra1, world = pop
    for address, port in (
        (HOST, 22),
        (HOST6, 22),
        (HOST, 9100),
        (VIP, 443),
        (VIP6, 443),
        (VIP, 80),
    ):
        hear(fra1, address, port)
    hear(fra1, "192.0.2.1", 179)
    for (address, port, source), expected in {
        (HOST, 22, ADMIN): "heard",
        (HOST, 22, STRANGER): "silent",
        (HOST6, 22, ADMIN6): "heard",
        (HOST6, 22, STRANGER6): "silent",
        (HOST, 9100, ADMIN): "heard",
        (HOST, 9100, STRANGER): "silent",
        (VIP, 443, STRANGER): "heard",
        (VIP6, 443, STRANGER6): "heard",
        (VIP, 80, STRANGER): "silent",
        (VIP, 22, STRANGER): "silent",
        ("192.0.2.1", 179, CARRIER): "heard",
        ("192.0.2.1", 179, STRANGER): "silent",
    }.items():
        told = reach(world, address, port, source, likely=expected)
        assert told == expected, (address, port, source)


def test_metrics_are_for_their_sources_and_nothing_else_is(image):
    with edge_and_world(image) as (fra1, world):
        load(image, fra1, "fra1", golden.load("metrics-sources"))
        ports = (22, 8405, 9100, 9324)
        for port in ports:
            hear(fra1, HOST, port)
            hear(fra1, HOST6, port)
        for source, address in ((PROMETHEUS, HOST), (PROMETHEUS6, HOST6)):
            assert reach(world, address, ports[0], source) == "silent", source
            assert all(is_heard(world, address, port, source) for port in ports[1:]), source
        assert reach(world, HOST, 8405, STRANGER) == "silent"
        assert is_heard(world, HOST, 8405, ADMIN)


def test_datagrams_only_from_declared_peers(pop):
    fra1, world = pop
    hear(fra1, "192.0.2.1", 3784, "udp")
    hear(fra1, HOST, 51821, "udp")
    assert is_heard(world, "192.0.2.1", 3784, CARRIER, "udp")
    assert reach(world, "192.0.2.1", 3784, STRANGER, "udp") == "silent"
    assert is_heard(world, HOST, 51821, "198.18.11.21", "udp")
    assert reach(world, HOST, 51821, STRANGER, "udp") == "silent"


def test_nothing_leaves_under_a_foreign_address(pop):
    fra1, world = pop
    hear(world, ADMIN, 5000, "udp")
    assert is_heard(fra1, ADMIN, 5000, HOST, "udp")
    assert reach(fra1, ADMIN, 5000, STRANGER, "udp") == "forbidden"
    # an address of the own prefix is allowed to leave, whether or not it is a VIP
    assert reach(fra1, ADMIN, 5000, "203.0.113.99", "udp") == "silent"


def test_own_addresses_do_not_come_from_outside(pop):
    fra1, world = pop
    hear(fra1, VIP, 443)
    world.ip("addr add 203.0.113.66/32 dev lo")
    assert reach(world, VIP, 443, "203.0.113.66") == "silent"


def test_clients_fill_no_connection_table(pop):
    fra1, world = pop
    hear(fra1, VIP, 443)
    hear(fra1, HOST, 22)

    before = tracked(fra1)
    for _ in range(5):
        assert is_heard(world, VIP, 443, STRANGER)
    assert tracked(fra1) == before
    assert is_heard(world, HOST, 22, ADMIN)
    assert tracked(fra1) > before


def test_a_worker_answers_and_opens_nothing(image):
    """The PoP's end of a tunnel, where HAProxy's connections are not tracked either."""
    with namespaces("fra1", "w1") as (fra1, w1):
        cable(fra1, "lb-w1", w1, "lb-fra1")
        fra1.ip("addr add 10.88.8.2/31 dev lb-w1")
        w1.ip("addr add 10.88.8.3/31 dev lb-fra1")
        load(image, fra1, "fra1")
        for port in (22, 9100, 5000):
            hear(fra1, "10.88.8.2", port)
        for port in (22, 9100, 5000):
            assert reach(w1, "10.88.8.2", port, "10.88.8.3") == "silent"
            assert reach(w1, "10.88.8.2", port, "10.88.8.3", source_port=8443) == "silent"
        hear(w1, "10.88.8.3", 8443)
        assert is_heard(fra1, "10.88.8.3", 8443, "10.88.8.2")
        assert tracked(fra1) == 0


def test_an_open_connection_is_judged_by_the_new_rules(image, pop):
    """SSH stands before `established`: who is no longer an admin source is cut, not kept."""
    fra1, world = pop
    hear(fra1, HOST, 22)
    talk = world.start(sys.executable, str(PROBE), "talk", HOST, "22", "tcp", ADMIN)
    for _ in range(2):
        assert exchange(talk, f"{PATIENCE_S}") == "heard\n"
    path = image.root / "loaded.nft"
    path.write_text(path.read_text().replace(f"{ADMIN}/32", "198.18.251.3/32"))
    assert nft(image, fra1, "-f", "/loaded.nft").returncode == 0
    assert exchange(talk, f"{SILENT_S}") == "silent\n"


def test_a_workers_ingress_answers_tunnels_only(image):
    with namespaces("w1", "fra1", "world") as (w1, fra1, world):
        cable(fra1, "lb-w1", w1, "lb-fra1")
        cable(w1, "eth0", world, "w0")
        w1.ip("addr add 10.88.8.3/31 dev lb-fra1")
        fra1.ip("addr add 10.88.8.2/31 dev lb-w1")
        w1.ip("addr add 198.18.11.21/24 dev eth0")
        for address in ("198.18.11.1/24", "198.18.1.11/32"):
            world.ip(f"addr add {address} dev w0")
        w1.ip("route add default via 198.18.11.1")
        load(image, w1, "w1")
        for port in (8443, 22, 6443):
            hear(w1, "0.0.0.0", port)  # noqa: S104  # inside a namespace
        hear(w1, "198.18.11.21", 51821, "udp")
        assert is_heard(fra1, "10.88.8.3", 8443, "10.88.8.2")
        assert reach(world, "198.18.11.21", 8443, "198.18.11.1") == "silent"
        assert reach(world, "198.18.11.21", 8443, "198.18.1.11") == "silent"
        # the worker's other ports are its owner's: untouched from outside, closed to a PoP
        assert is_heard(world, "198.18.11.21", 22, "198.18.11.1")
        assert is_heard(world, "198.18.11.21", 6443, "198.18.11.1")
        assert reach(fra1, "10.88.8.3", 6443, "10.88.8.2") == "silent"
        assert is_heard(world, "198.18.11.21", 51821, "198.18.1.11", "udp")
        assert reach(world, "198.18.11.21", 51821, "198.18.11.1", "udp") == "silent"


def test_other_tables_stay(image, pop):
    fra1, _ = pop
    nft(image, fra1, "add", "table", "inet", "customer")
    load(image, fra1, "fra1")
    assert "table inet customer" in nft(image, fra1, "list", "tables").stdout


def test_what_is_given_up_is_dropped_and_counted_by_address(image):
    with edge_and_world(image) as (fra1, world):
        for address in ("203.0.113.66", "2001:db8:100::66"):
            fra1.ip(f"addr add {address} dev lo")
        load(image, fra1, "fra1", golden.load("full-table"))
        for address in (VIP, VIP6, "203.0.113.66", "2001:db8:100::66"):
            hear(fra1, address, 443)
        assert reach(world, "203.0.113.66", 443, STRANGER) == "silent"
        assert reach(world, "2001:db8:100::66", 443, STRANGER6) == "silent"
        assert is_heard(world, VIP, 443, STRANGER)
        assert is_heard(world, VIP6, 443, STRANGER6)
        told = nft(image, fra1, "-j", "list", "set", "inet", "loopback", "blackholed4").stdout
        counted = {
            e["elem"]["val"]: e["elem"]["counter"]
            for e in json.loads(told)["nftables"][1]["set"]["elem"]
        }
        assert counted["203.0.113.66"]["packets"] > 0
        assert counted["203.0.113.67"]["packets"] == 0
