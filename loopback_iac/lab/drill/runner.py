"""Runs a drill: sees that the fleet is whole, breaks it under load, repairs it, measures."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from loopback_iac.lab.drill.drill import Evidence
from loopback_iac.lab.drill.ground import FAMILIES, PREFIXES, LoadProcess, Pace, read_clock
from loopback_iac.lab.drill.measure import Fault, measure_run
from loopback_iac.lab.drill.metronome import Metronome, spoiling
from loopback_iac.lab.drill.witness import RouteWatch, count_falls, route_at
from loopback_iac.lab.paths import LabError
from loopback_iac.lab.topology import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from loopback_iac.lab.drill.drill import Drill, Scene
    from loopback_iac.lab.drill.ground import Ground
    from loopback_iac.lab.drill.measure import Records
    from loopback_iac.lab.drill.metronome import Pause
    from loopback_iac.lab.drill.witness import RouteChange

    Say = Callable[[str], None]

INTERRUPTS = (signal.SIGINT, signal.SIGTERM)
BEFORE_S = 1.5  # load before the fault, so that there is something to compare with
AFTER_S = 1.0  # load after the PoP came back, longer than BFD's detection time
RETURN_DEADLINE_S = 60.0
READY_DEADLINE_S = 60.0
SLOW_BFD_S = 1.0  # RFC 5880 section 6.8.3: what a session that is not up sends at, or slower
SET_ASIDE = 6  # per run; a machine that pauses more often cannot be measured on
CHECKED = Pace(rate=20, sample_every=1, streams=0, timeout_ms=2000)


class NotReadyError(LabError):
    """The fleet is not whole, so a drill would measure something else."""


class MovedError(LabError):
    """The PoP lost its clients by itself before the fault: there was nothing to break."""


@dataclass(frozen=True)
class Run:
    """One run of a drill with everything it recorded."""

    evidence: Evidence
    records: Records
    changes: tuple[RouteChange, ...]
    load_average: tuple[float, float, float]
    pauses: tuple[Pause, ...]  # of the machine itself, not of the fleet

    @property
    def spoiled(self) -> str:
        """Why this run says nothing about the fleet, or nothing."""
        return spoiling(self.pauses)


@dataclass(frozen=True)
class Aside:
    """A run that is not judged: what broke it was not the drill."""

    why: str
    run: Run | None  # None: nothing had been broken yet


@dataclass(frozen=True)
class Rehearsal:
    """The runs of a drill, and those that were set aside and repeated."""

    runs: tuple[Run, ...]
    aside: tuple[Aside, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """Whether one thing that must hold did, in every run."""

    name: str
    says: str
    broken: Mapping[int, str] = field(default_factory=dict)  # run number -> why not

    @property
    def held(self) -> bool:
        """In every run."""
        return not self.broken


def rehearse(
    ground: Ground,
    drill: Drill,
    pace: Pace,
    runs: int,
    say: Say,
    *,
    ready: Callable[[Ground], None] | None = None,
) -> Rehearsal:
    """Run a drill several times; whatever happens, the fault is undone.

    A run in which the machine was paused, or in which clients were moved before anything was
    broken, is set aside and repeated, whatever came out of it.

    In: ready, what to wait for before a run; `await_ready` unless told otherwise.
    Raises: NotReadyError when the fleet is not whole before a run; LabError when something of the
    lab fails or too many runs were set aside; MeasurementRefusedError when the records cannot
    carry figures.
    """
    done: list[Run] = []
    aside: list[Aside] = []
    while len(done) < runs:
        count = f"run {len(done) + 1} of {runs}"
        say(f"{count}: waiting until the fleet is whole")
        (ready or await_ready)(ground)
        say(f"{count}: {drill.what}")
        try:
            run = run_once(ground, drill, pace)
        except MovedError as moved:
            aside.append(Aside(str(moved), None))
        else:
            if run.spoiled:
                aside.append(Aside(run.spoiled, run))
            else:
                done.append(run)
        if len(aside) > SET_ASIDE * runs:
            said = "\n  - ".join(a.why for a in aside)
            raise LabError(f"{len(aside)} runs had to be set aside:\n  - {said}")
    return Rehearsal(tuple(done), tuple(aside))


def judge_runs(drill: Drill, runs: Sequence[Run]) -> tuple[Verdict, ...]:
    """Out: every check of the drill with the runs in which it did not hold."""
    return tuple(
        Verdict(
            check.name,
            check.says,
            {
                number: why
                for number, run in enumerate(runs, 1)
                if (why := check.judge(run.evidence))
            },
        )
        for check in drill.must_hold
    )


def await_ready(ground: Ground, deadline_s: float = READY_DEADLINE_S) -> None:
    """Wait until every session stands and the client is served by its PoP.

    Raises: NotReadyError with everything that is missing.
    """
    deadline = time.monotonic() + deadline_s
    while missing := _missing(ground):
        if time.monotonic() > deadline:
            wanted, lab = "\n  - ".join(missing), ground.lab.paths.name
            raise NotReadyError(
                f"the fleet is not whole, so nothing was broken:\n  - {wanted}\n"
                f"  fix: deploy stacks/edge to lab {lab!r} and undo earlier faults"
            )
        time.sleep(0.5)


def _missing(ground: Ground) -> list[str]:
    """What the fleet lacks at any client: the next PoP must be ready too, before one is lost."""
    clients = ground.lab.topology.having(Role.CLIENT)
    found = [gap for client in clients for gap in _unled(replace(ground, client=client.name))]
    found += [
        f"{pop.name}: HAProxy has a worker DOWN"
        for pop in ground.lab.topology.having(Role.POP)
        if ",DOWN" in ground.haproxy(pop.name)
    ]
    return found or _unserved(ground)


def _unled(ground: Ground) -> list[str]:
    """A PoP that has just come back may still ask for less preference than the far one."""
    found = [
        f"{ground.upstream}: session with {pop} over IPv{family} is not established"
        for pop, sessions in ground.sessions().items()
        for family in FAMILIES
        if not any(s.established and s.family == family for s in sessions)
    ]
    found += _unwatched(ground)
    for family in FAMILIES:
        towards = ground.route_towards(family)
        if towards != ground.pop:
            found.append(f"{ground.upstream} routes IPv{family} to {towards}, not to {ground.pop}")
    return found


def _unwatched(ground: Ground) -> list[str]:
    """A BGP session stands some time before its BFD session runs at full speed."""
    found = []
    for pop, sessions in ground.sessions().items():
        bfd = {s.neighbor: s for s in ground.bfd(pop)}
        for session in sessions:
            seen = bfd.get(session.neighbor)
            if seen is None or not seen.up or seen.interval_s >= SLOW_BFD_S:
                found.append(f"{ground.upstream}: no quick BFD with {pop} over IPv{session.family}")
    return found


def _unserved(ground: Ground) -> list[str]:
    with LoadProcess(ground, CHECKED, 0.6) as load:
        attempts = load.wait().attempts
    found = [f"{ground.client}: IPv{a.family} {a.outcome}" for a in attempts if a.failed]
    found += [
        f"{ground.client}: IPv{a.family} is served by {a.pop}, not by {ground.pop}"
        for a in attempts
        if not a.failed and a.pop != ground.pop
    ]
    found += [
        f"worker {a.worker}: saw another client's address over IPv{a.family}"
        for a in attempts
        if a.client_right is False
    ]
    return list(dict.fromkeys(found))


def run_once(ground: Ground, drill: Drill, pace: Pace) -> Run:
    """One run on a fleet that is whole.

    Raises: MovedError before anything was broken; otherwise as `rehearse`.
    """
    scene = drill.stage(ground)
    try:
        return _play(ground, drill, scene, pace)
    finally:
        with _uninterrupted():
            scene.afterwards()


def _play(ground: Ground, drill: Drill, scene: Scene, pace: Pace) -> Run:
    pop = ground.pop
    bfd, standing = tuple(ground.bfd(pop)), ground.standing()
    watch = RouteWatch(ground.lab.paths.namespace_path(ground.upstream), PREFIXES)
    metronome, asked = Metronome(), replace(pace, long_lines=drill.long_lines)
    with metronome, watch, LoadProcess(ground, asked, drill.bound_s) as load:
        time.sleep(BEFORE_S)
        _check_unmoved(ground)
        begun = read_clock()
        try:
            scene.begin()
            done_ns = time.monotonic_ns()
            time.sleep(drill.hold_s)
            sessions = {name: tuple(found) for name, found in ground.sessions().items()}
        finally:
            # also when interrupted, and when only half of the fault was made
            restored_ns = time.monotonic_ns()
            with _uninterrupted():
                scene.undo()
        _await_return(ground)
        average = os.getloadavg()
        falls = count_falls(standing, ground.standing())
        records = load.finish()
        time.sleep(0.1)  # the monitor prints a change a moment after it happened
    fault = Fault(scene.lost, begun, done_ns, restored_ns)
    step_ns = begun.realtime_ns - begun.monotonic_ns
    changes = tuple(c for c in watch.changes if c.realtime_ns >= begun.realtime_ns)
    evidence = Evidence(
        fault=fault,
        pop=pop,
        figures=measure_run(records, fault, _moves(changes, step_ns)),
        sessions=sessions,
        bfd=bfd,
        changes=changes,
        falls=falls,
        route_left_ms=_first_ms(
            changes, begun.realtime_ns, restored_ns + step_ns, lambda to: to not in (None, pop)
        ),
        route_back_ms=_back_ms(changes, restored_ns + step_ns, pop),
        served_after_return=_served_last(records),
        notes=scene.notes,
    )
    return Run(evidence, records, watch.changes, average, metronome.pauses)


def _moves(changes: Sequence[RouteChange], step_ns: int) -> dict[int, list[int]]:
    """By family, when the router's route changed, on the monotonic clock."""
    return {f: [c.realtime_ns - step_ns for c in changes if c.family == f] for f in FAMILIES}


