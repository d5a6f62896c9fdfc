"""The drill that breaks nothing: whatever it sees is the witness's fault, or the fleet is not well.

It comes first in the list, so that a witness that is wrong shows itself before others are believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopback_iac.lab.drill.checks import NO_BFD_FALLS, NO_WORKER_FALLS, NONE_FAILS, POP_STAYS
from loopback_iac.lab.drill.drill import Drill, Scene
from loopback_iac.lab.drill.moves import NO_SESSION_RESET, RESET, bgp_sessions, told_reset

if TYPE_CHECKING:
    from loopback_iac.lab.drill.ground import Ground


def _leave_alone(ground: Ground) -> Scene:
    """Nothing is done; what would be told of sessions is told of both ends of a hold."""
    before = bgp_sessions(ground)
    notes = {RESET: "not looked at"}

    def look() -> None:
        notes[RESET] = told_reset(before, bgp_sessions(ground))

    return Scene("", lambda: None, look, notes)


DRILLS = (
    Drill(
        name="nothing",
        what="nothing: the control experiment",
        repair="none",
        expects="nobody notices anything; who sees something here is wrong, and would be elsewhere",
        hold_s=3,
        stage=_leave_alone,
        must_hold=(*POP_STAYS, NONE_FAILS, NO_SESSION_RESET, NO_WORKER_FALLS, NO_BFD_FALLS),
    ),
)
