"""The drill of a PoP that is lost to names: anycast hands its questions to the next one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from loopback_iac.lab.names.anycast import FAR, NEAR
from loopback_iac.lab.names.story import (
    AFTERWARDS,
    FOUND,
    GOES_ON,
    QUIET_BEFORE,
    NameDrill,
    shown,
    verdicts,
)

if TYPE_CHECKING:
    from loopback_iac.dns.served import Report
    from loopback_iac.lab.names.story import Story

PATIENCE_S = 60.0


def _one_is_gone(report: Report) -> bool:
    return verdicts(report) == {NEAR: "unreachable", FAR: "equal"}


def _lose(story: Story) -> None:
    site = story.site
    story.prove("near-answers", "" if site.answers() == NEAR else f"{NEAR} did not answer before")
    story.begin_fault(f"{NEAR} goes dark, and every process of it ends")
    site.power_off(NEAR)
    story.wait(lambda: site.answers() == FAR, PATIENCE_S)
    story.tell(f"{FAR} answers")
    story.prove("next-answers", "" if site.towards() == FAR else "the router has another route")
    story.goes_on()
    story.find(_one_is_gone, site.check)
    story.begin_repair(f"{NEAR} starts again")
    site.light(NEAR, up=True)
    site.start_pop(NEAR)
    story.wait(lambda: site.answers() == NEAR, PATIENCE_S)
    story.tell(f"{NEAR} answers")
    story.prove("near-again")
    story.goes_on()
    counts = story.sums()
    wrong = {kind: counts[kind] for kind in ("insecure", "bogus", "failed") if counts[kind]}
    story.prove("never-wrong", ", ".join(f"{n} {kind}" for kind, n in wrong.items()))


DRILLS = (
    NameDrill(
        name="dns-pop",
        what=f"{NEAR}, which answers the clients at the anycast address, is lost wholly: its link"
        " dark, every process ended",
        repair="its link has light, everything starts",
        expects="the router sends the prefix to the next PoP, which answers for the same zone;"
        " questions under way are lost, and asked again by resolvers",
        lost=NEAR,
        play=_lose,
        must_hold=(
            replace(QUIET_BEFORE, says="before the fault every question was answered"),
            shown("near-answers", f"it was {NEAR} that answered"),
            shown("next-answers", f"{FAR} answers in its place, without anybody's doing"),
            replace(GOES_ON, says="questions are answered while it is away"),
            FOUND,
            shown("never-wrong", "whoever answered, answered with authority"),
            shown("near-again", f"{NEAR} answers again when it has its zones"),
            replace(AFTERWARDS, says="questions are answered afterwards"),
        ),
        of_pops=True,
    ),
)
