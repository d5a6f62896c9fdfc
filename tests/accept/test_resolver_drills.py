"""Drills of names hold: what a validating resolver has of a zone while things fail.

The resolver is strict: what is bogus once is bogus, no other name server is asked for it. It is
asked steadily all the time, two thirds of the questions for names that nobody asked for before.
"""

from __future__ import annotations

import json

import pytest

from loopback_iac.lab.names.anycast import anycast
from loopback_iac.lab.names.drills import DRILLS
from loopback_iac.lab.names.performing import judge, perform
from loopback_iac.lab.names.signing import DS_TTL_S
from loopback_iac.lab.names.space import wait_for
from loopback_iac.lab.names.story import BEFORE, DURING, STRICT
from loopback_iac.lab.names.tree import ZONE, hierarchy, wait_answering
from loopback_iac.remote.dns_ask import Limits
from tests.conftest import PROFILE

RATE = 30
# the comparer's own would make it wait eight seconds for a server that is gone
QUICK = Limits(timeout_s=1.0, tries=2)
# of either key, beside the one of its drill
MORE_ROLLS = 49 if PROFILE == "soak" else 1
KEYS_S = 90.0


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


def test_a_key_whose_end_was_lost_gets_one_at_the_next_start(tree):
    """As a signer leaves it that was killed between keeping the new key and the old one's end."""
    tree.load(RATE)
    seen = len(tree.primary.log)
    tree.set_ds(*tree.parent.answer(ZONE, "DS"), ttl_s=DS_TTL_S)
    rolled = tree.begin_roll("ksk")
    wait_for(lambda: "KSK submission, waiting" in tree.primary.log[seen:], KEYS_S)
    tree.resolver.begin_anew()  # it has the DS from before
    # both keys are kept by then, one after the other
    wait_for(lambda: retiring(tree) != [] and all(k["active"] for k in signing(tree)), KEYS_S)
    tree.primary.stop(kill=True)
    (old,) = retiring(tree)
    lost = tree.primary.run("keymgr", ZONE, "set", old, "retire_active=0", "remove=0")
    assert (lost.returncode, retiring(tree)) == (0, [])
    tree.asked.mark()
    tree.primary.start()
    wait_answering(tree.primary, ZONE)
    wait_for(rolled, KEYS_S)
    counts = tree.resolver.after(40)
    assert (counts["bogus"], counts["insecure"]) == (0, 0)
    # whoever looks again finds nothing to do
    told = tree.primary.run("loopback-agent", "settle-keys", "1")
    assert (told.returncode, told.stderr) == (0, "")


def signing(tree):
    """The primary's KSKs."""
    found = json.loads(tree.primary.run("keymgr", "-j", ZONE, "list").stdout)
    return [key for key in found if key["ksk"]]


def retiring(tree):
    """Those that have an end."""
    return [key["id"] for key in signing(tree) if key["remove"]]
