"""One lab for a run's tests: booted at its first use, gone at the end, the machine as before."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loopback_iac.lab import InstancePaths, Lab, bring_up, leftovers, take_down
from loopback_iac.lab.drill.patience import be_patient
from loopback_iac.lab.names.image import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NAME = "test"
LABS = InstancePaths(NAME).root.parent
PYTEST = f"{tempfile.gettempdir()}/pytest-of-"
DRILLS_OF_NAMES = f"{tempfile.gettempdir()}/{PREFIX}"
STACK_VERBS = ("plan", "up", "destroy", "drift", "update")
# Counters and clocks of the kernel, which change on an idle machine too.
VOLATILE = re.compile(
    r"^(fs\.(dentry-state|file-nr|inode-nr|inode-state|quota)|kernel\.(random|ns_last_pid|pty\.nr"
    r"|sched_domain|perf|spl|seccomp|hung_task)|vm\.|net\.netfilter\.nf_conntrack_count|debug\.)"
)


def read_machine() -> dict[str, object]:
    """What a lab must leave alone: routes, addresses, rules, firewall, kernel settings, clock."""

    def said(*argv: str) -> str:
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout

    settings = dict(
        line.split(" = ", 1) for line in said("sysctl", "-a").splitlines() if " = " in line
    )
    links = json.loads(said("ip", "-json", "address"))
    return {
        "links": {link["ifname"]: link["addr_info"] for link in links},
        "routes": said("ip", "route", "show", "table", "all"),
        "routes6": re.sub(
            r" expires \d+sec", "", said("ip", "-6", "route", "show", "table", "all")
        ),
        "rules": said("ip", "rule") + said("ip", "-6", "rule"),
        "firewall": said("nft", "--stateless", "list", "ruleset"),
        "settings": {k: v for k, v in settings.items() if not VOLATILE.match(k)},
        # what other labs and tests have comes and goes; that ours is gone is asked of `leftovers`
        "mounts": sorted(
            place
            for place in said("findmnt", "--noheadings", "--raw", "-o", "TARGET").split()
            if not place.startswith(("/run/netns", f"{LABS}/", PYTEST, DRILLS_OF_NAMES))
        ),
    }


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The lab `test`; whoever changes a host puts it back."""
    yield from lab_of_tests(NAME, "demo", HERE)


@pytest.fixture(scope="session")
def spare_lab() -> Iterator[Lab]:
    """Another one, bare at first, then for clouds and racks whose machines come and go."""
    yield from lab_of_tests(f"{NAME}spare", "demo", HERE / "cloud")


def lab_of_tests(name: str, topology: str, folder: Path) -> Iterator[Lab]:
    """A lab, freshly booted, for the tests of a folder; gone afterwards.

    LOOPBACK_TEST_LAB names a standing lab to work against instead, for whoever writes a test.
    """
    if standing := os.environ.get("LOOPBACK_TEST_LAB"):
        running, _ = bring_up(standing, topology)
        yield running
        return
    with only_run(name, folder):
        yield from fresh_lab(name, topology)


@contextmanager
def only_run(name: str, folder: Path) -> Iterator[None]:
    """Two runs over one lab would take each other's hosts away."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pytest.fail(
                f"another test run has lab {name!r}; wait, or set LOOPBACK_TEST_LAB", pytrace=False
            )
        yield
    finally:
        os.close(descriptor)


def fresh_lab(name: str, topology: str) -> Iterator[Lab]:
    """Boot it, and see afterwards that it is gone and the machine is as it was."""
    take_down(name)
    before, clock = read_machine(), time.time() - time.monotonic()
    running, _ = bring_up(name, topology)
    yield running
    take_down(name)
    assert not leftovers(name)
    after = read_machine()
    assert {k: v for k, v in after.items() if before[k] != v} == {}
    # a host that set the machine's clock would move it by more than its own drift
    assert abs(time.time() - time.monotonic() - clock) < 0.5


@pytest.fixture
def repack(tmp_path) -> Callable[..., Path]:
    """A newer revision of a package: the same content, or with one program that only fails."""

    def made(folder: Path, package: str, revision: str, broken: str = "") -> Path:
        (deb,) = [p for p in folder.glob(f"{package}_*.deb") if "+lab" not in p.name]
        tree = tmp_path / f"{package}{revision}"
        subprocess.run(["dpkg-deb", "--raw-extract", str(deb), str(tree)], check=True)
        control = tree / "DEBIAN/control"
        text = re.sub(r"(?m)^(Version: .*)$", rf"\g<1>{revision}", control.read_text())
        control.write_text(text)
        if broken:
            (tree / broken).write_text("#!/bin/sh\necho this one is broken >&2\nexit 1\n")
        name = deb.name.replace("_amd64", f"{revision}_amd64")
        build = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(tree)]
        subprocess.run([*build, str(tmp_path / name)], check=True, capture_output=True)
        return tmp_path / name

    return made


class Deployed:
    """The lab with `stacks/edge` deployed by the command a user types."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def loopback(self, *words: str, stack: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run `loopback` on the operator's workstation."""
        at = ["-C", str(stack or ROOT)] if words[0] in STACK_VERBS else []
        return self.lab.exec("ops", ["loopback", *words, *at], timeout_s=240)

    def await_whole(self) -> None:
        """Until nothing differs: a PoP that fell as the machine stood still announces only after
        its return hold.
        """
        end = time.monotonic() + 90
        while (done := self.loopback("drift")).returncode:
            assert time.monotonic() < end, done.stdout + done.stderr
            time.sleep(1)

    def ask(self, client: str, vip: str, *more: str) -> dict[str, object]:
        """One request over TLS, certificate checked; the application says what it saw."""
        argv = ["curl", "--silent", "--show-error", "--max-time", "30"]
        argv += ["--cacert", "/etc/ssl/certs/loopback-lab-ca.pem", *more]
        argv += ["--resolve", f"www.example.net:443:{vip}", "https://www.example.net/"]
        done = self.lab.exec(client, argv)
        assert done.returncode == 0, f"{client} -> {vip}: {done.stderr}"
        answer: dict[str, object] = json.loads(done.stdout)
        return answer


def deploy(lab: Lab) -> Deployed:
    """The fleet with patient timers."""
    be_patient(lab.paths)
    deployed = Deployed(lab)
    done = deployed.loopback("up", "--yes")
    assert done.returncode == 0, done.stderr
    return deployed


@pytest.fixture(scope="session")
def fleet(lab: Lab) -> Deployed:
    """The deployed fleet, with patient timers; whoever changes it puts it back."""
    return deploy(lab)
