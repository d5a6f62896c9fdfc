"""Drills of names hold: what a validating resolver has of a zone while things fail.

The resolver is strict: what is bogus once is bogus, no other name server is asked for it. It is
asked steadily all the time, two thirds of the questions for names that nobody asked for before.
"""

from __future__ import annotations

import pytest

from loopback_iac.lab.names.anycast import anycast
from loopback_iac.lab.names.drills import DRILLS
from loopback_iac.lab.names.performing import judge, perform
from loopback_iac.lab.names.signing import DS_TTL_S
from loopback_iac.lab.names.story import BEFORE, DURING, STRICT
from loopback_iac.lab.names.tree import hierarchy
from loopback_iac.remote.dns_ask import Limits
from tests.conftest import PROFILE

RATE = 30
# the comparer's own would make it wait eight seconds for a server that is gone
QUICK = Limits(timeout_s=1.0, tries=2)
# of either key, beside the one of its drill
MORE_ROLLS = 49 if PROFILE == "soak" else 1


@pytest.fixture(scope="module")
def tree(image, tmp_path_factory):
    with hierarchy(image, tmp_path_factory.mktemp("tree"), ds_ttl_s=DS_TTL_S) as made:
        made.limits = QUICK
        yield made


def performed(ground, name):
    """One run in which everything that must hold did."""
    story = perform(ground, DRILLS[name], RATE)
    broken = {v.name: dict(v.broken) for v in judge(DRILLS[name], [story]) if not v.held}
    assert broken == {}, (broken, story.events)
    return story


@pytest.mark.parametrize("name", [name for name, drill in DRILLS.items() if not drill.of_pops])
def test_what_must_hold_in_each_drill_does(tree, name):
    story = performed(tree, name)
    # it was asked all the time: a stretch before, and something while it was broken
    assert story.sums(STRICT, BEFORE)["asked"] >= 40
    assert story.sums(STRICT, DURING)["asked"] > 0


def test_a_pop_is_lost_and_the_next_one_answers(image, tmp_path):
    """The drill as a command performs it."""
    with anycast(image, tmp_path) as made:
        made.limits = QUICK
        story = performed(made, "dns-pop")
    assert story.found.verdicts == {"fra1": "unreachable", "par1": "equal"}


@pytest.mark.parametrize("kind", ["zsk", "ksk"])
@pytest.mark.parametrize("number", range(MORE_ROLLS))
def test_keys_roll_again_and_again(tree, kind, number):
    """Two of either with every run; fifty of either in a soak."""
    counts = performed(tree, f"dns-{kind}").sums()
    assert (counts["bogus"], counts["insecure"]) == (0, 0)
