"""Workers move to both clouds under load; a move that is stopped or cut off goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import yaml

from loopback_iac.lab.drill.causes import tell_unexplained
from loopback_iac.lab.drill.checks import SERVED_AGAIN
from loopback_iac.lab.drill.drills import DRILLS
from loopback_iac.lab.drill.ground import Ground, Pace
from loopback_iac.lab.drill.moves import METAL, ONLY_THEY, migrate_argv, stage_exit
from loopback_iac.lab.drill.patience import PatientExit
from loopback_iac.lab.drill.runner import await_ready, judge_runs, run_once

LOOPBACK = Path(sys.executable).parent / "loopback"
ROOT = Path(__file__).parents[3]
# by cause, of which every pause of the machine is one
COUNTED = ("quiet-before", "none-fails")
AWAY = (METAL, ("h1", "i1"))


def workers_of(lab) -> dict[str, dict]:
    return yaml.safe_load(lab.paths.stack_config.read_text())["config"]["loopback-edge:workers"]


class CutOff(PatientExit):
    """The first move is interrupted while newcomers get their share, and said again."""

    cut = False
    divides = False  # a gentle load needs no shares, and the tests no moves of two minutes

    def migrate(self, leaving, coming):
        if not CutOff.cut:
            CutOff.cut = True
            lab = self.ground.lab
            # a job in the background ignores SIGINT, and what it starts does too
            argv = ["env", "--default-signal=INT", LOOPBACK, "lab", "exec", "--name"]
            argv += [lab.paths.name, "--"]
            with subprocess.Popen(
                [*argv, *migrate_argv(leaving, coming)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as running:
                while not all(workers_of(lab).get(name, {}).get("weight") for name in coming):
                    assert running.poll() is None, running.communicate()
                    time.sleep(0.05)
                running.send_signal(signal.SIGINT)
                out, said = running.communicate(timeout=120)
            assert running.returncode != 0, out + said
            assert not any(w.get("drained") for w in workers_of(lab).values())
        return super().migrate(leaving, coming)


@pytest.fixture
def ground(lab, fleet):
    made = Ground(lab, "c-fra")
    await_ready(made)
    yield made
    await_ready(made)


def test_a_move_to_a_worker_that_is_not_healthy_stops_before_anybody_is_drained(lab, ground):
    lab.exec("w2", ["systemctl", "stop", "demo-app"])
    text = lab.paths.stack_config.read_text()
    try:
        said = ["loopback", "migrate", "web", "--from=w1", "--to=w2", "--wait=2", "-C", str(ROOT)]
        done = lab.exec("ops", [*said, "--json"], timeout_s=120)
    finally:
        lab.exec("w2", ["systemctl", "start", "demo-app"])
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert told["done"] is False
    assert "stopped before `drain`:\n  - fra1: w2 is DOWN in web.https\n  - par1" in told["stopped"]
    assert told["steps"] == [
        {"step": "begin", "hosts_changed": [], "up_s": told["steps"][0]["up_s"]}
    ]
    assert lab.paths.stack_config.read_text() == text


def test_the_whole_pool_moves_to_two_clouds_and_nobody_notices(fleet, ground):
    vips = json.loads(fleet.loopback("output", "--json").stdout)["vips"]
    stage = partial(stage_exit, AWAY, kind=CutOff)
    drill = replace(DRILLS["migration"], stage=stage, long_lines=40)
    run = run_once(ground, drill, Pace(rate=100, streams=3))
    assert list(tell_unexplained(run)) == [], run.evidence.notes
    if run.spoiled:  # BFD ends sessions that nobody broke when the machine itself stands still
        drill = replace(drill, must_hold=(ONLY_THEY, SERVED_AGAIN))
    broken = {v.name: dict(v.broken) for v in judge_runs(drill, [run]) if v.broken}
    broken = {name: why for name, why in broken.items() if name not in COUNTED}
    assert broken == {}, (run.spoiled, run.evidence.notes)
    assert {a.worker for a in run.records.attempts} >= {None, *METAL, "h1", "i1"}
    assert json.loads(fleet.loopback("output", "--json").stdout)["vips"] == vips
