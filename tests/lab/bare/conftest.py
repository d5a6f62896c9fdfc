"""Labs before anything is deployed: not the fleet's, whose process has most to do of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from loopback_iac.lab import Lab


@pytest.fixture(scope="session")
def lab(spare_lab: Lab) -> Lab:
    """Not the fleet's; those of clouds and racks come to it later."""
    return spare_lab
