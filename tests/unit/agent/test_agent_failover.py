"""Who shall hold a failover address: one look at a time, and over whole histories."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopback_iac.agent.arbiterfile import parse_arbiter
from loopback_iac.agent.failover import (
    SETTLE_S,
    SILENT_FALLS,
    Health,
    Rules,
    Sight,
    choose,
    note_answers,
    wait_s,
)
from loopback_iac.agent.refusal import RefusedError

SERVERS = {"m1": "11", "m2": "12", "m3": "13"}
RULES = Rules(fall=3, rise=2)
UP, DOWN = Health(up=True, last=True, looks=5), Health(up=False, last=False, looks=5)
ALL_UP = dict.fromkeys(SERVERS, UP)


def sight(holder: str | None = "11", lost: str = "", **more) -> Sight:
    """Everybody answers but those in `lost`."""
    answers = {name: name not in lost.split() for name in SERVERS}
    return Sight(more.pop("at_s", 100.0), answers, holder, **more)


def health(lost: str = "") -> dict[str, Health]:
    return {name: DOWN if name in lost.split() else UP for name in SERVERS}


def test_it_stays_while_its_holder_answers_whoever_else_does():
    assert choose(SERVERS, ALL_UP, sight("12"), RULES) == (None, "m2 holds it")
    assert choose(SERVERS, health("m1 m3"), sight("12", "m1 m3"), RULES).target is None


def test_it_moves_to_the_first_that_serves():
    assert choose(SERVERS, health("m1"), sight("11", "m1"), RULES).target == "m2"
    assert choose(SERVERS, health("m1 m2"), sight("11", "m1 m2"), RULES).target == "m3"
    assert choose(SERVERS, health("m3"), sight("13", "m3"), RULES).target == "m1"
    assert choose(SERVERS, ALL_UP, sight(""), RULES) == ("m1", "nobody holds it")


def test_a_holder_that_answers_just_now_keeps_it_whatever_was_noted_before():
    assert choose(SERVERS, health("m1"), sight("11"), RULES).target is None


def test_nothing_is_moved_to_who_does_not_answer_just_now():
    assert choose(SERVERS, health("m1"), sight("11", "m1 m2"), RULES).target == "m3"


@pytest.mark.parametrize("holder", ["", "11", "99", None])
def test_who_sees_nobody_moves_nothing(holder):
    seen = sight(holder, "m1 m2 m3", wish="m2")
    assert choose(SERVERS, health("m1 m2 m3"), seen, RULES).target is None
    assert choose(SERVERS, ALL_UP, seen, RULES).target is None


def test_what_the_api_has_not_said_is_not_guessed():
    assert choose(SERVERS, health("m1"), sight(None, "m1"), RULES).target is None


def test_a_foreign_holder_is_left_alone_until_somebody_asks():
    found = choose(SERVERS, ALL_UP, sight("99"), RULES)
    assert found == (None, "server 99 holds it, which is no member: left alone")
    assert choose(SERVERS, ALL_UP, sight("99", wish="m2"), RULES).target == "m2"


def test_who_was_asked_for_gets_it_once_and_only_alive():
    assert choose(SERVERS, ALL_UP, sight("11", wish="m3"), RULES) == ("m3", "m3 was asked for")
    assert choose(SERVERS, ALL_UP, sight("13", wish="m3"), RULES).target is None
    assert choose(SERVERS, health("m3"), sight("11", "m3", wish="m3"), RULES).target is None
    assert choose(SERVERS, ALL_UP, sight("11", wish="stranger"), RULES).target is None


def test_nothing_is_moved_to_who_would_not_learn_of_it():
    deaf = frozenset({"m2"})
    assert choose(SERVERS, health("m1"), sight("11", "m1", deaf=deaf), RULES).target == "m3"
    assert choose(SERVERS, ALL_UP, sight("11", wish="m2", deaf=deaf), RULES).target is None
    # who has it keeps it while it serves
    assert choose(SERVERS, ALL_UP, sight("12", deaf=deaf), RULES) == (None, "m2 holds it")


def test_two_moves_in_a_row_are_apart():
    soon = sight("11", "m1", moved_at_s=100.0 - SETTLE_S + 1)
    assert "settle" in choose(SERVERS, health("m1"), soon, RULES).reason
    late = sight("11", "m1", moved_at_s=100.0 - SETTLE_S)
    assert choose(SERVERS, health("m1"), late, RULES).target == "m2"


def test_an_address_that_is_silent_while_its_holder_answers_is_assigned_once_more():
    enough = SILENT_FALLS * RULES.fall
    assert choose(SERVERS, ALL_UP, sight("12", silent=enough - 1), RULES).target is None
    assert choose(SERVERS, ALL_UP, sight("12", silent=enough), RULES).target == "m2"
    moved = sight("12", silent=enough, moved_at_s=99.0)
    assert choose(SERVERS, ALL_UP, moved, RULES).target is None


def counted(looks: str, before: Health | None = None) -> Health:
    """One member's looks in a row, `o` or `.`, beside another that always answers."""
    kept = {"m1": before} if before else {}
    for look in looks:
        kept = note_answers(kept, {"m1": look == "o", "m2": True}, RULES)
    return kept["m1"]


