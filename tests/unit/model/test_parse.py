"""parse_fleet beyond the goldens: late values, floats, order, and that nothing is half refused."""

from __future__ import annotations

import json
import random
from enum import Enum

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from loopback_iac.model import InputRejected, Problem, fleet_facts, parse_fleet, parse_host
from loopback_iac.model.problem import problems_text
from tests.golden import case as golden
from tests.golden.fleets import fleets, host_key


class Untouchable:
    """As a Pulumi Output: looking into it is an error."""

    def __getattribute__(self, name):
        if name in {"__class__", "__dict__", "__deepcopy__"}:
            return object.__getattribute__(self, name)
        raise AssertionError(f"a late value was looked into: {name}")

    def __bool__(self):
        raise AssertionError("a late value was asked whether it is true")

    def __eq__(self, other):
        raise AssertionError("a late value was compared")

    __hash__ = None


@pytest.fixture
def tree():
    return golden.load("two-pops").fleet


def walk(value, change):
    if isinstance(value, dict):
        return {key: walk(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [walk(item, change) for item in value]
    return change(value)


def test_late_values_are_never_looked_into(tree):
    plain = parse_fleet("edge", tree)
    late = walk(tree, lambda value: Untouchable() if value == "late" else value)
    assert parse_fleet("edge", late) == plain


def test_numbers_may_be_floats(tree):
    def as_double(value):
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    assert parse_fleet("edge", walk(tree, as_double)) == parse_fleet("edge", tree)


def test_words_may_be_enums(tree):
    class Kind(str, Enum):  # noqa: UP042  # what the args of components use
        INTERNAL = "internal"

    facts = tree["pops"]["fra1"]["upstreams"]["t1"]
    facts |= {"kind": Kind.INTERNAL, "role_strict": False}
    assert parse_fleet("edge", tree).pops["fra1"].upstreams["t1"].kind == "internal"


def test_nothing_is_the_same_as_absent(tree):
    tree["roll"] = None
    tree["pops"]["fra1"]["upstreams"]["t1"]["bfd_waived_because"] = None
    assert parse_fleet("edge", tree) == parse_fleet("edge", golden.load("two-pops").fleet)


@given(fleets(), st.randoms(use_true_random=False))
def test_any_valid_fleet_parses_in_any_order(drawn, chance):
    def shuffled(value):
        if isinstance(value, dict):
            items = [(key, shuffled(item)) for key, item in value.items()]
            chance.shuffle(items)
            return dict(items)
        return value

    assert isinstance(chance, random.Random)
    assert parse_fleet("edge", shuffled(drawn.tree)) == parse_fleet("edge", drawn.tree)


@given(fleets())
def test_facts_are_plain_and_hold_no_late_value(drawn):
    fleet = parse_fleet("edge", drawn.tree)
    facts = fleet_facts(fleet)
    assert json.loads(json.dumps(facts)) == facts
    assert '"late"' not in json.dumps(facts)
    assert set(facts["pops"]) == set(drawn.tree["pops"])


JUNK = st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.just([]) | st.just({})


@given(st.data())
def test_any_junk_is_refused_by_problems_only(data):
    """One value replaced by anything: parsed or refused with a path, never another exception."""
    tree = golden.load("two-pops").fleet
    here, keys = tree, []
    while isinstance(here, dict) and here:
        keys.append(data.draw(st.sampled_from(sorted(here))))
        if data.draw(st.integers(0, 3)) == 0:
            break
        here = here[keys[-1]]
    owner = tree
    for key in keys[:-1]:
        owner = owner[key]
    owner[keys[-1]] = data.draw(JUNK)
    problems = ()
    try:
        parse_fleet("edge", tree)
    except InputRejected as refused:
        problems = refused.problems
        event("refused")
    assert all(isinstance(p, Problem) and p.rule and p.fix for p in problems)


def test_the_text_of_problems():
    one = Problem("a.b", "x is odd", "y", "write y", "rule-one")
    two = Problem(
        "c", "is missing", "", "add c, since nothing else will do", "rule-two", "f.yaml:3"
    )
    assert problems_text("edge", (one, two)) == (
        "edge: 2 problems\n"
        "  - a.b: x is odd; expected y\n"
        "      fix: write y                               rule: rule-one\n"
        "  - c: is missing\n"
        "      fix: add c, since nothing else will do     at: f.yaml:3   rule: rule-two"
    )


def test_a_host_key_loses_its_comment():
    host = parse_host("h", {"ipv4": "198.18.1.11", "host_key": f"{host_key()} root@h"})
    assert host.host_key == host_key()
    assert str(host.address) == "198.18.1.11"
