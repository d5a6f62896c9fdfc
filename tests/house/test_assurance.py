"""The page of assurance says what its sources say, and its evidence is there."""

from __future__ import annotations

import os
import re

import pytest

from loopback_iac.controls import CHECKS, load_controls
from tests.house.assurance import DRILLS, PROOFS, ROOT, load_case, render_assurance, said_by

CLAIMS = load_case()["claims"]
PAGE = ROOT / "docs/assurance.md"
RUN = ROOT / "tests/run"


def test_the_page_is_made_from_its_sources():
    made = render_assurance()
    if os.environ.get("UPDATE_GOLDEN") == "1":
        PAGE.write_text(made)
    assert PAGE.read_text() == made


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim["id"])
def test_every_evidence_that_is_named_is_there(claim):
    for ident in claim["tests"]:
        path, _, name = ident.partition("::")
        assert (ROOT / path).is_file(), ident
        assert name in said_by(path), ident
        assert name.startswith("test_"), ident
        assert any(place in RUN.read_text() for place in places(path)), f"{ident} is in no run"
    controls = load_controls()
    assert set(claim.get("controls", ())) <= controls.keys()
    assert set(claim.get("drills", ())) <= DRILLS.keys()
    assert all((PROOFS / each / "certificate.json").is_file() for each in claim.get("proofs", ()))
    assert all((ROOT / each).is_file() for each in claim["documents"])
    for ident in claim.get("controls", ()):
        assert (ident in CHECKS.checks) != bool(controls[ident].manual)


def places(path: str) -> list[str]:
    """Folders above a file: `make test` names some of them."""
    steps = path.split("/")
    return ["/".join(steps[:n]) for n in range(2, len(steps) + 1)]


def test_no_control_and_no_drill_is_evidence_for_nothing():
    named = {"controls": list(load_controls()), "drills": list(DRILLS)}
    for kind, there in named.items():
        used = [each for claim in CLAIMS for each in claim.get(kind, ())]
        assert sorted(used) == sorted(there), kind


def test_every_claim_says_what_would_make_it_wrong_and_what_it_does_not_show():
    for claim in CLAIMS:
        wanted = ("id", "claim", "management", "argument", "tests", "documents")
        assert all(claim[key] for key in (*wanted, "wrong_if", "not_shown")), claim["id"]
    assert len({claim["id"] for claim in CLAIMS}) == len(CLAIMS)
    told = re.findall(r"\b[A-Z]\d\b", load_case()["top"]["argument"])
    assert sorted(told) == sorted(claim["id"] for claim in CLAIMS)


def test_no_word_promises_what_people_judge():
    for word in ("complies", "ensures", "certified", "tamper-proof", "always", "proven secure"):
        assert word not in PAGE.read_text(), word
