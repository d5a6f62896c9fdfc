"""What clients noticed of a fault, computed from the load's records. Pure.

The definitions, in the order in which they are used. T0 is the moment before the fault was begun.
failed      the connection did not end with the answer it asked for
retried     it did, but only after the kernel sent something again: 190 ms or later
hit         failed or retried
slow        it did, later than 25 ms
recovery    from T0 to the answer of the first connection, by due time, that was due after T0, was
            not hit, is not known to have gone through who is lost, and after which none was hit
            until the fault was undone. Where no connection was hit, only one that is proved to
            have gone through another counts; where nobody is lost either, there is nothing to
            recover from
proved      from T0 to the first answer that names another PoP or worker than the lost one (only
            sampled connections name one)
last hit    from T0 to when the last hit connection was due
last slow   from T0 to when the last hit or slow connection was due
hit at end  how many in a row, up to the repair: one alone is no outage, many are
moving      failed, and under way at a moment when the router next to the client changed its route:
            its packets reach a PoP that does not know the connection, which resets it
"""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

SLOW_US = 25_000  # what a person calls instant, and far above a healthy answer over the tunnels
RETRY_US = 190_000  # Linux repeats data after 200 ms at the earliest, a SYN after 1 s
CLOCKS_APART_NS = 50_000_000  # more between two readings of one clock means it was stepped
SURVIVED = "survived"
KEPT = (SURVIVED, "ok")  # long requests: still there at the end of the load, or whole
MOVE_US = 2_000  # from the router's new route to a packet that follows it, and back
LATE_US = 5_000  # above this at the 99th percentile the generator, not the network, is measured


class MeasurementRefusedError(Exception):
    """The records cannot carry the figures that were asked of them; the text says why."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Two clocks of one machine read at once, and the boot they belong to."""

    monotonic_ns: int
    realtime_ns: int
    boot_id: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One connection as recorded. Times in microseconds; the answer's from when it was due."""

    due_us: int
    family: int
    outcome: str
    answer_us: int
    late_us: int
    full: bool
    pop: str | None
    worker: str | None
    client_right: bool | None

    @property
    def failed(self) -> bool:
        """Not the answer it asked for."""
        return self.outcome != "ok"

    @property
    def hit(self) -> bool:
        """Failed, or saved only by a retransmission."""
        return self.failed or self.answer_us >= RETRY_US

    def names(self, who: str) -> bool:
        """Whether the answer says that it came through this PoP or worker."""
        return who in (self.pop, self.worker)

    @property
    def slow(self) -> bool:
        """Answered, but late enough to be felt."""
        return not self.failed and self.answer_us > SLOW_US


@dataclass(frozen=True, slots=True)
class Stream:
    """One long-lived connection as recorded."""

    family: int
    outcome: str
    pop: str | None
    lines: int
    longest_gap_us: int


@dataclass(frozen=True, slots=True)
class Records:
    """Everything one load recorded."""

    clock: Clock  # read at the start of the load, which is time zero of the attempts
    attempts: tuple[Attempt, ...]
    streams: tuple[Stream, ...]
    generator_cpu_s: float


@dataclass(frozen=True, slots=True)
class Fault:
    """When what was broken, on the machine's clock."""

    lost: str  # PoP or worker; empty when nobody is lost
    begun: Clock
    done_ns: int  # the command that broke it had ended
    restored_ns: int  # the command that repairs it was about to start


@dataclass(frozen=True, slots=True)
class Phase:
    """Connections of one stretch of time."""

    attempts: int
    failed: int
    retried: int
    slow: int
    outcomes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class FamilyFigures:
    """What clients of one address family noticed in one run. None: it never happened."""

    before: Phase
    in_flight: Phase  # due before T0, not answered at T0
    during: Phase
    after: Phase  # due after the repair began
    recovery_ms: float | None
    proved_ms: float | None
    last_hit_ms: float | None
    last_slow_ms: float | None
    median_ms_before: float | None
    streams: Mapping[str, int]
    stream_gap_ms: float | None  # longest silence of a long-lived connection that survived
    sampled: int
    wrong_client: int
    failed_moving: int
    failed_unmoved: int  # after T0 and not moving
    hit_at_end: int


