"""Which keys were replaced and never ended, from what keymgr prints; elsewhere Knot is asked."""

from __future__ import annotations

import pytest

from loopback_iac.agent.refusal import RefusedError
from loopback_iac.agent.settle import parse_wait, unsettled

NOW = 1_700_000_000
ENDS = ("pre-active", "retire-active", "retire", "post-active", "revoke", "remove")


def key(ident, **more):
    """One that has been active for an hour, as keymgr prints it."""
    began = {
        "created": NOW - 3600,
        "publish": NOW - 3600,
        "ready": NOW - 3600,
        "active": NOW - 3600,
    }
    kind = {"ksk": True, "zsk": False, "algorithm": 13, "public-only": False}
    return {"id": ident, **kind, **dict.fromkeys(ENDS, 0), **began, **more}


def replacing(ident="new", **more):
    """A KSK that was made for another's place."""
    times = {"created": NOW - 600, "publish": NOW - 600, "ready": NOW - 500, "active": NOW - 400}
    return key(ident, **{**times, **more})


def named(*keys):
    return [found["id"] for found in unsettled(list(keys))]


ZSK = {"ksk": False, "zsk": True, "ready": 0}


@pytest.mark.parametrize(
    "keys",
    [
        (key("old"), replacing()),
        (replacing(), key("old")),
        (key("old", **ZSK), replacing(**ZSK)),
        # nobody had told it of its DS when the next one was submitted
        (key("old", active=NOW - 450), replacing()),
    ],
    ids=["ksk", "whatever the order", "zsk", "late"],
)
def test_the_one_that_was_replaced_is_named(keys):
    assert named(*keys) == ["old"]
    # and of both kinds at once, each its own
    assert named(key("one"), key("two", **ZSK), replacing(), replacing("next", **ZSK)) == [
        "one",
        "two",
    ]


@pytest.mark.parametrize(
    "keys",
    [
        (key("only"),),
        (),
        (key("old"), replacing(active=0)),
        (key("old"), replacing(active=0, ready=0)),
        (key("old"), key("twin")),
        (key("old"), replacing(ready=0)),
        # put beside each other: the second was made before the first was active
        (key("first", active=NOW - 550, **ZSK), replacing("second", **ZSK)),
        (key("old"), replacing(**{"public-only": True})),
        (key("old"), replacing(algorithm=15)),
        (key("old"), replacing(**ZSK)),
        (key("old", zsk=True), replacing(zsk=True)),
        (key("old"), replacing(active=NOW * 2)),
        *((key("old", **{end: NOW - 10}), replacing()) for end in ENDS[1:]),
        (key("old"), replacing(**{"retire-active": NOW - 10})),
    ],
)
def test_others_stay(keys):
    assert named(*keys) == []


@pytest.mark.parametrize("word", ["", "-1", "1.5", "a day", "99999999", "٣"])
def test_what_is_no_wait_is_refused(word):
    with pytest.raises(RefusedError, match="settle-keys SECONDS"):
        parse_wait(word)


def test_a_wait_is_seconds():
    assert parse_wait("86402") == 86_402
