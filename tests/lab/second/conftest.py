"""A fleet beside the drills', for what moves workers and names, and takes as long as they do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.lab.conftest import NAME, Deployed, deploy, lab_of_tests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopback_iac.lab import Lab


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The lab `testsecond`; whoever changes a host puts it back."""
    yield from lab_of_tests(f"{NAME}second", "demo", Path(__file__).parent)


@pytest.fixture(scope="session")
def fleet(lab: Lab) -> Deployed:
    """The deployed fleet, with patient timers; whoever changes it puts it back."""
    return deploy(lab)
