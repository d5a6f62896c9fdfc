"""A lab's life: interrupted, half-made, cut off, left over; `up` and `down` always work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from loopback_iac.lab import (
    InstancePaths,
    LabError,
    bring_up,
    cgroups,
    leftovers,
    namespaces,
    take_down,
)
from loopback_iac.lab.instance import locked

NAME, TOPOLOGY = "testlife", "outpost"
UP = [
    sys.executable,
    "-c",
    # a shell starts background jobs with SIGINT ignored, and children inherit that
    (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from loopback_iac.cli import main; main()"
    ),
    "lab",
    "up",
    "--name",
    NAME,
    "--topology",
    TOPOLOGY,
]


@pytest.fixture
def nothing():
    """No lab of that name before, none after."""
    take_down(NAME)
    yield
    take_down(NAME)
    assert not leftovers(NAME)


PATHS = InstancePaths(NAME)
# How far `up` has come, read from the machine.
MOMENTS = {
    "keys": (PATHS.keys / "tls.pem").exists,
    "disks": (PATHS.host("par1") / "up").exists,
    "namespaces": lambda: len(namespaces.namespaces_of(PATHS)) >= 5,
    "boots": lambda: len(cgroups.pids(PATHS)) >= 3,
    "waits": lambda: all(cgroups.leader(PATHS, host) for host in ("t1", "w1", "svc2")),
}


def interrupt_up(moment, sent):
    """Start `up` and end it once it has come so far."""
    reached = MOMENTS[moment]
    with subprocess.Popen(UP, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as running:
        while not reached():
            assert running.poll() is None, f"up ended before {moment}"
            time.sleep(0.002)
        running.send_signal(sent)
        # an interrupt is obeyed at once, not when every host has come up
        assert running.wait(60) != 0


@pytest.mark.usefixtures("nothing")
def test_up_goes_on_where_a_killed_one_stopped():
    for moment in ("keys", "disks", "namespaces", "boots"):
        interrupt_up(moment, signal.SIGKILL)
    interrupt_up("waits", signal.SIGINT)
    lab, _ = bring_up(NAME, TOPOLOGY)
    assert {h.state for h in lab.status()} == {"running"}
    assert all(lab.bgp()["core"].values())
    for host in ("par1", "w1"):
        assert lab.exec(host, ["systemctl", "is-active", "ssh"]).stdout == "active\n"
    assert not bring_up(NAME, TOPOLOGY)[1]


@pytest.mark.usefixtures("nothing")
@pytest.mark.parametrize("moment", MOMENTS)
def test_down_removes_what_a_killed_up_left(moment):
    interrupt_up(moment, signal.SIGKILL)
    assert leftovers(NAME)
    assert take_down(NAME)
    assert not leftovers(NAME)


def test_a_name_whose_namespace_was_never_made_is_taken_over_and_removed():
    paths = InstancePaths(NAME)
    other = namespaces.NAMESPACES / "someone-elses"
    # `ip netns add` makes /run/netns and the file, then the namespace: killed in between
    subprocess.run(["ip", "netns", "add", other.name], check=True)
    try:
        paths.namespace_path("t1").touch()
        assert leftovers(NAME) == [f"network namespace {NAME}".replace(NAME, paths.namespace("t1"))]
        take_down(NAME)
        assert not leftovers(NAME)
        assert other.exists()
    finally:
        subprocess.run(["ip", "netns", "delete", other.name], check=True)


def test_the_lock_of_a_dead_process_holds_nobody_up():
    paths = InstancePaths(NAME)
    holding = (
        "import time\nfrom loopback_iac.lab import InstancePaths\n"
        "from loopback_iac.lab.instance import locked\n"
        f"with locked(InstancePaths({NAME!r})): print('held', flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holding], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LabError, match=f"process {holder.pid} is changing it"), locked(paths):
            pass
        holder.kill()
    with locked(paths):
        assert paths.lock.read_text() == str(os.getpid())
    take_down(NAME)
    assert not paths.lock.exists()


@pytest.fixture(scope="module")
def second():
    """A second lab beside the tier's own."""
    take_down(NAME)
    lab, _ = bring_up(NAME, TOPOLOGY)
    yield lab
    # whoever still works in the lab's networks is ended with it
    with subprocess.Popen([*namespaces.enter(lab.paths, "t1"), "sleep", "3000"]) as lingering:
        take_down(NAME)
        assert lingering.wait(60) == -signal.SIGKILL
    assert not leftovers(NAME)


def test_two_labs_stand_side_by_side(lab, second):
    second.exec("w1", ["sh", "-c", "echo second > /root/kept; sync"])
    assert lab.exec("w1", ["test", "-e", "/root/kept"]).returncode == 1
    assert second.paths.operator_key.read_text() != lab.paths.operator_key.read_text()
    assert {h.state for h in [*lab.status(), *second.status()]} == {"running"}


def test_a_host_cut_off_in_a_lost_namespace_is_booted_again(second):
    cut_off = cgroups.leader(second.paths, "w1")
    subprocess.run(["ip", "netns", "delete", second.paths.namespace("w1")], check=True)
    _, changes = bring_up(NAME, TOPOLOGY)
    assert changes.hosts_started == ("w1",)
    assert cgroups.leader(second.paths, "w1") != cut_off
    # a router may still know the host that was there before (RFC 4861 7.3.3: 5 s, 3 probes)
    deadline = time.monotonic() + 60
    while second.exec("t1", ["ping", "-c1", "-W1", "2001:db8:b::21"]).returncode:
        assert time.monotonic() < deadline


def test_a_lab_survives_a_reboot_of_the_machine(second):
    second.exec("w1", ["sh", "-c", "echo second > /root/kept; sync"])
    config = second.paths.stack_config.read_bytes()
    # what a reboot takes: processes, namespaces, cgroups; the disk stays
    cgroups.kill(second.paths)
    namespaces.remove_namespaces(second.paths)
    cgroups.remove(second.paths)
    assert {h.state for h in second.status()} == {"absent"}
    _, changes = bring_up(NAME, TOPOLOGY)
    assert len(changes.hosts_started) == 6
    assert not changes.disks_made
    assert second.exec("w1", ["cat", "/root/kept"]).stdout == "second\n"
    assert second.paths.stack_config.read_bytes() == config


def test_a_stacks_state_is_set_aside_with_the_disks_it_tells_of(second):
    """The lab's code or image changed: `up` of a stack begins anew."""
    second.paths.stack_state.mkdir(exist_ok=True)
    (second.paths.stack_state / "state.json").write_text("{}")
    (second.paths.host("w1") / "seed").write_text("made by other code")
    _, changes = bring_up(NAME, TOPOLOGY)
    assert changes.disks_made == changes.hosts_started == ("w1",)
    assert second.exec("w1", ["test", "-e", "/root/kept"]).returncode == 1
    assert not second.paths.stack_state.exists()
    assert (second.paths.root / "stack.0/state.json").read_text() == "{}"
