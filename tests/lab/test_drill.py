"""Drills on the deployed fleet: what must hold did, nothing stays broken. No time is asserted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from loopback_iac.lab.drill.drills import DRILLS
from loopback_iac.lab.drill.ground import Ground, Pace
from loopback_iac.lab.drill.runner import (
    MovedError,
    NotReadyError,
    await_ready,
    judge_runs,
    run_once,
)
from loopback_iac.lab.faults import silenced
from loopback_iac.lab.topology import Role

LOOPBACK = Path(sys.executable).parent / "loopback"
GENTLE = Pace(rate=100, streams=3)
# the whole way round takes minutes; test_migrate.py has a short one
SHORT = [name for name in DRILLS if name not in {"silent-pop", "migration"}]
TRIES = 6


@pytest.fixture(scope="module")
def whole(lab, fleet):
    """The fleet, which is whole again after the last of these tests."""
    made = Ground(lab, "c-fra")
    yield made
    await_ready(made)


@pytest.fixture
def ground(lab, whole):
    """What every run waits for itself is not waited for here."""
    yield whole
    for host in lab.topology.having(Role.POP):
        lab.silent(host.name, silent=False)


def noteworthy(name: str, broken: dict) -> bool:
    """On a machine with more to do than cores, connections fail before anything is broken."""
    return bool(broken) and name != "quiet-before"


def start_drill(lab, *words: str) -> subprocess.Popen:
    argv = [LOOPBACK, "drill", *words, "--name", lab.paths.name, "--rate=100", "--streams=3"]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_silent_pop_is_survived_and_the_record_proves_it(lab, ground, tmp_path):
    running = start_drill(lab, "silent-pop", "--json", "--out", str(tmp_path))
    out, complaint = running.communicate(timeout=120)
    assert out, complaint
    record = json.loads(out)
    assert record == json.loads((tmp_path / "record.json").read_text())
    assert {
        v["name"]: v["broken"] for v in record["must_hold"] if noteworthy(v["name"], v["broken"])
    } == {}
    assert running.returncode == (0 if record["held"] else 1)
    assert (record["lost"], record["conditions"]["client"]) == ("fra1", "c-fra")
    (run,) = record["runs"]
    for family in ("4", "6"):
        figures = run["families"][family]
        # an outage was really there: connections were hit, and BFD ended it
        assert figures["during"]["failed"] + figures["during"]["retried"] > 0
        assert figures["recovery_ms"] > 0
        assert figures["sampled"] > 0
        assert figures["wrong_client"] == 0
        assert run["route_left_ms"][family] is not None
        assert run["served_after_return"][family] == "fra1"
        said = [s["last_error"] for s in run["sessions"]["fra1"] if str(s["family"]) == family]
        assert all("BFD" in reason for reason in said)
    assert (tmp_path / "run-1.png").stat().st_size > 0
    assert "fra1" not in silenced(lab.paths, lab.topology)


@pytest.mark.parametrize("name", SHORT)
def test_what_must_hold_in_each_drill_does(ground, name):
    """What held although the machine was paused meanwhile held; figures are the bench's."""
    drill, said = DRILLS[name], []
    for _ in range(TRIES):
        await_ready(ground)
        try:
            run = run_once(ground, drill, GENTLE)
        except MovedError as moved:  # by a pause, before anything was broken
            said.append(str(moved))
            continue
        broken = {v.name: dict(v.broken) for v in judge_runs(drill, [run])
                  if noteworthy(v.name, v.broken)}  # fmt: skip
        if not broken:
            return
        # a drill loses one PoP; every session of every PoP at once is the machine standing still
        everyone = set(run.evidence.falls.bfd) >= set(ground.standing().bfd_since)
        stalled = "every BFD session fell" if everyone else ""
        said.append(f"{run.spoiled or stalled or 'nothing paused'}: {broken}")
        if not run.spoiled and not stalled:
            break
    pytest.fail("\n".join(said))


def test_nothing_is_broken_when_the_client_was_moved_before(lab, ground):
    """The upstream forgets the near PoP while the load already runs: no fault is made."""
    await_ready(ground)
    closing = f"disable {ground.pop}_4"
    mover = threading.Timer(1.0, lambda: lab.exec(ground.upstream, ["birdc", *closing.split()]))
    mover.start()
    try:
        with pytest.raises(MovedError, match="IPv4 to par1"):
            run_once(ground, DRILLS["silent-pop"], GENTLE)
    finally:
        mover.join()
        lab.exec(ground.upstream, ["birdc", "enable", f"{ground.pop}_4"])
    assert ground.pop not in silenced(lab.paths, lab.topology)


def test_an_interrupted_drill_leaves_no_fault_behind(lab, ground, tmp_path):
    running = start_drill(lab, "silent-pop", "--out", str(tmp_path))
    deadline = time.monotonic() + 60
    while "fra1" not in silenced(lab.paths, lab.topology):
        assert time.monotonic() < deadline
        assert running.poll() is None
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=60)
    assert running.returncode != 0
    assert "fra1" not in silenced(lab.paths, lab.topology)
    assert not (tmp_path / "record.json").exists()


def test_nothing_is_broken_when_the_fleet_is_not_whole(lab, ground):
    lab.silent("par1", silent=True)
    deadline = time.monotonic() + 60
    while any(s.established for s in ground.sessions()["par1"]):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    with pytest.raises(NotReadyError, match="session with par1 over IPv4 is not established"):
        await_ready(ground, deadline_s=0.5)
    assert "fra1" not in silenced(lab.paths, lab.topology)
