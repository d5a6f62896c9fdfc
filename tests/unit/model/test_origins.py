"""Origins and their facts: what a validator says, what is published, what a day changes."""

from __future__ import annotations

import json
from datetime import date, timedelta
from ipaddress import ip_network

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from loopback_iac.model import InputRejected, fleet_facts, parse_fleet
from loopback_iac.model.origin import Origin, Roa
from tests.golden import case as golden

TODAY = golden.TODAY


@pytest.fixture
def tree():
    return golden.load("prefix-origins").fleet


def test_the_short_form_publishes_what_it_did(tree):
    """State of the release before must plan with no change: not one new key."""
    short = golden.load("two-pops").fleet
    facts = fleet_facts(parse_fleet("edge", short))
    assert facts["prefixes"] == {
        "v4": {"cidr": "203.0.113.0/24", "gate": "all", "services": ["https"]},
        "v6": {"cidr": "2001:db8:100::/48", "gate": "all", "services": ["https"]},
    }
    facts = fleet_facts(parse_fleet("edge", tree, TODAY))
    assert set(facts["prefixes"]["v6"]) == {"cidr", "gate", "services"}


def test_facts_tell_whose_it_is_who_originates_it_and_how_far_it_is(tree):
    facts = fleet_facts(parse_fleet("edge", tree, TODAY))
    assert json.loads(json.dumps(facts)) == facts
    brought, pool, ordered = (facts["prefixes"][name] for name in ("v4", "pool4", "next6"))
    assert (brought["origin"], brought["holder"]) == ("byoip", "Example Customer AG")
    assert brought["origins"]["ours"] == {
        "asn": 64500,
        "asn_source": None,
        "announced_by": "pop",
        "pops": ["fra1", "par1"],
        "state": "announced",
        "requested_on": "2026-10-01",
        "roa": {
            "asn": 64500,
            "valid_on": "2026-10-03",
            "prefix": None,
            "max_length": 24,
            "expires_on": "2026-11-21",
        },
        "route_object": {"registry": "RIPE", "visible_on": "2026-10-03"},
        "letter": {
            "reference": "contracts/loa-17.pdf",
            "signed_on": "2026-09-29",
            "expires_on": "2027-09-29",
        },
        "accepted_on": {"t1": "2026-10-06", "t2": "2026-10-09"},
        "announced_on": "2026-10-10",
    }
    assert {name: (o["asn"], o["pops"]) for name, o in pool["origins"].items()} == {
        "ours": (64500, ["fra1"]),
        "provider": (8560, ["par1"]),
    }
    assert ordered["origins"]["ours"]["pops"] == []
    assert ordered["origins"]["ours"]["state"] == "requested"


DONE = {
    "requested_on": "2026-10-01",
    "roa": {"asn": 64500, "valid_on": "2026-10-03"},
    "route_object": {"registry": "RIPE", "visible_on": "2026-10-03"},
    "accepted_on": {"t1": "2026-10-06"},
    "announced_on": "2026-10-10",
}


@pytest.mark.parametrize(
    ("there", "state"),
    [
        ((), "undeclared"),
        (("requested_on",), "requested"),
        (("requested_on", "roa"), "roa-valid"),
        (("requested_on", "roa", "route_object"), "irr-visible"),
        (("requested_on", "roa", "route_object", "accepted_on"), "upstream-accepted"),
        (tuple(DONE), "announced"),
        # a later step does not stand for an earlier one that is missing
        (("requested_on", "roa", "accepted_on", "announced_on"), "roa-valid"),
        (("roa", "route_object", "accepted_on", "announced_on"), "undeclared"),
    ],
)
def test_the_state_is_the_last_step_before_which_nothing_is_missing(there, state):
    assert Origin.model_validate({"asn": 64500, **{key: DONE[key] for key in there}}).state == state


def test_the_day_after_it_expired_the_same_program_is_refused(tree):
    ends = date(2026, 11, 21)
    assert parse_fleet("edge", tree, ends)
    with pytest.raises(InputRejected) as caught:
        parse_fleet("edge", tree, ends + timedelta(days=1))
    (problem,) = caught.value.problems
    assert (problem.rule, problem.path) == (
        "roa-expired",
        "prefixes.v4.origins.ours.roa.expires_on",
    )


def test_without_a_day_it_is_today(tree):
    """A ROA that ended in 2020 is judged by the clock, which has gone on since."""
    tree["prefixes"] = {name: {"cidr": p["cidr"]} for name, p in tree["prefixes"].items()}
    tree["vips"]["next"] = {"allocate_from": ["next6"]}
    tree["services"]["next"] = {"vip": "next", "port": 443, "pool": "web", "worker_port": 8446}
    roa = {"asn": 64500, "valid_on": "2020-01-01"}
    tree["prefixes"]["v4"] |= {
        "origin": "byoip",
        "holder": "us",
        "origins": {"ours": {"asn": 64500, "roa": roa}},
    }
    assert parse_fleet("edge", tree)
    roa["expires_on"] = "2020-02-01"
    with pytest.raises(InputRejected, match="the ROA expired on 2020-02-01"):
        parse_fleet("edge", tree)


def test_a_carrier_that_takes_a_private_number_off_originates_itself(tree):
    """With a private AS number of ours, the origin is the carrier's, and its ROA is asked for."""
    tree["asn"] = 64512
    for name in ("v4", "pool4", "next6"):
        tree["prefixes"][name] = {"cidr": tree["prefixes"][name]["cidr"]}
    tree["services"]["next"] = {"vip": "next", "port": 443, "pool": "web", "worker_port": 8446}
    tree["vips"]["next"] = {"allocate_from": ["next6"]}
    origin = {
        "asn": 64496,
        "asn_source": "its page",
        "roa": {"asn": 64512, "valid_on": "2026-11-01"},
    }
    tree["prefixes"]["v4"] |= {"origin": "byoip", "holder": "us", "origins": {"t1": origin}}
    with pytest.raises(InputRejected, match="the ROA names AS64512, AS64496 would originate"):
        parse_fleet("edge", tree, TODAY)
    origin["roa"]["asn"] = 64496
    assert parse_fleet("edge", tree, TODAY).prefixes["v4"].announced_at("fra1")


def networks():
    """Announced networks and ROA prefixes out of one small block, so that they meet."""
    return st.integers(20, 28).flatmap(
        lambda length: st.integers(0, 2**8 - 1).map(
            lambda part: ip_network((0xC6120000 + (part << 4), length), strict=False)
        )
    )


@given(networks(), networks(), st.none() | st.integers(18, 32), st.integers(64496, 64498))
def test_a_roa_matches_as_rfc_6811_has_it(announced, prefix, max_length, asn):
    roa = Roa.model_validate(
        {"asn": 64497, "valid_on": "2026-11-01", "prefix": str(prefix), "max_length": max_length}
    )
    # written anew from section 2: covered, not too long, and the same AS number
    longest = prefix.prefixlen if max_length is None else max_length
    covered = announced.subnet_of(prefix)
    valid = covered and announced.prefixlen <= longest and asn == 64497
    assert roa.covers(announced) is covered
    assert roa.matches(announced, asn) is valid
    event(f"covered {covered}, valid {valid}")
