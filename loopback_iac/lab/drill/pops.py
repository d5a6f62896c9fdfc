"""Drills that take a PoP away, or try to."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from functools import partial
from typing import TYPE_CHECKING

from loopback_iac.lab.drill.checks import (
    ASKED_TO_LEAVE_FIRST,
    GSHUT,
    ONLY_MOVING_FAIL,
    POP_LOST,
    SESSIONS_STAY,
    STOPPED_BY_BFD,
)
from loopback_iac.lab.drill.drill import Drill, Scene
from loopback_iac.lab.drill.ground import AGENT, FAMILIES
from loopback_iac.lab.paths import LabError

if TYPE_CHECKING:
    from loopback_iac.lab.drill.ground import Ground

DRAIN_S = 3  # GSHUT this long before the withdrawal; production takes the fleet's drain_s
SYN_AGAIN = "a SYN that was lost meanwhile is repeated by the client after 1 s"


def _lose_carrier(ground: Ground) -> Scene:
    light = partial(ground.lab.carrier, ground.pop, ground.upstream)
    return Scene(ground.pop, lambda: light(up=False), lambda: light(up=True))


def _fall_silent(ground: Ground) -> Scene:
    silent = partial(ground.lab.silent, ground.pop)
    return Scene(ground.pop, lambda: silent(silent=True), lambda: silent(silent=False))


def send(pids: list[int], number: signal.Signals) -> None:
    """Signal processes of a host; one that is gone needs none."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _kill(unit: str, ground: Ground) -> Scene:
    pids = ground.processes(ground.pop, unit)
    return Scene(ground.pop, lambda: send(pids, signal.SIGKILL), lambda: None)


def _freeze(ground: Ground) -> Scene:
    pids = ground.processes(ground.pop, "bird.service")
    return Scene(ground.pop, lambda: send(pids, signal.SIGSTOP), lambda: send(pids, signal.SIGCONT))


def _power_off(ground: Ground) -> Scene:
    lab, pop = ground.lab, ground.pop
    return Scene(pop, lambda: lab.power_off(pop), lambda: lab.power_on(pop))


def _reset_sessions(ground: Ground) -> Scene:
    names = [s.protocol for s in ground.sessions()[ground.pop]]
    lines = "\n".join(f"restart {name}" for name in names)

    return Scene(
        ground.pop,
        lambda: ground.lab.exec(ground.upstream, ["birdc"], text=lines),
        lambda: None,
    )


def _change_password(ground: Ground) -> Scene:
    """At the upstream, as when its operator mistypes it; its own file is put back afterwards."""
    path, upstream = "/etc/bird/bird.conf", ground.upstream
    kept = ground.on(upstream, "cat", path)
    session = rf'(description "{ground.pop} over IPv.";[^}}]*password ")'
    wrong, sessions = re.subn(session, r"\1not-", kept)
    if sessions != len(FAMILIES):
        raise LabError(f"{upstream}: {sessions} sessions with {ground.pop} have a password")

    def write(text: str) -> None:
        argv = ["sh", "-c", f"cat > {path}.drill && mv {path}.drill {path} && birdc configure"]
        done = ground.lab.exec(upstream, argv, text=text)
        if done.returncode:
            raise LabError(f"{upstream}: {done.stdout}{done.stderr}")

    return Scene(ground.pop, lambda: write(wrong), lambda: write(kept))


def _drain(ground: Ground) -> Scene:
    notes: dict[str, str] = {}
    return Scene(
        ground.pop,
        partial(_begin_drain, ground, notes),
        partial(ground.agent, ground.pop, "undrain"),
        notes,
    )


