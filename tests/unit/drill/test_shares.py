"""Processors divided among hosts: real groups, real processes, all of it gone afterwards."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from loopback_iac.lab import InstancePaths, Lab, cgroups
from loopback_iac.lab.drill.shares import IN_THE_MAKING, PASSES_ON, PROCESSORS, SERVES, Shares
from loopback_iac.lab.topology import demo

PATHS = InstancePaths("unitshares")
HOSTS = ("fra1", "w1", "h1")


@pytest.fixture
def sleepers():
    """A process in each host's group."""
    made = {h: subprocess.Popen([*cgroups.ensure_cgroup(PATHS, h), "sleep", "600"]) for h in HOSTS}
    try:
        yield made
    finally:
        for sleeper in made.values():
            sleeper.kill()
            sleeper.wait()
        cgroups.remove(PATHS)


def share(host: str) -> int:
    return int((PROCESSORS / PATHS.cgroup(host) / "cpu.shares").read_text())


def place(process: subprocess.Popen) -> str:
    (line,) = [
        line
        for line in Path(f"/proc/{process.pid}/cgroup").read_text().splitlines()
        if line.split(":")[1] == "cpu"
    ]
    return line.split(":")[2]


def wait_for(happened) -> None:
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_host_has_its_share_by_what_it_does_and_everything_is_given_back(sleepers):
    if not PROCESSORS.is_dir():  # cgroups of version 2: nothing is done, so nothing is left either
        with Shares(Lab(PATHS, demo()), set):
            assert not (PROCESSORS / PATHS.cgroup()).exists()
        return
    serving: set[str] = set()
    for host, sleeper in sleepers.items():
        wait_for(lambda h=host, s=sleeper: s.pid in cgroups.pids(PATHS, h))
    with Shares(Lab(PATHS, demo()), lambda: serving):
        assert {h: share(h) for h in HOSTS} == {
            "fra1": PASSES_ON,
            "w1": SERVES,
            "h1": IN_THE_MAKING,
        }
        assert {h: place(s) for h, s in sleepers.items()} == {
            h: f"/loopback-lab/unitshares/{h}" for h in HOSTS
        }
        serving.add("h1")
        wait_for(lambda: share("h1") == SERVES)
    assert {place(s) for s in sleepers.values()} == {"/"}
    assert not (PROCESSORS / PATHS.cgroup()).exists()
