"""Every drill is told in the documents."""

from __future__ import annotations

import re
from pathlib import Path

from loopback_iac.lab.drill.drills import DRILLS
from loopback_iac.lab.names.drills import DRILLS as OF_NAMES

PAGE = Path(__file__).parents[2] / "docs/drills.md"


def test_the_page_tells_every_drill_and_no_other():
    rows = [line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    told = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert told == [*DRILLS, *OF_NAMES]
