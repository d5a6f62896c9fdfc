"""The drill that breaks nothing, and a flood of questions at one of two PoPs."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from loopback_iac.lab.names import volley
from loopback_iac.lab.names.asker import Asker
from loopback_iac.lab.names.space import Namespace, cable, namespaces
from loopback_iac.lab.names.story import (
    AFTER,
    AFTERWARDS,
    BEFORE,
    DURING,
    ENOUGH,
    NEVER_BOGUS,
    QUIET_BEFORE,
    UNNOTICED,
    NameDrill,
    Story,
    shown,
    verdicts,
)
from loopback_iac.lab.names.tree import SERVICE, ZONE
from loopback_iac.lab.paths import LabError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from loopback_iac.lab.names.tree import Hierarchy

STRETCHES = 2
FLOODED, OTHER = "fra1", "par1"
ONE_SOURCE, MANY = "10.99.7.7/32", "10.0.0.0/8"
A = 1
COUNT, RATE = 20_000, 10_000
FLOODS = {ONE_SOURCE: "one address", MANY: "everywhere"}
CLIENTS = {FLOODED: "clients of the flooded PoP", OTHER: "clients of the other PoP"}
CLIENT_RATE = 40
VIA = "192.0.2.250"


def _leave_alone(story: Story) -> None:
    story.begin_fault("nothing is done")
    for _ in range(STRETCHES):
        story.goes_on()
    report = story.tree.check_all(parent=True)
    found = sorted({one.rule for one in report.findings})
    equal = report.equal and set(verdicts(report).values()) == {"equal"}
    story.prove("nothing-named", "" if equal else f"{verdicts(report)}: {', '.join(found)}")
    story.begin_repair("nothing is undone")
    story.goes_on()
    counts = story.sums()
    missed = counts["asked"] - counts["secure"]
    story.prove(
        "none-missed", f"{missed} of {counts['asked']} were not: {counts}" if missed else ""
    )


@contextmanager
def crowd(tree: Hierarchy, *pops: str) -> Iterator[Namespace]:
    """A namespace whose addresses, all of 10.0.0.0/8, reach these name servers alone."""
    with namespaces("crowd") as (space,):
        space.ip(f"route add local {MANY} dev lo")
        for name in pops:
            server = tree.servers[name].space
            cable(space, name, server, "crowd")
            space.ip(f"addr add {VIA}/32 dev {name}")
            space.ip(f"route add {SERVICE[name]} dev {name}")
            # all of it is behind one address: no question for the whereabouts of each
            server.ip(f"route add {VIA} dev crowd")
            server.ip(f"route add {MANY} via {VIA} dev crowd onlink")
        yield space


def start_volley(space: Namespace, name: str, sources: str, **more: Any) -> subprocess.Popen[str]:  # noqa: ANN401  # as `volley` takes them
    """Ask for names that are not, from many addresses at once."""
    running = space.start("nice", "-n", "10", sys.executable, volley.__file__)
    wanted = {"server": SERVICE[name], "names": [f"@.{ZONE}"], "type": A, "sources": sources,
              "count": COUNT, "rate": RATE, "window": 512, "pool": 4096} | more  # fmt: skip
    if running.stdin is None or running.stdout is None:
        raise LabError("the volley has no way to be told")
    running.stdin.write(json.dumps(wanted) + "\n")
    running.stdin.flush()
    running.stdout.readline()  # its questions are made
    return running


def end_volley(running: subprocess.Popen[str]) -> dict[str, Any]:
    """What became of it."""
    out, _ = running.communicate(timeout=120)
    found: dict[str, Any] = json.loads(out)
    return found


def _flood(story: Story) -> None:
    """Clients ask each PoP's name server themselves, as resolvers of its region do."""
    tree = story.tree
    askers = {
        who: Asker(tree.resolver.space, SERVICE[name], [[f"www.{ZONE}", "A"]], CLIENT_RATE, "AA")
        for name, who in CLIENTS.items()
    }
    story.askers |= {who: partial(askers.__getitem__, who) for who in askers}
    for who in askers:
        story.goes_on(who)
    with crowd(tree, FLOODED) as space:
        story.begin_fault(f"{COUNT} questions for names that are not, {RATE} a second, twice")
        for sources, words in FLOODS.items():
            running = start_volley(space, FLOODED, sources)
            while running.poll() is None:
                story.hear(CLIENTS[OTHER], ENOUGH)
            _note_flood(story, words, end_volley(running))
    story.begin_repair("the flood is over")
    for who in askers:
        story.goes_on(who)
    story.goes_on()
    _judge_clients(story)
    for who, asker in askers.items():
        del story.askers[who]
        asker.end()


def _note_flood(story: Story, words: str, told: dict[str, Any]) -> None:
    sent, answered = told["sent"], told["answered"]
    full = answered - told["truncated"]
    said = (f"{sent} questions in {told['seconds']:.1f} s; {full} answered in full,"
            f" {told['truncated']} truncated, {sent - answered} not answered")  # fmt: skip
    story.note(f"flood from {words}", said)
    story.tell(f"flood from {words}: {said}")
    story.prove("flood-there", "" if sent == COUNT else f"only {sent} questions were sent")
    if words == FLOODS[ONE_SOURCE]:
        story.prove("limited", "" if full < sent / 2 else said)


def _judge_clients(story: Story) -> None:
    for name, who in CLIENTS.items():
        counts = story.sums(who, DURING)
        missed = counts["asked"] - counts["secure"]
        harm = f"{missed} of {counts['asked']} without an answer, {counts['again']} over TCP"
        story.note(who, harm)
        if name == OTHER:
            story.prove("others-unharmed", harm if missed or not counts["asked"] else "")
        again = story.whole.get((who, AFTER), False) and story.whole.get((who, BEFORE), False)
        story.prove("answered-again", "" if again else f"{who}: {story.sums(who, AFTER)}")


NOTHING = NameDrill(
    name="dns-nothing",
    what="nothing: the control experiment",
    repair="none",
    expects="nobody notices anything; who sees something here is wrong, and would be elsewhere",
    lost="",
    play=_leave_alone,
    must_hold=(
        *UNNOTICED,
        shown("none-missed", "every question was answered"),
        shown("nothing-named", "the comparer finds nothing, at the parent neither"),
    ),
)

DRILLS = (
    NameDrill(
        name="dns-flood",
        what=f"{COUNT} questions for random names at one of two PoPs, {RATE} a second: from one"
        " address, then from everywhere",
        repair="it ends",
        expects="the limit of answers holds one address down; from everywhere, each is answered",
        lost="",
        play=_flood,
        must_hold=(
            QUIET_BEFORE,
            NEVER_BOGUS,
            shown("flood-there", "all of the flood was sent"),
            shown("limited", "of the one address's, less than half was answered in full"),
            shown("others-unharmed", "every question of the other PoP's clients was answered"),
            shown("answered-again", "clients of both are answered before and after"),
            AFTERWARDS,
        ),
    ),
)
