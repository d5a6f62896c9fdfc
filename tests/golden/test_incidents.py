"""The documents' example of an incident, drafted at one moment: every stage as people read it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from loopback_iac.incident import (
    Before,
    make_draft,
    parse_evidence,
    parse_facts,
    render_json,
    render_page,
)
from loopback_iac.model import Problem
from tests.golden import case as golden

CASE = Path(__file__).parent / "incidents/altered-record"
DOCS = Path(__file__).parents[2] / "docs"
NOW = dt.datetime(2026, 11, 20, 18, 0, tzinfo=dt.UTC)
STAGES = ("early-warning", "notification", "final")


@pytest.fixture(scope="module")
def drafts():
    facts = parse_facts("facts", (DOCS / "incident-example.yaml").read_text(), NOW)
    evidence = [
        parse_evidence(each.path, each, (DOCS / each.path).read_bytes()) for each in facts.evidence
    ]
    assert not [each for each in evidence if isinstance(each, Problem)]
    before = [None, *(Before(n, f"00{n}-{STAGES[n - 1]}", f"{n}" * 64) for n in (1, 2))]
    return [
        make_draft(facts, evidence, stage, NOW, earlier)
        for stage, earlier in zip(STAGES, before, strict=True)
    ]


def test_drafts(drafts):
    texts = {f"{tree['stage']}.md": render_page(tree).text for tree in drafts}
    diff = golden.compare(CASE, texts | {"final.json": render_json(drafts[-1])})
    assert not diff, f"\n{diff}"


def test_what_they_mean(drafts):
    first, _, last = drafts
    dues = [each["due"]["utc"] for each in first["clock"]["deadlines"]]
    assert dues == ["2026-11-21T01:40:00Z", "2026-11-23T01:40:00Z", "2026-12-23T01:40:00Z"]
    verdicts = {each["point"]: each["verdict"] for each in first["significance"]["criteria"]}
    assert (verdicts["5(a)"], verdicts["5(c)"], verdicts["10(b)"]) == (
        "not met", "unknown", "unknown"
    )  # fmt: skip
    assert first["significance"]["verdict"] == "unknown"
    assert {each["source"] for each in first["timeline"]} == {
        "facts", "facts, from support line",
        "incident-example/dns-check.json", "incident-example/journal.json",
    }  # fmt: skip
    assert (last["progress"], last["version"], last["previous"]["version"]) == (True, 3, 2)
    assert first["to_settle"] == []
