"""The page of promises leans on drills that exist."""

from __future__ import annotations

import re
from pathlib import Path

from loopback_iac.lab.drill.drills import DRILLS
from loopback_iac.lab.names.drills import DRILLS as OF_NAMES

ROOT = Path(__file__).parents[2]


def test_each_promise_names_a_drill_or_a_place_that_exists():
    rows = [line for line in (ROOT / "docs/why.md").read_text().splitlines() if line[:2] == "| "]
    proofs = [row.split("|")[3] for row in rows[1:]]
    assert len(proofs) > 10
    for proof in proofs:
        drills = re.findall(r"`([^`]+)`", proof)
        places = re.findall(r"tests/\S+|\[(\S+\.md)\]", proof)
        assert set(drills) <= {*DRILLS, *OF_NAMES}
        assert drills or places or "every drill" in proof
