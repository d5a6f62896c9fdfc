"""Addresses by name: nobody is renumbered by what happens to others."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from loopback_iac.model import InputRejected, parse_fleet
from tests.golden import case as golden
from tests.golden.fleets import labels

RANGE = "203.0.113.128/25"


def fleet_with(vips, **v4):
    tree = golden.load("two-pops").fleet
    tree["prefixes"]["v4"] |= v4
    tree["vips"] |= vips
    return parse_fleet("edge", tree, golden.TODAY)


def by_name(names):
    return {name: {"allocate_from": ["v4", "v6"]} for name in names}


def addresses(fleet, names):
    return {name: fleet.vips[name].addresses for name in names}


def test_an_address_by_name_is_this_one_for_ever():
    """Part of the promise: another release may not compute another address."""
    fleet = fleet_with(by_name(["api", "shop"]))
    assert addresses(fleet, ["api", "shop"]) == {
        "api": (ip_address("203.0.113.221"), ip_address("2001:db8:100::48dd")),
        "shop": (ip_address("203.0.113.42"), ip_address("2001:db8:100::1f2a")),
    }


@given(st.lists(labels(), min_size=1, max_size=12, unique=True), st.randoms())
def test_order_additions_and_removals_move_nobody(names, shuffle):
    assume("www" not in names)
    try:
        whole = fleet_with(by_name(names), allocatable=[RANGE])
    except InputRejected as refused:
        rules = {p.rule for p in refused.problems}
        event("two names picked one address")
        assume(rules != {"allocate-collision"})
        raise
    every = addresses(whole, names)
    again = list(names)
    shuffle.shuffle(again)
    assert addresses(fleet_with(by_name(again), allocatable=[RANGE]), names) == every
    some = shuffle.sample(names, shuffle.randrange(len(names) + 1))
    assert addresses(fleet_with(by_name(some), allocatable=[RANGE]), some) == {
        name: every[name] for name in some
    }
    assert len({a for pair in every.values() for a in pair}) == 2 * len(names)
    for four, six in every.values():
        assert four in ip_network(RANGE)
        assert four != ip_address("203.0.113.255")
        assert six in ip_network("2001:db8:100::/112")
        assert six != ip_address("2001:db8:100::")
    event("each its own")


def test_one_goes_and_another_comes_and_the_rest_stays():
    before = addresses(fleet_with(by_name(["a", "b", "c"])), ["a", "c"])
    after = fleet_with(by_name(["a", "c", "d"]))
    assert addresses(after, ["a", "c"]) == before


def problem_of(vips, **v4):
    """The one problem, or None."""
    try:
        fleet_with(vips, **v4)
    except InputRejected as refused:
        (problem,) = refused.problems
        return problem
    return None


def test_a_space_fills_to_its_last_address_and_then_says_so():
    """Whoever writes down what a collision tells him gets every address of a /29, once."""
    vips = {}
    told = 0
    for number in range(8):
        new = f"n{number}"
        vips[new] = {"allocate_from": ["v4"]}
        if problem := problem_of(vips, allocatable=["203.0.113.16/29"]):
            assert problem.rule == "allocate-collision"
            vips[new]["addresses"] = [problem.fix.split('"')[1]]
            told += 1
        assert problem_of(vips, allocatable=["203.0.113.16/29"]) is None
    assert told
    fleet = fleet_with(vips, allocatable=["203.0.113.16/29"])
    given_out = {str(a) for name in vips for a in fleet.vips[name].addresses}
    assert given_out == {f"203.0.113.{last}" for last in range(16, 24)}
    problem = problem_of({**vips, "n8": {"allocate_from": ["v4"]}}, allocatable=["203.0.113.16/29"])
    assert problem.rule == "allocate-exhausted"
    asking = 9 - told
    assert problem.got.startswith("vips.n0, vips.n1, vips.n")
    assert f" and {asking - 3} more ask for an address by name; {asking - 1} left: " in problem.got


def given_up(tree, address):
    tree["blackholes"] = [{"address": address, "reason": "a flood"}]
    for pop in tree["pops"].values():
        for upstream in pop["upstreams"].values():
            upstream["blackhole_waived_because"] = "none"


def test_a_vip_that_is_given_up_keeps_its_address():
    """In an attack the plan has to go through, and afterwards the address is the same."""
    tree = golden.load("two-pops").fleet
    tree["vips"]["api"] = {"allocate_from": ["v4"]}
    given_up(tree, "203.0.113.221")
    fleet = parse_fleet("edge", tree, golden.TODAY)
    assert fleet.vips["api"].addresses == (ip_address("203.0.113.221"),)


def test_what_is_given_up_is_offered_to_nobody():
    tree = golden.load("two-pops").fleet
    tree["vips"] |= {"api": {"allocate_from": ["v4"]}, "old": {"addresses": ["203.0.113.221"]}}
    given_up(tree, "203.0.113.222")
    with pytest.raises(InputRejected) as caught:
        parse_fleet("edge", tree, golden.TODAY)
    (problem,) = caught.value.problems
    assert "203.0.113.221 from v4, which vips.old has" in problem.got
    assert '"203.0.113.223"' in problem.fix


def test_a_written_address_of_the_prefix_stands_before_the_name():
    fleet = fleet_with({"api": {"allocate_from": ["v4", "v6"], "addresses": ["203.0.113.200"]}})
    assert list(map(str, fleet.vips["api"].addresses)) == ["203.0.113.200", "2001:db8:100::48dd"]
