"""What a failed connection is put down to, made from a synthetic run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loopback_iac.lab.drill.causes import FLEET, MOVED, PAUSED, failed_by_cause, tell_unexplained
from loopback_iac.lab.drill.metronome import Pause
from loopback_iac.lab.drill.witness import RouteChange
from tests.unit.drill.test_record import EPOCH, START, make_run

MS = 10**6


def run_with(due_ms: int, lasted_ms: int, *, pauses=(), changes=()):
    """One connection over IPv4 that was reset."""
    template = make_run().records.attempts[0]
    attempt = replace(
        template, due_us=due_ms * 1000, family=4, outcome="reset", answer_us=lasted_ms * 1000
    )
    made = make_run()
    return replace(
        made,
        records=replace(made.records, attempts=(attempt,)),
        pauses=tuple(Pause(START + began * MS, lasted * MS, 0) for began, lasted in pauses),
        changes=tuple(RouteChange(EPOCH + at * MS, f, "par1") for at, f in changes),
    )


@pytest.mark.parametrize(
    ("what", "cause"),
    [
        ({}, FLEET),
        ({"pauses": [(2010, 90)]}, PAUSED),
        ({"pauses": [(1000, 90)]}, PAUSED),  # a SYN lost in it came again a second later
        ({"pauses": [(900, 90)]}, FLEET),
        ({"pauses": [(2010, 19)]}, FLEET),  # shorter than a check of a worker
        ({"pauses": [(2031, 90)]}, FLEET),
        ({"changes": [(2015, 4)]}, MOVED),
        ({"changes": [(2031, 4)]}, MOVED),  # packets follow a route a moment later
        ({"changes": [(2015, 6)]}, FLEET),
        ({"changes": [(2033, 4)]}, FLEET),
        ({"changes": [(2015, 4)], "pauses": [(1950, 60)]}, PAUSED),
    ],
)
def test_only_what_was_under_way_in_a_pause_or_a_move_is_put_down_to_it(what, cause):
    run = run_with(2000, 30, **what)
    assert {c: len(found) for c, found in failed_by_cause(run).items() if found} == {cause: 1}
    assert len(list(tell_unexplained(run))) == (cause == FLEET)


def test_what_nothing_explains_is_told_by_the_clock_of_the_hosts_logs():
    (told,) = tell_unexplained(run_with(2000, 30))
    assert told == "22:13:22.000000 IPv4 reset after 30 ms"


def test_who_was_served_has_no_cause():
    run = make_run()
    run = replace(run, records=replace(run.records, attempts=run.records.attempts[:100]))
    assert all(not a.failed for a in run.records.attempts)
    assert not any(failed_by_cause(run).values())
