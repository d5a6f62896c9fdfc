"""Tunnel arithmetic: no two pairs ever meet, and adding a host moves nothing."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopback_iac.model import parse_fleet, tunnel, tunnels
from loopback_iac.model.fleet import LAST_POP_ID
from loopback_iac.model.key_epochs import LAST_KEY_EPOCH
from loopback_iac.model.tunnel import pair_v4, pair_v6, pop_ports, router_id, tunnel_net_v6
from tests.golden import case as golden

POPS, WORKERS = st.integers(1, LAST_POP_ID), st.integers(1, 1023)
EPOCHS = st.integers(1, LAST_KEY_EPOCH)
PAIRS = st.tuples(POPS, WORKERS)
CILIUM_WIREGUARD_PORT = 51871


@given(PAIRS, PAIRS)
def test_two_pairs_never_share_an_address(one, other):
    meet = one == other
    assert pair_v4(*one).overlaps(pair_v4(*other)) is meet
    assert pair_v6("edge", *one).overlaps(pair_v6("edge", *other)) is meet


def test_all_pairs_together():
    """The whole space once: every pair of ids has a /31 and a /127 of its own."""
    pairs = [(p, w) for p in range(1, LAST_POP_ID + 1) for w in range(1, 1024)]
    assert len({pair_v4(*pair).network_address for pair in pairs}) == len(pairs)
    assert len({pair_v6("edge", *pair).network_address for pair in pairs}) == len(pairs)


@given(EPOCHS, PAIRS, PAIRS)
def test_two_epochs_that_follow_each_other_share_nothing(epoch, one, other):
    after = epoch + 1
    assert not pair_v4(*one, epoch).overlaps(pair_v4(*other, after))
    assert not pair_v6("edge", *one, epoch).overlaps(pair_v6("edge", *other, after))
    for highest in (1023, LAST_POP_ID):  # ports at PoPs, ports at workers
        (first, last), (low, high) = pop_ports(highest, epoch), pop_ports(highest, after)
        assert last < low or high < first


@given(st.sampled_from([[1, 2], [2, 1], [2, 3], [9, 8]]))
def test_the_tunnels_of_a_pair_stand_side_by_side(epochs):
    tree = golden.load("two-pops").fleet | {"tunnels": {"key_epochs": epochs}}
    fleet = parse_fleet("edge", tree)
    pair = tunnels(fleet, "fra1", "w2")
    assert [t.key_epoch for t in pair] == sorted(epochs)
    assert tunnel(fleet, "fra1", "w2") == pair[sorted(epochs).index(epochs[0])]
    one, other = pair
    for name in ("pop_v4", "worker_v4", "pop_v6", "worker_v6", "pop_port", "worker_port"):
        assert getattr(one, name) != getattr(other, name)
    assert one.pop_interface != other.pop_interface
    assert one.worker_interface != other.worker_interface


@given(PAIRS, EPOCHS, st.text(min_size=1, max_size=30))
def test_pairs_stay_inside_their_networks(pair, epoch, fleet):
    v4, v6 = pair_v4(*pair, epoch), pair_v6(fleet, *pair, epoch)
    assert v4.prefixlen == 31
    assert v6.prefixlen == 127
    assert v4.subnet_of(IPv4Network("10.80.0.0/12"))
    assert v6.subnet_of(tunnel_net_v6(fleet))
    assert tunnel_net_v6(fleet).prefixlen == 48
    assert tunnel_net_v6(fleet).subnet_of(IPv6Network("fd00::/8"))


@given(POPS, WORKERS, EPOCHS)
def test_the_ends_of_the_space_are_valid(pop, worker, epoch):
    assert pair_v4(255, 1023, 1).subnet_of(IPv4Network("10.88.0.0/13"))
    assert pair_v4(255, 1023, 2).subnet_of(IPv4Network("10.80.0.0/13"))
    assert router_id(pop) not in pair_v4(pop, worker, epoch)


@pytest.mark.parametrize("epoch", [1, 2])
def test_ports_keep_away_from_the_clusters_own_wireguard(epoch):
    first, last = pop_ports(LAST_POP_ID, epoch)  # a worker's ports follow from the PoPs' ids
    assert not first <= CILIUM_WIREGUARD_PORT <= last
    assert pop_ports(1023, epoch)[1] < 60999


def test_fleets_of_two_names_have_two_networks():
    assert tunnel_net_v6("edge") != tunnel_net_v6("edge2")