def _begin_drain(ground: Ground, notes: dict[str, str]) -> None:
    """Drain over SSH; meanwhile read at the upstream how the PoP's routes look."""
    pop = ground.pop
    argv = ground.agent_argv(pop, "drain", str(DRAIN_S))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as ssh:
        try:
            deadline = time.monotonic() + DRAIN_S - 1
            while time.monotonic() < deadline:
                if notes and all(GSHUT in said for said in notes.values()):
                    break
                time.sleep(0.2)
                for family in FAMILIES:
                    notes[f"route from the PoP, IPv{family}"] = ground.routes_from(pop, family)
            out, complaint = ssh.communicate(timeout=DRAIN_S + 30)
        except BaseException:
            ssh.kill()
            raise
    if ssh.returncode:
        raise LabError(f"{pop}: the drain failed ({ssh.returncode}): {complaint.strip()}")
    notes["drain"] = out.strip()


DRILLS = (
    Drill(
        name="carrier",
        what="the client's upstream takes the light off its link with the PoP",
        repair="the link gets its light back",
        expects="BIRD at the upstream drops the session with its interface, within milliseconds",
        hold_s=2,
        stage=_lose_carrier,
        must_hold=POP_LOST,
    ),
    Drill(
        name="silent-pop",
        what="every packet on all links of the client's PoP is dropped, in silence",
        repair="packets pass again",
        expects="BFD notices after its detection time, then BGP and the kernel take milliseconds;"
        f" {SYN_AGAIN}",
        hold_s=2,
        stage=_fall_silent,
        must_hold=(*POP_LOST, STOPPED_BY_BFD),
    ),
    Drill(
        name="bird-killed",
        what="SIGKILL to BIRD at the client's PoP",
        repair="none: systemd starts it again, and the watch waits out its hold",
        expects="the kernel closes BIRD's TCP connections, so the upstream hears it at once",
        hold_s=2,
        stage=partial(_kill, "bird.service"),
        must_hold=POP_LOST,
    ),
    Drill(
        name="bird-frozen",
        what="SIGSTOP to BIRD at the client's PoP",
        repair="SIGCONT",
        expects="BFD lives in BIRD, so it stops with it and the upstream's detection time runs out;"
        " the PoP forwards until then, so that hardly anybody notices",
        hold_s=2,
        stage=_freeze,
        must_hold=(*POP_LOST, STOPPED_BY_BFD),
    ),
    Drill(
        name="haproxy-killed",
        what="SIGKILL to every process of HAProxy at the client's PoP",
        repair="none: systemd starts it again, and the watch waits out its hold",
        expects="the watch holds a pidfd of the master and withdraws within milliseconds; what"
        " connects meanwhile is refused",
        hold_s=2,
        stage=partial(_kill, "haproxy.service"),
        must_hold=(*POP_LOST, SESSIONS_STAY),
    ),
    Drill(
        name="power-off",
        what="the client's PoP loses power: links go dark, every process ends",
        repair="it is switched on and boots",
        expects="as for a lost carrier; the PoP comes back by itself, withdrawn until healthy",
        hold_s=2,
        stage=_power_off,
        must_hold=POP_LOST,
    ),
    Drill(
        name="session-reset",
        what="the client's upstream resets its BGP sessions with the PoP",
        repair="none: BIRD connects again",
        expects="clients move to the other PoP and back with the session",
        hold_s=3,
        stage=_reset_sessions,
        must_hold=(*POP_LOST, ONLY_MOVING_FAIL),
    ),
    Drill(
        name="wrong-md5",
        what="the client's upstream takes a wrong TCP-MD5 password for the PoP",
        repair="the right password",
        expects="the kernel drops what does not fit, the session falls, clients move",
        hold_s=3,
        stage=_change_password,
        must_hold=(*POP_LOST, ONLY_MOVING_FAIL),
    ),
    Drill(
        name="drain",
        what=f"`{AGENT} drain {DRAIN_S}` at the client's PoP, over SSH",
        repair=f"`{AGENT} undrain`",
        expects="no new connection fails but those in flight at the moment the path moves; their"
        " packets reach a PoP that does not know them and are reset, and so are long-lived"
        " connections",
        hold_s=2,
        stage=_drain,
        must_hold=(*POP_LOST, ONLY_MOVING_FAIL, ASKED_TO_LEAVE_FIRST, SESSIONS_STAY),
    ),
)
