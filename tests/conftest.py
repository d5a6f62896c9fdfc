"""Counts of examples, small ones with every run; and what a run over several processes shares out.

HYPOTHESIS_PROFILE=soak asks for the big counts.
"""

from __future__ import annotations

import os

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


# A lab is one process's, from its boot to its end.
LABS = ("tests/lab/agent/", "tests/lab/")
LONG = (*LABS, "tests/accept/test_resolver_drills", "tests/accept/", "tests/engine/", "")
NICE = os.getpriority(os.PRIO_PROCESS, 0)
BESIDE = min(NICE + 5, 19)  # how nice tests without a lab are to those with one


class ByPlace(LoadScopeScheduling):
    """Who shares a lab stays together, as everybody else of one file does."""

    def _split_scope(self, nodeid):
        file = nodeid.split("::", 1)[0]
        return next((lab for lab in LABS if file.startswith(lab)), file)


def pytest_xdist_make_scheduler(config, log):
    """For `pytest -n ... --dist loadfile`."""
    return ByPlace(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logstart(nodeid, location):
    """Who waits for hosts is who the run waits for: beside a lab, others take what it leaves."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.setpriority(os.PRIO_PROCESS, 0, NICE if nodeid.startswith(LABS) else BESIDE)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """What takes longest begins first: else it is what the run waits for at its end.

    Labs wait more than they work; then the files that one process has for minutes. A soak takes as
    long as it takes.
    """
    if hasattr(config, "workerinput"):
        items.sort(
            key=lambda item: next(n for n, w in enumerate(LONG) if item.nodeid.startswith(w))
        )
    if PROFILE == "soak":
        for item in items:
            item.add_marker(pytest.mark.timeout(0))
