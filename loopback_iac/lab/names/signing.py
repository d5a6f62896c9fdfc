"""Drills of what DNSSEC adds: keys replaced under load, and a DS that is wrong."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import dns.dnssec
import dns.name
import dns.rdata

from loopback_iac.lab.names.story import (
    AFTERWARDS,
    FOUND,
    NEVER_BOGUS,
    QUIET_BEFORE,
    STRICT,
    NameDrill,
    shown,
)
from loopback_iac.lab.names.tree import ZONE, wait_answering

if TYPE_CHECKING:
    from loopback_iac.dns.served import Report
    from loopback_iac.lab.names.story import Story

DS_TTL_S = 8
ROLLED_S = 90.0
PATIENCE_S = 60.0
KEPT = 120  # questions while keys that caches had are asked for anew
WRONG = "12345 13 2 " + "AB" * 32
RULE = "ds-no-key"


def ds_of(key: str) -> str:
    """Text of a key's DS."""
    found = dns.rdata.from_text("IN", "DNSKEY", key)
    return dns.dnssec.make_ds(dns.name.from_text(ZONE), found, "SHA256").to_text()


def _end_roll(story: Story) -> None:
    """Not one answer was bogus or without validation since it began, nor when caches ran out."""
    story.begin_repair("every name server has the new key, and none the old one")
    # keys that it had kept, for their TTL of a second, are asked for anew
    story.hear(STRICT, KEPT)
    story.goes_on()


def _roll_zsk(story: Story) -> None:
    story.begin_fault("the primary is told to replace the zone signing key")
    rolled = story.tree.begin_roll("zsk")
    story.wait(rolled, ROLLED_S)
    story.prove("rolled")
    _end_roll(story)


def _roll_ksk(story: Story) -> None:
    """The DS from before lives in caches for DS_TTL_S, and the primary dies meanwhile."""
    tree = story.tree
    tree.set_ds(*tree.parent.answer(ZONE, "DS"), ttl_s=DS_TTL_S)
    seen = len(tree.primary.log)
    story.begin_fault("the primary is told to replace the key signing key")
    rolled = tree.begin_roll("ksk")
    story.wait(lambda: "KSK submission, waiting" in tree.primary.log[seen:], PATIENCE_S)
    # from here on it has the DS from before, for all of its time
    story.begin_anew()
    story.wait(lambda: "KSK submission, confirmed" in tree.primary.log[seen:], PATIENCE_S)
    tree.primary.stop(kill=True)
    story.tell("the parent names the new key; the primary is killed, and starts again")
    tree.primary.start()
    wait_answering(tree.primary, ZONE)
    story.wait(rolled, ROLLED_S)
    story.prove("rolled")
    _end_roll(story)
    (key,) = tree.keys(tree.primary, "ksk")
    named = tree.parent.answer(ZONE, "DS")
    story.prove("parent-names-it", "" if named == [ds_of(key)] else f"it names {named}")


def _names_no_key(report: Report) -> bool:
    return RULE in {one.rule for one in report.findings}


def _put_wrong_ds(story: Story) -> None:
    tree = story.tree
    (right,) = tree.parent.answer(ZONE, "DS")
    printed = [line.lower() for line in tree.gate().records(ZONE)]
    told = printed == [f"{ZONE} in ds {right}"]
    story.prove("gate-says-another", "" if told else f"the gate says {printed}")
    refused = _names_no_key(tree.check(ds=[WRONG]))
    story.prove("refused-beforehand", "" if refused else f"the comparer lacks {RULE}")
    story.goes_on()
    story.begin_fault("all the same, the parent is given a DS that names no key of the zone")
    tree.set_ds(WRONG)

    def all_bogus() -> bool:
        counts = story.sample()
        return counts["bogus"] == counts["asked"] > 0

    story.wait(all_bogus, PATIENCE_S)
    story.prove("ended")

    def refused_by_others() -> bool:
        return bool(tree.usual.ask(f"www.{ZONE}", "A")["rcode"] == "SERVFAIL")

    story.wait(refused_by_others, PATIENCE_S)
    story.prove("everywhere")
    story.find(_names_no_key, partial(tree.check, parent=True))
    story.begin_repair("the parent is given the right one")
    tree.set_ds(right)
    # what it found wrong, a resolver holds for wrong for a minute
    story.begin_anew()
    story.goes_on()
    counts = story.sums()
    story.prove("never-taken", "" if not counts["insecure"] else f"{counts}")


ROLLED = shown("rolled", "every name server got the new key and lost the old one")

DRILLS = (
    NameDrill(
        name="dns-zsk",
        what="the zone signing key is replaced under load",
        repair="none: the new key stays",
        expects="old and new key stand side by side until caches have no use for the old one",
        lost="",
        play=_roll_zsk,
        must_hold=(QUIET_BEFORE, NEVER_BOGUS, ROLLED, AFTERWARDS),
    ),
    NameDrill(
        name="dns-ksk",
        what="the key signing key is replaced under load while caches have the DS from before, and"
        " the primary is killed meanwhile",
        repair="none: the new key stays",
        expects=f"the old key stays until no cache has its DS ({DS_TTL_S} s here) any more",
        lost="",
        play=_roll_ksk,
        must_hold=(
            QUIET_BEFORE,
            NEVER_BOGUS,
            ROLLED,
            shown("parent-names-it", "the parent's DS is that of the new key"),
            AFTERWARDS,
        ),
    ),
    NameDrill(
        name="dns-wrong-ds",
        what="a DS that names no key of the zone: refused beforehand, then put at the parent",
        repair="the parent has the right one again, resolvers forget",
        expects="the gate prints another DS, the comparer refuses this one; once it is there, every"
        " answer is bogus",
        lost="",
        play=_put_wrong_ds,
        must_hold=(
            QUIET_BEFORE,
            shown("gate-says-another", "the gate prints another DS"),
            shown("refused-beforehand", f"the comparer says `{RULE}` of it before it is put"),
            shown("ended", "once it is there every answer of the strict resolver is bogus"),
            shown("everywhere", "a resolver as delivered refuses the zone as well"),
            FOUND,
            shown("never-taken", "no answer was given without validation at any time"),
            AFTERWARDS,
        ),
    ),
)