@dataclass(frozen=True, slots=True)
class RunFigures:
    """One run, by family, and how well the generator kept its schedule."""

    families: Mapping[int, FamilyFigures]
    late_p99_ms: float
    late_max_ms: float
    punctual: bool


def parse_records(tree: Mapping[str, Any]) -> Records:
    """Read what the load generator printed."""
    clock = tree["clock"]
    return Records(
        clock=Clock(clock["start_monotonic_ns"], clock["start_realtime_ns"], clock["boot_id"]),
        attempts=tuple(
            Attempt(**{k: a[k] for k in Attempt.__dataclass_fields__}) for a in tree["attempts"]
        ),
        streams=tuple(
            Stream(**{k: s[k] for k in Stream.__dataclass_fields__}) for s in tree["streams"]
        ),
        generator_cpu_s=float(tree["generator_cpu_s"]),
    )


def measure_run(records: Records, fault: Fault, moves: Mapping[int, Sequence[int]]) -> RunFigures:
    """Figures of one run.

    In: moves, by family, when the router next to the client changed its route.
    Units: moves in ns of the monotonic clock.
    Raises: MeasurementRefusedError for another machine's or a stepped clock, a fault outside the
    load, and a family that had no traffic before or during the fault.
    """
    _refuse_foreign_clock(records.clock, fault)
    at_us = (fault.begun.monotonic_ns - records.clock.monotonic_ns) // 1000
    undone_us = (fault.restored_ns - records.clock.monotonic_ns) // 1000
    if not at_us < undone_us:
        raise MeasurementRefusedError("the fault was undone before it was begun")
    late = sorted(a.late_us for a in records.attempts)
    if not late:
        raise MeasurementRefusedError("no connection was made: the load generator did not run")
    families = {
        family: _measure_family(
            sorted((a for a in records.attempts if a.family == family), key=lambda a: a.due_us),
            [s for s in records.streams if s.family == family],
            fault.lost,
            (at_us, undone_us),
            [(move - records.clock.monotonic_ns) // 1000 for move in moves.get(family, ())],
        )
        for family in sorted({a.family for a in records.attempts})
    }
    p99 = late[min(len(late) - 1, len(late) * 99 // 100)]
    return RunFigures(families, p99 / 1000, late[-1] / 1000, p99 <= LATE_US)


def _refuse_foreign_clock(load: Clock, fault: Fault) -> None:
    if load.boot_id != fault.begun.boot_id:
        raise MeasurementRefusedError("load and fault were timed on different machines or boots")
    offset = load.realtime_ns - load.monotonic_ns
    apart = abs(offset - (fault.begun.realtime_ns - fault.begun.monotonic_ns))
    if apart > CLOCKS_APART_NS:
        raise MeasurementRefusedError(
            f"the machine's clock was stepped by {apart / 1e6:.0f} ms during the run;"
            " times of route changes would not fit"
        )


def _measure_family(
    attempts: Sequence[Attempt],
    streams: Sequence[Stream],
    lost: str,
    fault_us: tuple[int, int],
    moves_us: Sequence[int],
) -> FamilyFigures:
    at_us, undone_us = fault_us
    before = [a for a in attempts if a.due_us < at_us and a.due_us + a.answer_us <= at_us]
    in_flight = [a for a in attempts if a.due_us < at_us < a.due_us + a.answer_us]
    during = [a for a in attempts if at_us <= a.due_us < undone_us]
    after = [a for a in attempts if a.due_us >= undone_us]
    for name, phase in (("before", before), ("during", during)):
        if not phase:
            family = attempts[0].family
            raise MeasurementRefusedError(f"no IPv{family} connection {name} the fault")
    hits = [a.due_us for a in during if a.hit]
    proofs = [
        a.due_us + a.answer_us
        for a in during
        if not a.failed and a.pop is not None and not a.names(lost)
    ]
    late = [a.due_us for a in during if a.hit or a.slow]
    answered = [a.answer_us for a in before if not a.failed]
    sampled = [a for a in attempts if a.client_right is not None]
    failed = [a for a in (*in_flight, *during, *after) if a.failed]
    moving = sum(_moving(a, moves_us) for a in failed)
    return FamilyFigures(
        before=_phase(before),
        in_flight=_phase(in_flight),
        during=_phase(during),
        after=_phase(after),
        recovery_ms=_recovery_ms(during, lost, at_us),
        proved_ms=(min(proofs) - at_us) / 1000 if proofs else None,
        last_hit_ms=(hits[-1] - at_us) / 1000 if hits else None,
        last_slow_ms=(late[-1] - at_us) / 1000 if late else None,
        median_ms_before=statistics.median(answered) / 1000 if answered else None,
        streams=dict(sorted(Counter(s.outcome for s in streams).items())),
        stream_gap_ms=max(
            (s.longest_gap_us / 1000 for s in streams if s.outcome == SURVIVED), default=None
        ),
        sampled=len(sampled),
        wrong_client=sum(a.client_right is False for a in sampled),
        failed_moving=moving,
        failed_unmoved=len(failed) - moving,
        hit_at_end=len(list(takewhile(lambda a: a.hit, reversed(during)))),
    )


def _moving(attempt: Attempt, moves_us: Iterable[int]) -> bool:
    begun, ended = attempt.due_us - MOVE_US, attempt.due_us + attempt.answer_us + MOVE_US
    return any(begun <= move <= ended for move in moves_us)


def _phase(attempts: Iterable[Attempt]) -> Phase:
    listed = list(attempts)
    return Phase(
        attempts=len(listed),
        failed=sum(a.failed for a in listed),
        retried=sum(a.hit and not a.failed for a in listed),
        slow=sum(a.slow for a in listed),
        outcomes=dict(sorted(Counter(a.outcome for a in listed).items())),
    )


def _recovery_ms(during: Sequence[Attempt], lost: str, at_us: int) -> float | None:
    last_hit = max((n for n, a in enumerate(during) if a.hit), default=-1)
    if last_hit < 0 and not lost:
        return None
    for attempt in during[last_hit + 1 :]:
        unproved = attempt.pop is None and last_hit < 0
        if not attempt.names(lost) and not unproved:
            return (attempt.due_us + attempt.answer_us - at_us) / 1000
    return None


@dataclass(frozen=True, slots=True)
class Spread:
    """Smallest, middle and largest value over the runs, and in how many runs there was none."""

    least: float | None
    median: float | None
    most: float | None
    missing: int


def spread(values: Iterable[float | None]) -> Spread:
    """Out: the spread of what is there."""
    listed = list(values)
    there = sorted(v for v in listed if v is not None)
    if not there:
        return Spread(None, None, None, len(listed))
    return Spread(there[0], statistics.median(there), there[-1], len(listed) - len(there))


# Name of each figure in summaries -> how to read it from one run.
FIGURES: Mapping[str, Callable[[FamilyFigures], float | None]] = {
    "recovery_ms": lambda f: f.recovery_ms,
    "proved_ms": lambda f: f.proved_ms,
    "last_hit_ms": lambda f: f.last_hit_ms,
    "last_slow_ms": lambda f: f.last_slow_ms,
    "failed_during": lambda f: f.during.failed,
    "failed_in_flight": lambda f: f.in_flight.failed,
    "failed_after": lambda f: f.after.failed,
    "failed_moving": lambda f: f.failed_moving,
    "failed_unmoved": lambda f: f.failed_unmoved,
    "retried": lambda f: f.during.retried + f.in_flight.retried,
    "slow": lambda f: f.during.slow,
    "streams_lost": lambda f: sum(n for word, n in f.streams.items() if word not in KEPT),
    "stream_gap_ms": lambda f: f.stream_gap_ms,
    "median_ms_before": lambda f: f.median_ms_before,
}


def summarize_runs(runs: Sequence[RunFigures]) -> dict[int, dict[str, Spread]]:
    """Out: by family, the spread of each of FIGURES over all runs."""
    families = sorted({family for run in runs for family in run.families})
    return {
        family: {
            name: spread(
                read(run.families[family]) if family in run.families else None for run in runs
            )
            for name, read in FIGURES.items()
        }
        for family in families
    }
