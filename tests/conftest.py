"""Counts of examples, small ones with every run; and what a run over several processes shares out.

HYPOTHESIS_PROFILE=soak asks for the big counts.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
# derandomized: a run of the tests is the same run everywhere; soak is where new examples come from
settings.register_profile(
    "default", max_examples=40, deadline=None, derandomize=True, suppress_health_check=SLOW
)
settings.register_profile("soak", max_examples=10_000, deadline=None, suppress_health_check=SLOW)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "default")
settings.load_profile(PROFILE)


# A lab is one process's, from its boot to its end: who needs which. The longest begins first.
LABS = {
    "tests/lab/agent/": "one host",
    "tests/lab/bare/": "clouds and racks",
    "tests/lab/cloud/": "clouds and racks",
    "tests/lab/nat/": "clouds and racks",
    "tests/lab/second/": "second fleet",
    "tests/lab/": "fleet",
}
LONG = (
    *reversed(LABS.values()),
    "tests/accept/test_resolver_drills",
    "tests/accept/",
    "tests/engine/",
    "",
)
# It is filled at the lowest priority, to which a busy machine leaves nothing. Other drills hold
# beside one: they judge order, with timers that a pause fits into (lab/drill/patience.py).
ALONE = "tests/lab/test_drill.py::test_what_must_hold_in_each_drill_does[table-full]"
# The fleet's last, in this order: connections of clients are judged when others have done most of
# their share, and at the very end the lab goes.
LAST = (
    *(f"tests/lab/test_{name}.py" for name in ("pages", "drill")),
    ALONE,
    "tests/lab/test_zz_docs.py",
)
NICE = os.getpriority(os.PRIO_PROCESS, 0)
RUN = os.open(Path(__file__).parent, os.O_RDONLY)  # a lock on the folder leaves no file
BESIDE = min(NICE + 5, 19)  # how nice tests without a lab are to those with one


class ByPlace(LoadScopeScheduling):
    """Who shares a lab stays together, as everybody else of one file does."""

    def _split_scope(self, nodeid):
        return place_of(nodeid)


def place_of(nodeid):
    """The lab that a test needs, else its file."""
    file = nodeid.split("::", 1)[0]
    return next((lab for folder, lab in LABS.items() if file.startswith(folder)), file)


def pytest_xdist_make_scheduler(config, log):
    """For `pytest -n ... --dist loadfile`."""
    return ByPlace(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logstart(nodeid, location):
    """Who waits for hosts is who the run waits for: beside a lab, others take what it leaves."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.setpriority(os.PRIO_PROCESS, 0, NICE if nodeid.startswith(tuple(LABS)) else BESIDE)


def pytest_sessionstart(session):
    """A process of several holds the run until it has done its share."""
    if hasattr(session.config, "workerinput"):
        fcntl.flock(RUN, fcntl.LOCK_SH)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    fcntl.flock(RUN, fcntl.LOCK_UN)


@pytest.hookimpl(tryfirst=True, wrapper=True)
def pytest_runtest_protocol(item):
    """Before any clock of the test runs: who must be alone waits for the other processes."""
    if hasattr(item.config, "workerinput") and item.nodeid.startswith(ALONE):
        fcntl.flock(RUN, fcntl.LOCK_EX)
    return (yield)


def order_of(nodeid):
    """Labs wait more than they work; then the files that one process has for minutes."""
    place = place_of(nodeid)
    late = max((n for n, w in enumerate(LAST, 1) if nodeid.startswith(w)), default=0)
    return next(n for n, w in enumerate(LONG) if place.startswith(w)), late


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """What takes longest begins first: else it is what the run waits for at its end.

    A soak takes as long as it takes.
    """
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: order_of(item.nodeid))
    if PROFILE == "soak":
        for item in items:
            item.add_marker(pytest.mark.timeout(0))
