"""Drills that take workers away, or what workers lean on. No PoP may lose its clients for them."""

from __future__ import annotations

import random
import signal
import threading
from functools import partial
from typing import TYPE_CHECKING

from loopback_iac.lab.drill.checks import (
    ALWAYS,
    ANNOUNCED,
    NO_BFD_FALLS,
    NO_WORKER_FALLS,
    NONE_FAILS,
    POP_STAYS,
    RECOVERS,
    SERVED_AGAIN,
)
from loopback_iac.lab.drill.drill import Drill, Scene
from loopback_iac.lab.drill.pops import send
from loopback_iac.lab.topology import Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopback_iac.lab.drill.ground import Ground

SERVING = "demo-app.service"
STOPPED_S, RUNNING_S = 0.15, 0.05
JITTER_S = 0.01  # at most, at each end of a tunnel


def _first(ground: Ground) -> str:
    return ground.lab.topology.having(Role.WORKER)[0].name


def _kill(ground: Ground) -> Scene:
    worker = _first(ground)
    pids = ground.processes(worker, SERVING)
    return Scene(worker, lambda: send(pids, signal.SIGKILL), lambda: None)


def _silence(hosts: list[str], ground: Ground, lost: str) -> Scene:
    def set_all(*, silent: bool) -> None:
        for host in hosts:
            ground.lab.silent(host, silent=silent)

    return Scene(lost, lambda: set_all(silent=True), lambda: set_all(silent=False))


def _silence_first(ground: Ground) -> Scene:
    return _silence([_first(ground)], ground, _first(ground))


def _silence_all(ground: Ground) -> Scene:
    return _silence([w.name for w in ground.lab.topology.having(Role.WORKER)], ground, "")


def _silence_caches(ground: Ground) -> Scene:
    return _silence([s.name for s in ground.lab.topology.having(Role.SERVICE)], ground, "")


class _Stutter:
    """Processes stop and go, for as long as they are told to."""

    def __init__(
        self, pids: list[int], stopped_s: Callable[[], float], running_s: Callable[[], float]
    ) -> None:
        self.pids, self.stopped_s, self.running_s = pids, stopped_s, running_s
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self.ended.is_set():
            send(self.pids, signal.SIGSTOP)
            self.ended.wait(self.stopped_s())
            send(self.pids, signal.SIGCONT)
            self.ended.wait(self.running_s())

    def begin(self) -> None:
        self.thread.start()

    def undo(self) -> None:
        self.ended.set()
        if self.thread.ident is not None:
            self.thread.join(5)
        send(self.pids, signal.SIGCONT)


def _slow_down(ground: Ground) -> Scene:
    """The worker runs a quarter of the time."""
    pids = ground.processes(_first(ground), SERVING)
    stutter = _Stutter(pids, lambda: STOPPED_S, lambda: RUNNING_S)
    return Scene("", stutter.begin, stutter.undo)


def _lose_packets(one_in: int, ground: Ground) -> Scene:
    """Loss on every link; jitter in the tunnels, whose ends in user space stop and go."""
    hosts = [h.name for h in ground.lab.topology.having(Role.WORKER, Role.POP)]
    draw = random.Random(one_in)  # noqa: S311 - the same jitter each time, no secret
    jitter = [
        _Stutter([pid], lambda: draw.uniform(0, JITTER_S), lambda: draw.uniform(0, 4 * JITTER_S))
        for host in hosts
        for pid in ground.named(host, "wireguard-go")
    ]

    def begin() -> None:
        for host in hosts:
            ground.lab.lossy(host, one_in=one_in)
        for each in jitter:
            each.begin()

    def undo() -> None:
        for each in jitter:
            each.undo()
        for host in hosts:
            ground.lab.lossy(host, one_in=0)

    return Scene("", begin, undo)


def _loss(one_in: int, words: str) -> Drill:
    return Drill(
        name=f"loss-{words.replace(' %', '')}",
        what=f"{words} of all packets of every PoP and worker is lost, each direction; every end of"
        f" a tunnel delays packets by up to {JITTER_S * 1000:.0f} ms, by chance",
        repair="no packet is lost or delayed any more",
        expects="nothing is taken for dead; what was lost is repeated, which some clients feel",
        hold_s=7,
        stage=partial(_lose_packets, one_in),
        must_hold=(*POP_STAYS, NO_WORKER_FALLS, NO_BFD_FALLS),
    )


DRILLS = (
    Drill(
        name="worker-killed",
        what="SIGKILL to the serving processes of one worker",
        repair="none: systemd starts them again after a second",
        expects="the first refused connection is tried again at the other worker; a few refusals"
        " take the dead one out of service",
        hold_s=2,
        stage=_kill,
        must_hold=(*POP_STAYS, RECOVERS),
    ),
    Drill(
        name="worker-silent",
        what="every packet of one worker is dropped, in silence",
        repair="packets pass again",
        expects="connects time out and are tried again at the other worker until checks fail",
        hold_s=2,
        stage=_silence_first,
        must_hold=(*POP_STAYS, RECOVERS),
    ),
    Drill(
        name="worker-slow",
        what=f"one worker's serving processes run {RUNNING_S * 1000:.0f} ms of every"
        f" {(STOPPED_S + RUNNING_S) * 1000:.0f} ms",
        repair="they run again all the time",
        expects="a slow worker accepts connections, so it stays in service and its clients wait",
        hold_s=3,
        stage=_slow_down,
        must_hold=(*POP_STAYS, NO_WORKER_FALLS),
    ),
    Drill(
        name="workers-silent",
        what="every packet of all workers is dropped, in silence",
        repair="packets pass again",
        expects="PoPs ask for less preference after a second and stay announced, connections are"
        " tried at unchecked workers; clients fail until a worker is back",
        hold_s=3,
        stage=_silence_all,
        must_hold=(*ALWAYS, ANNOUNCED, SERVED_AGAIN),
    ),
    Drill(
        name="rpki-lost",
        what="every packet of the RPKI caches is dropped, in silence",
        repair="packets pass again",
        expects="routers keep what the caches taught them; nobody notices",
        hold_s=3,
        stage=_silence_caches,
        must_hold=(*POP_STAYS, NONE_FAILS),
    ),
    _loss(1000, "0.1 %"),
    _loss(100, "1 %"),
)
