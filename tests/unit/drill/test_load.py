"""The load generator against real sockets: it must tell what a client saw, and keep its pace."""

from __future__ import annotations

import fcntl
import json
import struct
import subprocess
import sys
import termios
import time
from collections import Counter

import pytest

from loopback_iac.lab.drill.load import parse_plan

GOOD, CLOSES, RESETS, NOT_TLS, UNTRUSTED, LIES, MUTE, WRONG_PORT, NOBODY = range(443, 452)


def outcomes(records: dict) -> Counter:
    return Counter(a["outcome"] for a in records["attempts"])


def test_every_connection_due_is_made_and_answered(wire):
    records = wire.load(rate=200, seconds=1)
    attempts = records["attempts"]
    assert outcomes(records) == {"ok": 200}
    assert [a["due_us"] for a in attempts] == [5000 * n for n in range(200)]
    assert Counter(a["family"] for a in attempts) == {4: 100, 6: 100}
    sampled = [a for a in attempts if a["full"]]
    assert Counter(a["family"] for a in sampled) == {4: 20, 6: 20}
    assert {(a["pop"], a["worker"], a["client_right"]) for a in sampled} == {("fra1", "w1", True)}
    assert all(a["pop"] is None for a in attempts if not a["full"])
    assert all(0 <= a["late_us"] <= a["connect_us"] <= a["answer_us"] for a in attempts)


@pytest.mark.parametrize(
    ("port", "greeted", "exchanged"),
    [
        (NOBODY, "refused", "refused"),
        (CLOSES, "closed", "closed"),
        (RESETS, "reset", "reset"),
        (NOT_TLS, "tls", "tls"),
        (MUTE, "timeout", "timeout"),
        (UNTRUSTED, "ok", "untrusted"),
    ],
)
def test_each_way_to_fail_has_its_own_word(wire, port, greeted, exchanged):
    patience = {"timeout_ms": 500} if port == MUTE else {}
    attempts = wire.load(port=port, seconds=0.3, **patience)["attempts"]
    words = {full: {a["outcome"] for a in attempts if a["full"] is full} for full in (True, False)}
    if port == RESETS:  # the cut may meet the connection before or after our hello
        assert words[False] | words[True] <= {"reset", "closed"}
        assert greeted in words[False] | words[True]
    else:
        assert words == {False: {greeted}, True: {exchanged}}


def test_an_address_without_a_route_is_unreachable(wire):
    records = wire.load(targets=[[4, "192.0.2.77"], [6, "2001:db8:dead::1"]], seconds=0.2)
    assert outcomes(records) == {"unreachable": 20}


@pytest.mark.parametrize("port", [LIES, WRONG_PORT])
def test_a_worker_that_saw_another_client_is_found(wire, port):
    attempts = wire.load(port=port, seconds=0.2)["attempts"]
    assert {a["client_right"] for a in attempts if a["full"]} == {False}


def test_silence_neither_slows_the_schedule_nor_hides_failures(wire, blackhole):
    patience_us = 5_000_000
    running = wire.start_load(streams=2, seconds=60, timeout_ms=patience_us // 1000)
    running.stdout.readline()
    wire.load(sample_every=1)  # whoever asked when this began has had its turn before this ended
    at = blackhole()
    wire.wait(wire.silenced, 400)  # an attempt knocks again after 1 and 3 s, and has no more time
    running.terminate()
    out, _ = running.communicate(timeout=60)
    records = json.loads(out)
    attempts = records["attempts"]
    fault_us = (at - records["clock"]["start_monotonic_ns"]) // 1000
    assert [a["due_us"] for a in attempts] == [10_000 * n for n in range(len(attempts))]
    after = [a for a in attempts if a["due_us"] > fault_us]
    assert len(after) > 100
    assert {a["outcome"] for a in after} == {"timeout"}
    # who was under way then may have lost its answer
    assert outcomes(records).keys() == {"ok", "timeout"}
    lost = [a for a in attempts if a["outcome"] == "timeout"]
    assert min(a["answer_us"] for a in lost) >= patience_us
    # nothing waited for an answer: when one is given up, all that was due has begun
    ends = [(a["due_us"] + patience_us, a["due_us"] + a["answer_us"]) for a in lost]
    began = [(a["due_us"], a["due_us"] + a["late_us"]) for a in attempts]
    assert all(at <= end for over, end in ends for due, at in began if due <= over)
    assert [s["outcome"] for s in records["streams"]] == ["silent"] * 4


def test_a_load_can_be_ended_early_and_keeps_its_records(wire):
    running = wire.start_load(seconds=60)
    running.stdout.readline()
    wire.wait(wire.opened, 20)
    running.terminate()
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 0
    attempts = json.loads(out)["attempts"]
    assert 20 <= len(attempts) < 6000
    assert {a["outcome"] for a in attempts} == {"ok"}


def test_records_that_are_being_read_are_not_cut_by_a_late_end(wire, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    running = wire.start_load(port=NOBODY, rate=5000, seconds=0.3)
    running.stdout.readline()
    written = 0
    while written < 65536:  # what a pipe holds: the rest waits for its reader
        assert running.poll() is None
        time.sleep(0.01)
        held = fcntl.ioctl(running.stdout, termios.FIONREAD, bytes(4))
        (written,) = struct.unpack("i", held)
    running.terminate()
    out, _ = running.communicate(timeout=30)
    assert running.returncode == 0
    assert len(json.loads(out)["attempts"]) == 1500


def test_streams_that_live_to_the_end_survived(wire):
    def live(streams):
        found = [s["outcome"] for s in streams if s["lines"] >= 5 and s["client_right"]]
        return found == ["survived"] * 6

    wire.find(live, streams=3, seconds=1)


def test_long_requests_end_whole_and_the_next_ones_follow(wire):
    def follow(streams):
        found = Counter((s["outcome"], s["worker"]) for s in streams)
        return found["ok", "w1"] >= 4 and {word for word, _ in found} == {"ok", "survived"}

    wire.find(follow, streams=2, seconds=1.5, long_lines=4)


def test_a_long_request_that_is_cut_short_says_so(wire):
    def cut(streams):
        found = [s["outcome"] for s in streams]
        return found.count("closed") >= 2 and set(found) <= {"closed", "survived"}

    wire.find(cut, streams=1, seconds=1, long_lines=4, port=WRONG_PORT)


def test_a_stream_that_never_spoke_is_silent_however_short_the_load(wire, blackhole):
    blackhole()
    records = wire.load(streams=1, seconds=0.2, timeout_ms=200)
    assert [s["outcome"] for s in records["streams"]] == ["silent"] * 2


def test_streams_that_are_reset_say_so(wire):
    records = wire.load(streams=1, seconds=0.3, port=RESETS)
    assert {s["outcome"] for s in records["streams"]} <= {"reset", "closed"}


@pytest.mark.parametrize(
    ("field", "value"),
    [("rate", 0), ("rate", 100_000), ("seconds", 9999), ("sample_every", 0), ("targets", [])],
)
def test_a_plan_out_of_bounds_is_refused_by_name(wire, field, value):
    tree = json.loads(wire.plan())
    with pytest.raises(ValueError, match=field):
        parse_plan(tree | {field: value})


def test_the_generator_is_bounded_even_when_nobody_reads_its_plan(wire):
    done = subprocess.run(
        [sys.executable, "-m", "loopback_iac.lab.drill.load"],
        input="{}",
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.returncode != 0
    assert "targets" in done.stderr
