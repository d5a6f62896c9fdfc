"""Failed connections of a run, by what was going on when they were under way.

A connection is put down to the machine only when it was under way while a core stood still, within
a second of that (what was cut then is tried again after one second), or as the router next to the
client changed its route. Everything else is the fleet's.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from loopback_iac.lab.drill.measure import MOVE_US

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopback_iac.lab.drill.measure import Attempt
    from loopback_iac.lab.drill.runner import Run

FELT_NS, ECHO_NS = 20_000_000, 1_000_000_000  # a check of a worker; a SYN that is sent again
PAUSED, MOVED, FLEET = "this machine was paused", "a route moved", "neither"


def name_cause(run: Run, attempt: Attempt) -> str:
    """What was going on while a connection was under way: one of the three."""
    clock = run.records.clock
    due_ns = clock.monotonic_ns + attempt.due_us * 1000
    end_ns = due_ns + attempt.answer_us * 1000
    if any(
        p.lasted_ns >= FELT_NS
        and p.began_ns <= end_ns
        and due_ns <= p.began_ns + p.lasted_ns + ECHO_NS
        for p in run.pauses
    ):
        return PAUSED
    step_ns, near_ns = clock.realtime_ns - clock.monotonic_ns, MOVE_US * 1000
    moves = [c.realtime_ns - step_ns for c in run.changes if c.family == attempt.family]
    moved = any(due_ns - near_ns <= move <= end_ns + near_ns for move in moves)
    return MOVED if moved else FLEET


def failed_by_cause(run: Run) -> dict[str, list[Attempt]]:
    """Every failed connection, under its cause; each cause is there."""
    found: dict[str, list[Attempt]] = {PAUSED: [], MOVED: [], FLEET: []}
    for attempt in run.records.attempts:
        if attempt.failed:
            found[name_cause(run, attempt)].append(attempt)
    return found


def count_outcomes(attempts: list[Attempt]) -> str:
    """How they ended, as a line."""
    counted = Counter(a.outcome for a in attempts)
    return ", ".join(f"{count} {word}" for word, count in sorted(counted.items())) or "none"


def tell_unexplained(run: Run) -> Iterator[str]:
    """A line for each connection whose failure is the fleet's, on the clock of its hosts' logs."""
    start_s = run.records.clock.realtime_ns / 1e9
    for a in failed_by_cause(run)[FLEET]:
        at = datetime.fromtimestamp(start_s + a.due_us / 1e6, UTC)
        yield f"{at:%H:%M:%S.%f} IPv{a.family} {a.outcome} after {a.answer_us / 1000:.0f} ms"