def test_so_many_looks_in_a_row_and_no_fewer():
    assert counted("..").up is None
    assert counted("...").up is False
    assert counted("o").up is None
    assert counted("oo").up is True
    assert counted("..", before=UP).up is True
    assert counted("..o..", before=UP).up is True
    assert counted("...", before=UP).up is False
    assert counted("o", before=DOWN).up is False
    # a verdict kept over a restart is neither hastened nor forgotten
    assert counted("..", before=Health(up=True)).up is True
    assert counted("...", before=Health(up=True)).up is False


def test_looks_that_see_nobody_do_not_count():
    kept = dict.fromkeys(SERVERS, UP)
    for _ in range(10):
        kept = note_answers(kept, dict.fromkeys(SERVERS, False), RULES)
    assert kept == dict.fromkeys(SERVERS, UP)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=60))
def test_over_any_history_it_moves_only_away_from_the_silent_and_only_to_who_answers(history):
    holder, kept, moved_at_s, bad = "11", {}, None, dict.fromkeys(SERVERS, 0)
    for at_s, answered in enumerate(history):
        answers = dict(zip(SERVERS, answered, strict=True))
        kept = note_answers(kept, answers, RULES)
        if any(answered):
            bad = {name: 0 if answers[name] else bad[name] + 1 for name in SERVERS}
        seen = Sight(float(at_s), answers, holder, moved_at_s=moved_at_s)
        target = choose(SERVERS, kept, seen, RULES).target
        if target is None:
            continue
        before = next(name for name, server in SERVERS.items() if server == holder)
        assert bad[before] >= RULES.fall
        assert answers[target]
        assert moved_at_s is None or at_s - moved_at_s >= SETTLE_S
        holder, moved_at_s = SERVERS[target], float(at_s)


def test_the_api_is_left_alone_longer_and_longer():
    assert [wait_s(n) for n in (1, 2, 3, 4)] == [1.0, 2.0, 4.0, 8.0]
    assert wait_s(10_000) == 60.0
    assert wait_s(1, asked_s=20) == 20.0
    assert wait_s(1, asked_s=86_400) == 60.0


FILE = {
    "format": 1,
    "provider": "hetzner",
    "endpoint": "https://api.example.net/v1/",
    "members": [
        {"name": "m1", "server": 11, "address": "198.18.32.2"},
        {"name": "m2", "server": 12, "address": "198.18.32.3"},
    ],
    "addresses": {"198.18.32.4": 21},
    "check": {"port": 443, "interval_s": 1, "timeout_s": 0.5, "fall": 3, "rise": 2},
}


def test_the_file_is_read():
    found = parse_arbiter(json.dumps(FILE).encode())
    assert found.endpoint == "https://api.example.net/v1"
    assert found.addresses == {"198.18.32.4": "21"}
    assert [member.server for member in found.members] == ["11", "12"]
    assert found.rules == RULES


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"endpoint": "http://api.example.net"}, "no https address"),
        ({"provider": "aws"}, "provider 'aws'; there are hetzner, ionos"),
        ({"members": FILE["members"][:1]}, "two members"),
        ({"members": [FILE["members"][0]] * 2}, "two members"),
        ({"addresses": {}}, "and an address"),
        ({"addresses": {"www": 1}}, "'www'"),
        ({"check": {"port": 443}}, "KeyError 'interval_s'"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(changed, says):
    with pytest.raises(RefusedError) as refused:
        parse_arbiter(json.dumps(FILE | changed).encode())
    assert says in refused.value.what
