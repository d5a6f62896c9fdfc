"""Figures from synthetic records, the nasty ones first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopback_iac.lab.drill.measure import (
    RETRY_US,
    Attempt,
    Clock,
    Fault,
    MeasurementRefusedError,
    Records,
    Stream,
    measure_run,
    parse_records,
    spread,
    summarize_runs,
)

if TYPE_CHECKING:
    import random

BOOT = "b0"
START = 10**15
EPOCH = 17 * 10**17
T0, UNDONE = 1_000_000, 3_000_000  # microseconds after the start


def attempt(due_us, outcome="ok", answer_us=1000, family=4, pop=None, **more) -> Attempt:
    return Attempt(
        due_us, family, outcome, answer_us, more.get("late_us", 50), pop is not None, pop,
        "w1" if pop else None, more.get("client_right", True if pop else None),
    )  # fmt: skip


def records(attempts, streams=(), clock=None) -> Records:
    return Records(clock or Clock(START, EPOCH, BOOT), tuple(attempts), tuple(streams), 0.1)


def at(us: int) -> Clock:
    return Clock(START + us * 1000, EPOCH + us * 1000, BOOT)


FAULT = Fault("fra1", at(T0), START + (T0 + 9000) * 1000, START + UNDONE * 1000)


def healthy(start=0, end=4_000_000, step=10_000, **more):
    return [attempt(due, **more) for due in range(start, end, step)]


def outage(until_us: int, outcome="timeout"):
    """fra1 until T0, then failures until `until_us`, then par1; every tenth is sampled."""
    made = []
    for n, due in enumerate(range(0, 4_000_000, 10_000)):
        sampled = n % 10 == 0
        if due < T0 or due >= UNDONE:
            made.append(attempt(due, pop="fra1" if sampled else None))
        elif due < until_us:
            made.append(attempt(due, outcome, 3_000_000))
        else:
            made.append(attempt(due, pop="par1" if sampled else None))
    return made


def figures(attempts, **more):
    return measure_run(records(attempts, **more), FAULT, {}).families[4]


def test_an_outage_is_measured_to_the_first_answer_after_the_last_failure():
    seen = figures(outage(1_140_000))
    assert seen.recovery_ms == 141.0  # due 140 ms after T0, answered 1 ms later
    assert seen.last_hit_ms == 130.0
    assert seen.proved_ms == 201.0  # the next sampled one
    assert (seen.during.attempts, seen.during.failed) == (200, 14)
    assert seen.before.failed == seen.after.failed == 0
    assert seen.median_ms_before == 1.0


def test_a_single_late_failure_moves_recovery_behind_it():
    attempts = outage(1_140_000)
    attempts[250] = attempt(2_500_000, "reset")
    assert figures(attempts).recovery_ms == 1511.0
    assert figures(attempts).last_hit_ms == 1500.0


def test_a_retransmitted_syn_is_a_hit_but_no_failure():
    attempts = [
        replace(a, answer_us=1_030_000) if T0 <= a.due_us < 1_140_000 else a for a in outage(T0)
    ]
    seen = figures(attempts)
    assert (seen.during.failed, seen.during.retried, seen.during.slow) == (0, 14, 14)
    assert seen.recovery_ms == 141.0


def test_answers_through_the_lost_pop_prove_nothing():
    attempts = [attempt(due, pop="fra1") for due in range(0, 4_000_000, 10_000)]
    seen = figures(attempts)
    assert seen.recovery_ms is None
    assert seen.proved_ms is None


def test_without_a_hit_only_a_proof_counts():
    unproved = [replace(a, pop=None) for a in outage(T0)]
    assert figures(unproved).recovery_ms is None
    seen = figures(outage(T0))
    assert seen.recovery_ms == seen.proved_ms == 1.0


def test_everything_failing_has_no_recovery():
    seen = figures(outage(UNDONE))
    assert seen.recovery_ms is None
    assert seen.proved_ms is None
    assert seen.during.failed == seen.during.attempts == 200


def test_connections_in_flight_at_the_fault_are_counted_apart():
    attempts = outage(T0)
    attempts[99] = attempt(990_000, "reset", 210_000)
    seen = figures(attempts)
    assert (seen.in_flight.attempts, seen.in_flight.failed) == (1, 1)
    assert seen.before.attempts == 99
    assert seen.during.failed == 0


def test_failures_of_the_return_are_not_failures_of_the_fault():
    attempts = outage(1_140_000)
    attempts[310] = attempt(3_100_000, "reset")
    seen = figures(attempts)
    assert (seen.during.failed, seen.after.failed) == (14, 1)
    assert seen.recovery_ms == 141.0


def test_no_traffic_is_refused():
    with pytest.raises(MeasurementRefusedError, match="did not run"):
        measure_run(records([]), FAULT, {})
    with pytest.raises(MeasurementRefusedError, match="no IPv4 connection during"):
        measure_run(records(healthy(end=900_000)), FAULT, {})
    with pytest.raises(MeasurementRefusedError, match="no IPv6 connection before"):
        measure_run(records(healthy() + healthy(start=1_500_000, family=6)), FAULT, {})


def test_a_foreign_or_stepped_clock_is_refused():
    load = healthy()
    with pytest.raises(MeasurementRefusedError, match="different machines"):
        measure_run(records(load, clock=Clock(START, EPOCH, "b1")), FAULT, {})
    with pytest.raises(MeasurementRefusedError, match="stepped by 60 ms"):
        measure_run(records(load, clock=Clock(START, EPOCH + 60_000_000, BOOT)), FAULT, {})


def test_a_repair_before_the_fault_is_refused():
    with pytest.raises(MeasurementRefusedError, match="undone before"):
        measure_run(records(healthy()), replace(FAULT, restored_ns=START), {})


def test_a_generator_that_fell_behind_says_so():
    punctual = measure_run(records(outage(T0)), FAULT, {})
    assert punctual.punctual
    late = measure_run(records([replace(a, late_us=40_000) for a in outage(T0)]), FAULT, {})
    assert not late.punctual
    assert late.late_p99_ms == 40.0


def test_streams_and_client_addresses_are_counted():
    attempts = outage(T0)
    attempts[0] = attempt(0, pop="fra1", client_right=False)
    lives = [Stream(4, "survived", "fra1", 9, 250_000), Stream(4, "reset", "fra1", 9, 900_000)]
    seen = figures(attempts, streams=[*lives, Stream(6, "silent", "fra1", 0, 0)])
    assert seen.streams == {"reset": 1, "survived": 1}
    assert seen.stream_gap_ms == 250.0
    assert figures(attempts).stream_gap_ms is None
    assert (seen.sampled, seen.wrong_client) == (40, 1)


def test_only_what_was_under_way_as_the_route_moved_is_excused():
    attempts = healthy()
    for due, took in ((1_500_000, 3_000), (1_510_000, 3_000), (1_480_000, 3_000_000)):
        attempts[due // 10_000] = attempt(due, "reset", took)
    move = START + 1_504_500_000  # 1.5 ms after the first of them was reset
    seen = measure_run(records(attempts), FAULT, {4: [move]}).families[4]
    assert (seen.failed_moving, seen.failed_unmoved) == (2, 1)
    assert measure_run(records(attempts), FAULT, {6: [move]}).families[4].failed_unmoved == 3


def test_families_are_measured_apart():
    six = [replace(a, family=6) for a in outage(1_500_000)]
    seen = measure_run(records(outage(1_140_000) + six), FAULT, {}).families
    assert (seen[4].recovery_ms, seen[6].recovery_ms) == (141.0, 501.0)


def test_a_summary_keeps_what_is_missing():
    runs = [measure_run(records(outage(us)), FAULT, {}) for us in (1_100_000, 1_200_000, UNDONE)]
    found = summarize_runs(runs)[4]["recovery_ms"]
    assert (found.least, found.median, found.most, found.missing) == (101.0, 151.0, 201.0, 1)
    assert spread([None]).median is None


def test_what_the_generator_prints_is_understood(wire):
    seen = parse_records(wire.load(seconds=0.2, streams=1))
    assert len(seen.attempts) == 20
    assert len(seen.streams) == 2
    assert {a.outcome for a in seen.attempts} == {"ok"}


many = st.lists(
    st.builds(
        attempt,
        due_us=st.integers(0, 4_000_000),
        outcome=st.sampled_from(["ok", "ok", "ok", "reset", "timeout"]),
        answer_us=st.sampled_from([500, 30_000, RETRY_US, 1_030_000]),
        pop=st.sampled_from([None, "fra1", "par1"]),
    ),
    max_size=40,
).map(lambda made: [attempt(0), *made, attempt(T0)])


@given(many, st.randoms(use_true_random=False))
def test_every_connection_is_counted_once_in_whatever_order_it_comes(made, order: random.Random):
    seen = figures(made)
    phases = (seen.before, seen.in_flight, seen.during, seen.after)
    assert sum(p.attempts for p in phases) == len(made)
    assert sum(p.failed for p in phases) == sum(a.failed for a in made)
    unique = list({a.due_us: a for a in reversed(made)}.values())  # the first of each moment
    mixed = order.sample(unique, len(unique))
    assert figures(mixed) == figures(unique)


@given(many)
def test_nothing_is_hit_after_recovery(made):
    seen = figures(made)
    if seen.recovery_ms is not None and seen.last_hit_ms is not None:
        assert seen.recovery_ms >= seen.last_hit_ms
    if seen.recovery_ms is None:
        clean = [a for a in made if T0 <= a.due_us < UNDONE and not a.hit and a.pop == "par1"]
        last_hit = max((a.due_us for a in made if T0 <= a.due_us < UNDONE and a.hit), default=-1)
        assert not [a for a in clean if a.due_us > last_hit]
