"""What `loopback audit log --json` prints is evidence for an incident's draft."""

from __future__ import annotations

from loopback_iac.incident import Evidence, EvidenceFile, parse_evidence
from tests.unit.evidence.states import run


def test_each_update_becomes_an_entry_with_its_time_and_reason(made):
    told = run("audit", "log", "--chain", str(made.chain), "--json")
    assert told.exit_code == 0, told.output
    found = parse_evidence("evidence[0]", EvidenceFile(path="log.json"), told.stdout.encode())
    assert isinstance(found, Evidence), found
    assert found.kind == "audit-log"
    assert [each.at.isoformat() for each in found.entries if each.at] == [
        f"2026-11-21T12:0{minute}:00+00:00" for minute in (1, 2, 3)
    ]
    assert [each.what.rpartition(": ")[2] for each in found.entries] == [
        "update 1", "update 2", "update 3"
    ]  # fmt: skip
    assert found.entries[0].what.startswith("update 1 of prod recorded: ")
