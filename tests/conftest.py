"""Hypothesis profiles: small counts with every run, big ones with HYPOTHESIS_PROFILE=soak."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
# derandomized: a run of the tests is the same run everywhere; soak is where new examples come from
settings.register_profile(
    "default", max_examples=40, deadline=None, derandomize=True, suppress_health_check=SLOW
)
settings.register_profile("soak", max_examples=10_000, deadline=None, suppress_health_check=SLOW)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "default")
settings.load_profile(PROFILE)


def pytest_collection_modifyitems(items):
    """A soak takes as long as it takes."""
    if PROFILE == "soak":
        for item in items:
            item.add_marker(pytest.mark.timeout(0))