def _check_unmoved(ground: Ground) -> None:
    moved = {f: to for f in FAMILIES if (to := ground.route_towards(f)) != ground.pop}
    if moved:
        said = ", ".join(f"IPv{family} to {to}" for family, to in moved.items())
        raise MovedError(f"before the fault {ground.upstream} already routed {said}")


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """A second Ctrl-C must not leave the fault in force."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.signal(number, signal.SIG_IGN) for number in INTERRUPTS}
    try:
        yield
    finally:
        for number, act in kept.items():
            signal.signal(number, act)


def _await_return(ground: Ground) -> None:
    """Until the PoP leads its clients, and still does after `AFTER_S` of load.

    A BIRD that goes on after BFD gave it up has sessions whose other end knows them no longer: it
    may come back, fall once more, and only then stay.
    """
    deadline = time.monotonic() + RETURN_DEADLINE_S
    led = False
    while not led and time.monotonic() < deadline:
        while _unled(ground) and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(AFTER_S)
        led = not _unled(ground)


def _first_ms(
    changes: Sequence[RouteChange], since_ns: int, until_ns: int, fits: Callable[[str | None], bool]
) -> dict[int, float | None]:
    found: dict[int, float | None] = {}
    for family in FAMILIES:
        times = [
            c.realtime_ns
            for c in changes
            if c.family == family and since_ns <= c.realtime_ns < until_ns and fits(c.towards)
        ]
        found[family] = round((times[0] - since_ns) / 1e6, 3) if times else None
    return found


def _back_ms(changes: Sequence[RouteChange], repaired_ns: int, pop: str) -> dict[int, float | None]:
    """A PoP that repairs itself may be back before the repair: then at 0 ms."""
    found = _first_ms(changes, repaired_ns, time.time_ns(), lambda to: to == pop)
    for family in FAMILIES:
        last = route_at(changes, family, repaired_ns)
        if last is not None and last.towards == pop:
            found[family] = 0.0
    return found


def _served_last(records: Records) -> dict[int, str | None]:
    return {
        family: next(
            (
                a.pop
                for a in reversed(records.attempts)
                if a.family == family and a.full and not a.failed
            ),
            None,
        )
        for family in FAMILIES
    }
