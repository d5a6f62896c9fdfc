"""What a drill is: how it is staged, what it leaves behind, what must hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loopback_iac.lab.drill.ground import Ground
    from loopback_iac.lab.drill.measure import Fault, RunFigures
    from loopback_iac.lab.drill.witness import BfdSession, Falls, RouteChange, Session


@dataclass(frozen=True)
class Scene:
    """A drill made ready on one fleet: nothing is broken yet, and nothing is left to look up.

    `begin` may leave notes to record. `undo` may be repeated, or follow half a `begin`. What is put
    back `afterwards` is no part of the drill: nothing is judged by then.
    """

    lost: str  # PoP or worker whose answers do not prove recovery; empty when nobody is lost
    begin: Callable[[], object]
    undo: Callable[[], object]
    notes: dict[str, str] = field(default_factory=dict)
    afterwards: Callable[[], object] = lambda: None


@dataclass(frozen=True)
class Evidence:
    """Everything one run left behind."""

    fault: Fault
    pop: str  # the client's
    figures: RunFigures
    sessions: Mapping[str, tuple[Session, ...]]  # by PoP, before the repair began
    bfd: tuple[BfdSession, ...]  # with the client's PoP, before the fault
    changes: tuple[RouteChange, ...]  # from the fault to the end
    falls: Falls  # sessions and workers that fell from before the fault to the end
    route_left_ms: Mapping[int, float | None]  # T0 to when the router sent the prefix elsewhere
    route_back_ms: Mapping[int, float | None]  # begin of the repair to when it sent it back
    served_after_return: Mapping[int, str | None]  # PoP that the last sampled connection names
    notes: Mapping[str, str]


Seen = TypeVar("Seen")


@dataclass(frozen=True)
class Check(Generic[Seen]):
    """One thing that must hold of what was seen: `judge` gives the reason why not, or nothing."""

    name: str
    says: str
    judge: Callable[[Seen], str]


@dataclass(frozen=True)
class Drill:
    """One drill. `expects` is printed beside what was measured, never asserted."""

    name: str
    what: str
    repair: str
    expects: str
    hold_s: float  # from the end of `begin` to the repair
    stage: Callable[[Ground], Scene]
    must_hold: tuple[Check[Evidence], ...]
    long_lines: int = 0  # of each long request; 0: they go on as long as the load
    bound_s: float = 180  # the load ends by itself if the drill's own process dies
