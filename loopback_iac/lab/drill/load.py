"""Open-loop load: new TLS connections at a fixed rate, each timed from the moment it was due.

A slow answer never delays the next connection, so an outage is met by as many attempts as the same
time of service (no coordinated omission). Runs as `python -m loopback_iac.lab.drill.load` inside a
client's network namespace. stdin: the plan as JSON. stdout: one line when the load starts, one line
with every record when it has ended. SIGTERM ends it early, with its records.

Clients have machines of their own, so while it runs it comes before everything that is not of a
real-time priority: a generator that waits for the fleet's processors measures these.

Its own limit, measured against a local TLS server on two shared cores with one full exchange in
five: 500 connections a second cost 0.18 of a core, 1500 cost 0.43; 99 of 100 connections began
within 1.1 ms of when they were due. Above that the far end, not the generator, gave up first.
"""

from __future__ import annotations

import gc
import ipaddress
import json
import os
import resource
import select
import signal
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopback_iac.lab.drill.exchange import (
    Attempt,
    BadAnswerError,
    exchange,
    follow,
    greet,
    make_door,
    outcome_of,
)

if TYPE_CHECKING:
    from loopback_iac.lab.drill.exchange import Steps

MAX_RATE, MAX_SECONDS = 5000, 600  # bounds of what one run may ask of a shared machine
SILENT_NS = 1_000_000_000  # a stream that sends every 100 ms and is quiet this long is dead
HEAD_START_NS = 20_000_000  # the first connection is due this long after everything was prepared


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do to whom; `parse_plan` makes it."""

    targets: tuple[tuple[int, str], ...]  # (family 4 or 6, address)
    port: int
    server_name: str
    ca_pem: str
    rate: int
    seconds: float
    sample_every: int  # one in so many connections is a full, verified exchange
    streams: int  # long-lived connections per family
    timeout_ms: int
    long_lines: int = 0  # a stream asks for so many lines, and the next follows; 0: without end


def parse_plan(tree: dict[str, Any]) -> Plan:
    """Check a plan that came as JSON.

    Raises: ValueError naming the field, what it was and what is possible.
    """
    plan = Plan(
        targets=tuple((int(f), str(ipaddress.ip_address(a))) for f, a in tree["targets"]),
        port=int(tree["port"]),
        server_name=str(tree["server_name"]),
        ca_pem=str(tree["ca_pem"]),
        rate=int(tree["rate"]),
        seconds=float(tree["seconds"]),
        sample_every=int(tree["sample_every"]),
        streams=int(tree["streams"]),
        timeout_ms=int(tree["timeout_ms"]),
        long_lines=int(tree.get("long_lines", 0)),
    )
    limits: dict[str, tuple[float, float, float]] = {
        "rate": (plan.rate, 1, MAX_RATE),
        "seconds": (plan.seconds, 0.1, MAX_SECONDS),
        "sample_every": (plan.sample_every, 1, 1000),
        "streams": (plan.streams, 0, 200),
        "timeout_ms": (plan.timeout_ms, 100, 30_000),
        "long_lines": (plan.long_lines, 0, 10_000),
        "targets": (len(plan.targets), 1, 2),
    }
    for name, (got, low, high) in limits.items():
        if not low <= got <= high:
            raise ValueError(f"{name}: {got} is outside {low}..{high}")
    return plan


class Load:
    """One run of a plan: a loop over epoll, no threads, no timers but the schedule itself."""

    def __init__(self, plan: Plan) -> None:
        """Prepare everything that would cost time once the load runs."""
        self.plan = plan
        self.start = 0
        self.total = int(plan.rate * plan.seconds)
        self.door = make_door(plan.port, plan.server_name, plan.ca_pem, self.clock)
        self.poll = select.epoll()
        self.live: dict[int, Attempt] = {}
        self.attempts: list[Attempt] = []
        self.streams: list[Attempt] = []

    def clock(self) -> int:
        """Units: ns since the start of the load; negative before."""
        return time.monotonic_ns() - self.start

    def run(self) -> None:
        """Open `rate` connections a second for `seconds`, then wait for the last to end."""
        waiting = deque[Attempt]()
        timeout = self.plan.timeout_ms * 1_000_000
        self._open_streams()
        while len(self.attempts) < self.total or waiting:
            clock = self.clock()
            while len(self.attempts) < self.total and self._due(len(self.attempts)) <= clock:
                waiting.append(self._open(len(self.attempts)))
            while waiting and (waiting[0].ended is not None or waiting[0].due + timeout <= clock):
                head = waiting.popleft()
                if head.ended is None:
                    self._end(head, "timeout")
            if len(self.attempts) < self.total:
                self._serve(self._due(len(self.attempts)) - self.clock())
            elif waiting:
                self._serve(waiting[0].due + timeout - self.clock())
        self._judge_streams(self.clock())

    def finish(self, *_: object) -> None:
        """Open no further connection; those that are open end as they would."""
        self.total = len(self.attempts)

    def _due(self, number: int) -> int:
        return number * 1_000_000_000 // self.plan.rate

    def _open(self, number: int) -> Attempt:
        targets = self.plan.targets
        # each round in another order: a strict alternation would bind each family to one worker
        turn = number // len(targets)
        family, address = targets[(number + turn) % len(targets)]
        full = turn % self.plan.sample_every == 0
        attempt = Attempt(self._due(number), family, address, full=full)
        self.attempts.append(attempt)
        self._begin(attempt, (exchange if full else greet)(self.door, attempt))
        return attempt

    def _open_streams(self) -> None:
        for family, address in self.plan.targets * self.plan.streams:
            self._open_stream(family, address)

    def _open_stream(self, family: int, address: str) -> None:
        stream = Attempt(self.clock(), family, address, full=True, long=True)
        self.streams.append(stream)
        self._begin(stream, follow(self.door, stream, self.plan.long_lines))

    def _serve(self, wait_ns: int) -> None:
        # epoll's own timeout counts whole milliseconds; select on its descriptor does not
        if select.select([self.poll], [], [], min(max(0, wait_ns) / 1e9, 0.1))[0]:
            for number, _ in self.poll.poll(0):
                if number in self.live:
                    self._advance(self.live[number])

    def _begin(self, attempt: Attempt, steps: Steps) -> None:
        attempt.begun = self.clock()
        attempt.steps = steps
        self._advance(attempt)

    def _advance(self, attempt: Attempt) -> None:
        if attempt.steps is None:
            return
        try:
            mask = next(attempt.steps)
        except StopIteration:
            self._end(attempt, "ok")
        except (OSError, BadAnswerError, ValueError) as cause:
            self._end(attempt, outcome_of(cause))
        else:
            if attempt.mask == mask or attempt.sock is None:
                return
            number = attempt.sock.fileno()
            (self.poll.modify if attempt.mask else self.poll.register)(number, mask)
            attempt.mask, self.live[number] = mask, attempt

    def _end(self, attempt: Attempt, outcome: str) -> None:
        attempt.ended, attempt.outcome, attempt.steps = self.clock(), outcome, None
        if attempt.sock is not None:
            self.live.pop(attempt.sock.fileno(), None)
            attempt.sock.close()
        # one that never spoke is not followed by another: nobody may be there
        if attempt.long and attempt.lines and self.plan.long_lines and self._goes_on():
            self._open_stream(attempt.family, attempt.address)

    def _goes_on(self) -> bool:
        return len(self.attempts) < self.total

    def _judge_streams(self, clock: int) -> None:
        for stream in self.streams:
            if stream.ended is None:
                follows = stream.due > 0  # who came before it spoke, and it may have just begun
                heard = stream.last_line if stream.last_line is not None else stream.begun
                quiet = clock - heard
                stream.longest_gap = max(stream.longest_gap, quiet)
                lives = (stream.last_line is not None or follows) and quiet <= SILENT_NS
                self._end(stream, "survived" if lives else "silent")


def describe(load: Load) -> dict[str, Any]:
    """Every record as plain JSON values.

    Units: microseconds; `due_us` and `last_line_us` from the start of the load, the others of an
    attempt from when it was due.
    """

    def us(value: int | None, since: int = 0) -> int | None:
        return None if value is None else (value - since) // 1000

    def who(a: Attempt) -> dict[str, Any]:
        return {
            "family": a.family,
            "outcome": a.outcome,
            "pop": a.answer.get("pop"),
            "worker": a.answer.get("worker"),
            "client_right": a.client_right,
        }

    return {
        "attempts": [
            who(a)
            | {
                "due_us": us(a.due),
                "full": a.full,
                "late_us": us(a.begun, a.due),
                "connect_us": us(a.connected, a.due),
                "answer_us": us(a.ended, a.due),
            }
            for a in load.attempts
        ],
        "streams": [
            who(s)
            | {
                "ended_us": us(s.ended),
                "lines": s.lines,
                "last_line_us": us(s.last_line),
                "longest_gap_us": us(s.longest_gap),
            }
            for s in load.streams
        ],
    }


def main() -> None:
    """Read the plan, run it, write the records."""
    plan = parse_plan(json.load(sys.stdin))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    load = Load(plan)
    signal.signal(signal.SIGTERM, load.finish)
    gc.disable()  # a collection would look like a stall of the network
    load.start = time.monotonic_ns() + HEAD_START_NS
    clock = {
        "start_monotonic_ns": load.start,
        "start_realtime_ns": time.time_ns() + HEAD_START_NS,
        "boot_id": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
    }
    print(json.dumps({"clock": clock}), flush=True)  # noqa: T201 - this line is the protocol
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    before = time.process_time()
    load.run()
    # a signal cuts a write short, and a stdout without buffer (PYTHONUNBUFFERED) leaves it so
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # writing it all down has time
    spent = {"generator_cpu_s": round(time.process_time() - before, 3)}
    print(json.dumps(describe(load) | {"clock": clock} | spent), flush=True)  # noqa: T201 - as above


if __name__ == "__main__":
    main()
