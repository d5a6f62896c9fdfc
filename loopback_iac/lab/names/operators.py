"""Drills of what befalls name servers: an operator lost, the primary away, one frozen, one lies."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from loopback_iac.lab.names.machine import SECRET
from loopback_iac.lab.names.story import (
    AFTERWARDS,
    DURING,
    FOUND,
    QUIET_BEFORE,
    STRICT,
    UNNOTICED,
    NameDrill,
    shown,
    verdicts,
)
from loopback_iac.lab.names.tree import PRIMARY, SERVICE, ZONE, wait_answering
from loopback_iac.render import transfer_secret

if TYPE_CHECKING:
    from loopback_iac.dns.served import Report
    from loopback_iac.lab.names.story import Story
    from loopback_iac.lab.names.tree import Hierarchy

PATIENCE_S = 60.0
ALTERED = "203.0.113.66"
USUAL = "resolver as delivered"
SOFTWARE = {"fra1": "Knot", "par1": "NSD"}


def _sees(wanted: dict[str, str], report: Report) -> bool:
    """Whether these servers, and no others, are said to be so."""
    return verdicts(report) == dict.fromkeys(SERVICE, "equal") | wanted


def _differs(report: Report, wanted: dict[str, str]) -> str:
    found = verdicts(report)
    return "" if _sees(wanted, report) else f"the comparer says {found}"


def _lose_operator(name: str, story: Story) -> None:
    tree = story.tree
    lost = tree.servers[name]
    towards = [PRIMARY, *(resolver.address for resolver in tree.resolvers)]
    story.begin_fault(f"{name} is killed, and nothing from there arrives")
    with tree.silent(name, *towards):
        lost.stop(kill=True)
        tree.change(f"lost-{name} A 203.0.113.20")
        story.goes_on()
        story.find(partial(_sees, {name: "unreachable"}), tree.check)
    story.begin_repair(f"{name} starts again")
    lost.start()
    wait_answering(lost, ZONE)
    tree.below.wait_served(ZONE)
    back = lost.answer(f"lost-{name}.{ZONE}", "A")
    story.prove("caught-up", "" if back == ["203.0.113.20"] else f"it answers {back}")
    # what was silent, a resolver asks seldom for a while
    story.begin_anew()
    story.goes_on()


def _lose_primary(story: Story) -> None:
    tree = story.tree
    knot = tree.servers["fra1"]
    seen = len(knot.log)
    story.begin_fault("the primary is killed")
    tree.primary.stop(kill=True)
    # refresh is 2 s, retry 1 s: it asked in its time, and again
    story.wait(lambda: knot.log[seen:].count("no usable master") >= 2, PATIENCE_S)
    story.tell("name servers asked for the zone when its refresh was over, and again")
    story.prove("outlasted")
    story.goes_on()
    # what is served is right: nobody is to be woken for it by the comparer
    story.prove("nothing-named", _differs(tree.check_all(), {}))
    story.begin_repair("the primary starts again, and the zone changes")
    tree.primary.start()
    wait_answering(tree.primary, ZONE)
    tree.change("back A 203.0.113.21")
    tree.below.wait_served(ZONE)
    story.prove("caught-up")
    story.goes_on()


def _freeze(story: Story) -> None:
    tree = story.tree
    before = tree.servers["par1"].serial(ZONE)
    story.begin_fault("nothing from par1 reaches the primary, and the zone changes")
    with tree.silent("par1", PRIMARY):
        tree.change("frozen A 203.0.113.22")
        tree.below.wait_served(ZONE, "fra1")
        report = story.find(partial(_sees, {"par1": "lagging"}), tree.check)
        whose = {one.server for one in report.findings}
        story.prove("nobody-else", "" if whose == {"par1"} else f"findings about {whose}")
        now = tree.servers["par1"].serial(ZONE)
        story.prove("stands", "" if now == before else f"par1 went from {before} to {now}")
        story.goes_on()
    story.begin_repair("it is heard again")
    tree.below.wait_served(ZONE)
    story.prove("caught-up", _differs(tree.check_all(), {}))
    story.goes_on()


def _alter(story: Story) -> None:
    tree = story.tree
    tree.usual.load(tree.resolver.asked.rate)
    story.askers[USUAL] = lambda: tree.usual.asked
    story.goes_on(USUAL)
    story.begin_fault("par1 serves another address in one record, with the signature it had")
    own = _serve(tree, _as_file(tree).replace("A 203.0.113.10", f"A {ALTERED}"))
    server = tree.servers["par1"]
    story.wait(lambda: server.answer(f"www.{ZONE}", "A") == [ALTERED], PATIENCE_S)
    report = story.find(partial(_sees, {"par1": "tampered"}), tree.check)
    named = {(one.server, one.owner, one.type) for one in report.findings}
    right = ("par1", f"www.{ZONE}", "A") in named
    story.prove("named", "" if right else f"the comparer names {named}")
    # a server that was late once is asked no more for a while: one without memory asks either
    story.begin_anew()
    # strict, that answer is bogus, each time this server is asked
    story.wait(lambda: story.sums(STRICT, DURING)["bogus"] > 0, PATIENCE_S)
    story.prove("was-there")
    # as resolvers are delivered, another name server is asked, and clients notice nothing
    story.goes_on(USUAL)
    story.begin_repair("par1 has its own files again")
    _put_back(tree, own)
    tree.below.wait_served(ZONE)
    story.begin_anew()
    story.goes_on()
    story.goes_on(USUAL)
    _judge_altered(story)
    del story.askers[USUAL]
    tree.usual.rest()


def _judge_altered(story: Story) -> None:
    counts = story.sums()
    taken = f"{counts['insecure']} answers without validation" if counts["insecure"] else ""
    story.prove("never-taken", taken)
    counts = story.sums(USUAL)
    wrong = counts["bogus"] + counts["insecure"]
    held = all(story.whole.get((USUAL, phase)) for phase in (DURING, story.phase))
    why = f"its clients had {counts}" if wrong or not held else ""
    story.prove("clients-unharmed", why)


def _as_file(tree: Hierarchy) -> str:
    """The signed zone as the primary hands it out."""
    key = ["loopback-par1", transfer_secret(SECRET, "par1")]
    told = tree.servers["par1"].ask(ZONE, "AXFR", PRIMARY, transfer=True, tls=True, key=key)
    return "\n".join(told["answer"]) + "\n"


def _serve(tree: Hierarchy, text: str) -> str:
    """Have par1 serve a file. Out: its own configuration."""
    server = tree.servers["par1"]
    path = server.ground / "etc/nsd/nsd.conf"
    own = path.read_text()
    options = own[: own.index("pattern:")].replace("/var/lib/nsd/", "/var/lib/nsd/altered-")
    server.stop()
    (server.ground / "var/lib/nsd/altered").write_text(text)
    path.write_text(f'{options}zone:\n  name: "{ZONE}"\n  zonefile: "altered"\n')
    server.start()
    wait_answering(server, ZONE)
    return own


def _put_back(tree: Hierarchy, own: str) -> None:
    server = tree.servers["par1"]
    server.stop()
    (server.ground / "etc/nsd/nsd.conf").write_text(own)
    server.start()
    wait_answering(server, ZONE)


CAUGHT_UP = shown("caught-up", "what changed meanwhile is served everywhere afterwards")


def _loss(name: str) -> NameDrill:
    return NameDrill(
        name=f"dns-operator-{SOFTWARE[name].lower()}",
        what=f"one of two operators is lost wholly: {SOFTWARE[name]} killed, nothing from it"
        " arrives, and the zone changes meanwhile",
        repair="it starts again",
        expects="resolvers ask the other operator; nobody notices",
        lost=name,
        play=partial(_lose_operator, name),
        must_hold=(*UNNOTICED, FOUND, CAUGHT_UP),
    )


DRILLS = (
    *map(_loss, SERVICE),
    NameDrill(
        name="dns-primary",
        what="SIGKILL to the hidden primary, for longer than the zone's refresh",
        repair="it starts again",
        expects="name servers answer on with what they have; nobody notices",
        lost="primary",
        play=_lose_primary,
        must_hold=(
            *UNNOTICED,
            shown("outlasted", "name servers asked for the zone in vain, twice"),
            shown("nothing-named", "the comparer finds nothing wrong with what is served"),
            CAUGHT_UP,
        ),
    ),
    NameDrill(
        name="dns-frozen",
        what="the zone is frozen at one operator: its transfers are cut, and the zone changes",
        repair="transfers pass again",
        expects="what it serves is old and still valid; the comparer says which server lags",
        lost="",
        play=_freeze,
        must_hold=(
            *UNNOTICED,
            FOUND,
            shown("nobody-else", "nothing was found about any other server"),
            shown("stands", "the frozen server kept its serial"),
            CAUGHT_UP,
        ),
    ),
    NameDrill(
        name="dns-altered",
        what="one record is altered on one name server, its signature left as it was",
        repair="that server has its own files again",
        expects="to a strict resolver that answer is bogus; others ask another name server",
        lost="par1",
        play=_alter,
        must_hold=(
            QUIET_BEFORE,
            shown("was-there", "the strict resolver called the altered answer bogus"),
            shown("never-taken", "no resolver gave an answer without validation"),
            shown("clients-unharmed", "clients of a resolver as delivered noticed nothing"),
            FOUND,
            shown("named", "the comparer named the record"),
            AFTERWARDS,
        ),
    ),
)
