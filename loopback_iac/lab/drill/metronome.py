"""Notes when the machine itself stood still, so that its pauses are not taken for the fleet's.

A virtual machine is paused by its host now and then, for 40 to 180 ms where this was written, also
when idle. Every daemon of the lab stops at once then, which no fleet of real hosts does, and BFD
ends sessions that nobody broke. A thread of the first real-time priority that is late after a
sleep was not waiting for a busy core: the core was paused. Each core is paused by itself, so each
has a thread.

Runs as `python -m loopback_iac.lab.drill.metronome` until SIGTERM. stdout: one line when it ticks,
then one line of JSON, a list of [when the pause began, how long it was, which core], the times in
ns of the monotonic clock.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from loopback_iac.lab.paths import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

TICK_S = 0.005
NOTED_NS = 10_000_000  # shorter ones are ordinary scheduling, even at this priority
TOGETHER_NS = 150_000_000  # BFD's detection time in the lab
SPOILS_NS = 60_000_000  # three checks in a row of a worker: from here on something may fall


@dataclass(frozen=True, slots=True)
class Pause:
    """A core stood still. Units: ns of the monotonic clock."""

    began_ns: int
    lasted_ns: int
    core: int


class Metronome:
    """Ticks in a process of its own while the block runs."""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self._running: subprocess.Popen[str] | None = None
        self.pauses: tuple[Pause, ...] = ()

    def __enter__(self) -> Self:
        """Start ticking.

        Raises: LabError when the process may not run at a real-time priority.
        """
        argv = [sys.executable, "-m", "loopback_iac.lab.drill.metronome"]
        self._running = subprocess.Popen(
            argv, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        if self._running.stdout is None or not self._running.stdout.readline():
            self._running.kill()
            raise LabError(f"the metronome did not start (exit {self._running.wait(5)})")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop; `pauses` holds what was noted."""
        if self._running is not None:
            self._running.terminate()
            text, _ = self._running.communicate(timeout=10)
            self.pauses = tuple(Pause(*noted) for noted in json.loads(text or "[]"))


def spoiling(pauses: Sequence[Pause]) -> str:
    """Whether pauses were long enough for a worker or a BFD session to be taken for dead.

    Out: the reason why the run says nothing about the fleet, or nothing.
    """
    for last, pause in enumerate(pauses):
        since = pause.began_ns + pause.lasted_ns - TOGETHER_NS
        near = [
            p
            for p in pauses[: last + 1]
            if p.core == pause.core and p.began_ns + p.lasted_ns > since
        ]
        stood_ns = sum(p.lasted_ns for p in near)
        if stood_ns >= SPOILS_NS:
            return f"this machine stood still for {stood_ns / 1e6:.0f} ms"
    return ""


def main() -> None:
    """Tick on every core until SIGTERM, then print the pauses."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    noted: list[tuple[int, int, int]] = []
    cores = sorted(os.sched_getaffinity(0))
    ticking = threading.Barrier(len(cores) + 1)
    threads = [threading.Thread(target=_tick, args=(n, noted, ticking, ended)) for n in cores]
    for thread in threads:
        thread.start()
    ticking.wait(5)
    print("ticking", flush=True)  # noqa: T201 - this line is the protocol
    for thread in threads:
        thread.join()
    print(json.dumps(sorted(noted)), flush=True)  # noqa: T201 - as above


def _tick(
    core: int,
    noted: list[tuple[int, int, int]],
    ticking: threading.Barrier,
    ended: threading.Event,
) -> None:
    # for the calling thread, not for the process
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    ticking.wait(5)
    before = time.monotonic_ns()
    while not ended.is_set():
        time.sleep(TICK_S)
        now = time.monotonic_ns()
        late = now - before - round(TICK_S * 1e9)
        if late >= NOTED_NS:
            noted.append((before, late, core))
        before = now


if __name__ == "__main__":
    main()
