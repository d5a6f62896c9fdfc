"""`loopback up` interrupted at random points, many times; then one run has to set the fleet right.

Not collected by `make test` (its name is not test_*): `make soak` names it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time

import pytest
import yaml

from loopback_iac.lab.drill.ground import Ground
from loopback_iac.lab.drill.runner import await_ready
from loopback_iac.lab.entering import workstation
from loopback_iac.lab.namespaces import workstation_environment
from tests.lab.conftest import ROOT

INTERRUPTS = int(os.environ.get("LOOPBACK_SOAK_INTERRUPTS", "50"))
# A whole run with a change takes about this long; both halves of it are to be hit.
LONGEST_S = 14.0
KEY = "loopback-edge:adminSources"


def start_up(lab) -> subprocess.Popen:
    argv = [*workstation(lab.paths), "loopback", "up", "--yes", "-C", str(ROOT)]
    return subprocess.Popen(
        argv,
        env=workstation_environment(lab.paths),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def exported(fleet) -> dict:
    done = fleet.loopback("state", "export", "-C", str(ROOT))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["deployment"]


def forget_unfinished(fleet) -> int:
    """What a killed run had under way is named by the state; Commands may be run again."""
    urns = [op["resource"]["urn"] for op in exported(fleet).get("pending_operations") or []]
    if urns:
        done = fleet.loopback("state", "forget", *urns, "-C", str(ROOT))
        assert done.returncode == 0, done.stderr
    return len(urns)


@pytest.mark.timeout(3600)
def test_one_run_sets_right_what_many_interrupted_runs_left(lab, fleet):
    draw = random.Random(4)  # noqa: S311 -- the same moments each time, no secret
    kept = lab.paths.stack_config.read_text()
    config = yaml.safe_load(kept)
    before = {row["urn"] for row in exported(fleet)["resources"]}
    ended, unfinished = {"SIGINT": 0, "SIGKILL": 0, "too late": 0}, 0
    try:
        for number in range(INTERRUPTS):
            # each run has something to change on every host
            admins = [*yaml.safe_load(kept)["config"][KEY], f"192.0.2.{number + 1}/32"]
            config["config"][KEY] = admins
            lab.paths.stack_config.write_text(yaml.safe_dump(config, sort_keys=False))
            how = signal.SIGKILL if number % 2 else signal.SIGINT
            running = start_up(lab)
            time.sleep(draw.uniform(0.2, LONGEST_S))
            if running.poll() is None:
                # the whole session: Ctrl-C at a terminal, or a power failure of the workstation
                os.killpg(running.pid, how)
                ended[how.name] += 1
            else:
                ended["too late"] += 1
            running.communicate(timeout=120)
            unfinished += forget_unfinished(fleet)
    finally:
        lab.paths.stack_config.write_text(kept)
    print(f"{INTERRUPTS} runs: {ended}, {unfinished} operations were unfinished")  # noqa: T201
    assert ended["too late"] < INTERRUPTS / 2
    for _ in range(2):  # an apply that waits for its confirmation takes itself back in 30 s
        done = fleet.loopback("up", "--yes")
        if done.returncode == 0:
            break
        time.sleep(40)
    assert done.returncode == 0, done.stderr
    deployment = exported(fleet)
    urns = [row["urn"] for row in deployment["resources"]]
    assert set(urns) == before
    assert len(urns) == len(before)
    assert not deployment.get("pending_operations")
    again = fleet.loopback("up", "--yes")
    assert "unchanged" in again.stderr
    assert "created" not in again.stderr
    await_ready(Ground(lab, "c-fra"))
    await_ready(Ground(lab, "c-par"))
    drift = fleet.loopback("drift")
    assert drift.returncode == 0, drift.stdout + drift.stderr
