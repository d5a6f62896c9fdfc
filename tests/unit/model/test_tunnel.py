"""Tunnel arithmetic: no two pairs ever meet, and adding a host moves nothing."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from hypothesis import given
from hypothesis import strategies as st

from loopback_iac.model.fleet import LAST_POP_ID
from loopback_iac.model.tunnel import (
    FIRST_PORT,
    TUNNEL_V4,
    pair_v4,
    pair_v6,
    router_id,
    tunnel_net_v6,
)

POPS, WORKERS = st.integers(1, LAST_POP_ID), st.integers(1, 1023)
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


@given(PAIRS, st.text(min_size=1, max_size=30))
def test_pairs_stay_inside_their_networks(pair, fleet):
    v4, v6 = pair_v4(*pair), pair_v6(fleet, *pair)
    assert v4.prefixlen == 31
    assert v6.prefixlen == 127
    assert v4.subnet_of(TUNNEL_V4)
    assert v6.subnet_of(tunnel_net_v6(fleet))
    assert tunnel_net_v6(fleet).prefixlen == 48
    assert tunnel_net_v6(fleet).subnet_of(IPv6Network("fd00::/8"))


@given(POPS, WORKERS, WORKERS)
def test_the_ends_of_the_space_are_valid(pop, worker, other):
    assert pair_v4(255, 1023).subnet_of(IPv4Network("10.88.0.0/13"))
    assert router_id(pop) not in pair_v4(pop, worker)
    assert (FIRST_PORT + worker == FIRST_PORT + other) is (worker == other)


def test_ports_keep_away_from_the_clusters_own_wireguard():
    assert CILIUM_WIREGUARD_PORT not in {FIRST_PORT + pop for pop in range(1, LAST_POP_ID + 1)}
    assert FIRST_PORT + 1023 < 60999


def test_fleets_of_two_names_have_two_networks():
    assert tunnel_net_v6("edge") != tunnel_net_v6("edge2")
