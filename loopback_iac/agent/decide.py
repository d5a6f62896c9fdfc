"""When a gate opens, is de-preferred, or closes: a pure state machine, one step per look.

Down at once for facts: a dead process, a listener that is gone, a drain. De-preferred, never
withdrawn, when no worker
is reachable. Nothing at all for what is merely unknown: a check that timed out under load says
nothing about health,
and a fleet that withdrew for it would walk an attack from PoP to PoP. Up only after health has
lasted, and only on a
confirmed configuration.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from .asking import TRANSPORTS
from .gates import CLOSED, DEPREFER, OPEN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .listeners import Listener
    from .watchfile import Announcement, Service

_LEVEL = {CLOSED: 0, DEPREFER: 1, OPEN: 2}
_NAME = (CLOSED, DEPREFER, OPEN)
# One look may race a reload; two in a row are a fact.
LOOKS = 2
# Five looks are a second: a machine that stalls fails every check at once, and moving a PoP's
# traffic away for it costs clients more than the second. Connections go to unchecked workers
# meanwhile.
UNREACHED_LOOKS = 5
# With no gate file yet (boot, first apply) nothing was announced: no flow can be disturbed and
# nothing has flapped.
FIRST_HOLD_S = 1.0


class Drain(NamedTuple):
    """A wish to be out of traffic."""

    elapsed_s: float
    seconds: float


class Sight(NamedTuple):
    """What one look saw. `workers` maps a backend to its reachable workers; None when HAProxy gave
    no answer.
    """

    at_s: float
    haproxy: bool
    bird: bool
    missing: frozenset[Listener]
    workers: Mapping[str, int] | None
    confirmed: bool
    drain: Drain | None
    names: Mapping[str, Names] = MappingProxyType({})  # by address


class Names(NamedTuple):
    """What the name server of this host said lately, at one address."""

    running: bool
    zones: int  # in its catalog
    whole: bool  # every one of them was asked for
    wrong: tuple[str, ...]  # not answered for, long enough to be sure
    late: tuple[str, ...]  # not answered for, and may be in a moment
    silent: tuple[str, ...]  # transports over which nothing came for seconds
    busy: bool  # it used the processor meanwhile


class Memory(NamedTuple):
    """What is remembered of one announcement between looks."""

    position: str | None  # None: no gate file yet
    since: tuple[float | None, float | None] = (None, None)  # health of at least deprefer, of open
    gone: int = 0  # looks in a row without a listener
    unreached: int = 0  # looks in a row without any worker


class Decision(NamedTuple):
    """Where the gate shall stand, and why."""

    memory: Memory
    position: str
    reason: str


def decide(
    announcement: Announcement,
    services: Mapping[str, Service],
    memory: Memory,
    sight: Sight,
    hold_s: float,
) -> Decision:
    """One step for one announcement.

    In:  what is remembered and what was just seen; hold_s is how long health has to last before a
         return.
    Out: the new memory, the gate's position and its reason.
    """
    here = _LEVEL[memory.position or CLOSED]
    memory = _count(announcement, services, memory, sight)
    target, reason = _target(announcement, services, memory, sight, here)
    since = tuple(
        (before if before is not None else sight.at_s) if target >= level else None
        for level, before in ((1, memory.since[0]), (2, memory.since[1]))
    )
    hold = FIRST_HOLD_S if memory.position is None else hold_s
    level = min(here, target)
    for reached, start in ((1, since[0]), (2, since[1])):
        if reached > here and sight.confirmed and start is not None and sight.at_s - start >= hold:
            level = reached
    if target > level:
        reason = _waiting(sight, since[target - 1], hold)
    # a first look at an unhealthy host still writes a closed gate: from then on the full hold
    # counts
    first = memory.position is None and level == 0 and target > 0
    position = None if first else _NAME[level]
    kept = memory._replace(position=position, since=(since[0], since[1]))
    return Decision(kept, _NAME[level], reason)


def _waiting(sight: Sight, start: float | None, hold: float) -> str:
    if not sight.confirmed:
        return "the applied configuration is not confirmed"
    left_s = hold - (sight.at_s - (start if start is not None else sight.at_s))
    return f"healthy, returns after {hold:g} s of health" if left_s > 0 else "healthy"


def _count(
    announcement: Announcement, services: Mapping[str, Service], memory: Memory, sight: Sight
) -> Memory:
    gone = memory.gone + 1 if _lacking(announcement, services, sight) else 0
    if sight.workers is None:
        return memory._replace(gone=gone)
    enough = all if announcement.mode == "all" else any
    reached = enough(sight.workers.get(services[name].backend) for name in announcement.services)
    return memory._replace(gone=gone, unreached=0 if reached else memory.unreached + 1)


def _lacking(
    announcement: Announcement, services: Mapping[str, Service], sight: Sight
) -> list[str]:
    return [name for name in announcement.services if set(services[name].listeners) & sight.missing]


def _target(
    announcement: Announcement,
    services: Mapping[str, Service],
    memory: Memory,
    sight: Sight,
    here: int,
) -> tuple[int, str]:
    if not sight.bird:
        return 0, "bird is not running"
    if announcement.services and not sight.haproxy:
        return 0, "haproxy is not running"
    if sight.drain is not None:
        if here and sight.drain.elapsed_s < sight.drain.seconds:
            return min(here, 1), "drained: de-preferred before it is withdrawn"
        return 0, "drained"
    seen = [
        _service_target(name, services[name], memory, sight, here) for name in announcement.services
    ]
    seen += [_names_target(sight.names.get(address), here) for address in announcement.names]
    if not seen:
        return 2, "healthy"
    worst_or_best = min if announcement.mode == "all" else max
    return worst_or_best(seen, key=lambda found: found[0])


def _service_target(
    name: str, service: Service, memory: Memory, sight: Sight, here: int
) -> tuple[int, str]:
    missing = sorted(set(service.listeners) & sight.missing)
    if missing:
        address, port = missing[0]
        level = 0 if memory.gone >= LOOKS else here
        return level, f"{name}: nothing listens on {address} port {port}"
    if sight.workers is None:
        return (
            here,
            f"{name}: haproxy's runtime socket does not answer; nothing is concluded from that",
        )
    if not sight.workers.get(service.backend):
        level = 1 if memory.unreached >= UNREACHED_LOOKS or here < 2 else here
        return level, f"{name}: no worker is reachable"
    return 2, "healthy"


def _names_target(names: Names | None, here: int) -> tuple[int, str]:
    """Closed for a dead, silent or mostly wrong name server; de-preferred for one that is partly
    so. What is wrong at every PoP at once, such as a zone that expired, de-prefers all of them,
    which moves nothing; closing all would end the zones that are well.
    """
    if names is None or not names.running:
        return 0, "the name server is not running"
    if len(names.silent) == len(TRANSPORTS):
        return (
            (min(here, 1), "the name server is busy, and answers nothing for seconds")
            if names.busy
            else (0, "the name server answers nothing")
        )
    if not names.zones:
        return 0, "the name server has no zones yet"
    if not names.whole:
        return here, "the name server is being asked"
    return _answers_target(names, here)


def _answers_target(names: Names, here: int) -> tuple[int, str]:
    """By what it answers: a PoP that is to come back waits for every zone, another for none."""
    failing = len(names.wrong) + (len(names.late) if here < 2 else 0)
    if failing:
        shown = ", ".join([*names.wrong, *names.late][:3])
        level = 0 if 2 * failing > names.zones else 1
        return level, f"{failing} of {names.zones} zones are not answered for: {shown}"
    if names.silent:
        return 1, f"the name server is silent over {names.silent[0]}"
    return 2, "healthy"
