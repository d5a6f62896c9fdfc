"""The lab's address plan, as the README's table has it, and its growth."""

from __future__ import annotations

from itertools import chain

import pytest

from loopback_iac.lab.topology import TOPOLOGIES, Role, build_topology, demo


def ends(topology):
    return list(chain.from_iterable((link.left, link.right) for link in topology.links))


def address_of(topology, host, other):
    end = topology.link(host, other).end(host)
    return str(end.v4), str(end.v6)


def test_demo_has_the_documented_addresses():
    fleet = demo()
    assert [h.name for h in fleet.hosts] == (
        [
            "t1",
            "t2",
            "core",
            "fra1",
            "par1",
            "w1",
            "w2",
            "svc1",
            "svc2",
            "c-fra",
            "c-par",
            "ops",
            "hcloud",
            "ionoscloud",
        ]
    )
    assert address_of(fleet, "t1", "fra1") == ("192.0.2.0/31", "2001:db8:ff::/127")
    assert address_of(fleet, "fra1", "t1") == ("192.0.2.1/31", "2001:db8:ff::1/127")
    assert address_of(fleet, "t1", "par1") == ("192.0.2.2/31", "2001:db8:ff:1::/127")
    assert address_of(fleet, "t2", "fra1") == ("192.0.2.4/31", "2001:db8:ff:2::/127")
    assert address_of(fleet, "par1", "t2") == ("192.0.2.7/31", "2001:db8:ff:3::1/127")
    assert address_of(fleet, "core", "t1") == ("192.0.2.17/31", "2001:db8:ff:10::1/127")
    assert address_of(fleet, "t2", "core") == ("192.0.2.18/31", "2001:db8:ff:11::/127")
    uplinks = {
        "fra1": ("198.18.1.11/24", "2001:db8:1::11/64"),
        "par1": ("198.18.2.11/24", "2001:db8:2::11/64"),
        "w1": ("198.18.11.21/24", "2001:db8:b::21/64"),
        "w2": ("198.18.12.22/24", "2001:db8:c::22/64"),
        "svc1": ("198.18.250.11/24", "2001:db8:fa::11/64"),
        "svc2": ("198.18.250.12/24", "2001:db8:fa::12/64"),
        "c-fra": ("198.51.100.2/26", "2001:db8:c1::2/64"),
        "c-par": ("198.51.100.66/26", "2001:db8:c2::2/64"),
        "ops": ("198.18.251.2/24", "2001:db8:fb::2/64"),
    }
    for host, (v4, v6) in uplinks.items():
        end = fleet.uplink(host)
        assert (str(end.v4), str(end.v6)) == (v4, v6)
    assert [(h.name, h.asn) for h in fleet.hosts if h.asn] == [
        ("t1", 64496), ("t2", 64497), ("core", 64498), ("fra1", 64500), ("par1", 64500)
    ]  # fmt: skip
    assert [net.name for net in fleet.nets] == (
        ["net-fra", "net-par", "net-dc1", "net-dc2", "net-svc", "net-ops"]
    )


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_addresses_and_names_are_unique_and_short(name):
    fleet = TOPOLOGIES[name]()
    v4 = [e.v4.ip for e in ends(fleet) if e.v4] + [net.v4.ip for net in fleet.nets]
    v6 = [e.v6.ip for e in ends(fleet) if e.v6] + [net.v6.ip for net in fleet.nets]
    assert len(v4) == len(set(v4))
    assert len(v6) == len(set(v6))
    named = [(e.host, e.interface) for e in ends(fleet)]
    assert len(named) == len(set(named))
    # IFNAMSIZ: 15 characters and the end mark
    assert all(len(interface) <= 15 for _, interface in named)
    # core's bridges share the name space of its interfaces
    assert not {net.name for net in fleet.nets} & {i for h, i in named if h == "core"}


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_both_ends_of_a_link_are_in_one_network_and_gateways_are_reachable(name):
    for link in TOPOLOGIES[name]().links:
        if link.left.bridge:
            continue
        assert link.left.v4.network == link.right.v4.network
        assert link.left.v6.network == link.right.v6.network
        if link.right.gateway4:
            assert link.right.gateway4 == str(link.left.v4.ip)
            assert link.right.gateway6 == str(link.left.v6.ip)


def test_a_bigger_fleet_keeps_the_smaller_ones_hosts_where_they_are():
    small, big = demo(), TOPOLOGIES["bench10"]()
    assert [len(big.having(r)) for r in (Role.POP, Role.WORKER, Role.UPSTREAM)] == [4, 6, 2]
    for host in ("fra1", "par1", "w1", "w2", "svc1", "ops"):
        assert small.uplink(host) == big.uplink(host)


def test_each_pop_is_near_one_upstream_and_each_upstream_near_a_pop():
    fleet = demo()
    assert {p.name: p.near for p in fleet.having(Role.POP)} == {"fra1": "t1", "par1": "t2"}


def test_a_host_or_link_that_is_not_there_is_named():
    fleet = build_topology("one", (("fra1", "DE"),), 1)
    with pytest.raises(KeyError, match="no host 'par1'; there are t1"):
        fleet.host("par1")
    with pytest.raises(KeyError, match="no link between 'w1' and 't1'"):
        fleet.link("w1", "t1")
