"""Results as SARIF 2.1.0, for what shows findings of tools.

Written by hand: SARIF libraries are models without rules, and what is needed of it is small.
Sources: OASIS SARIF 2.1.0, 3.27.9 (kind), 3.27.10 (level), 3.35 (suppression).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
KINDS = {
    "pass": "pass",
    "fail": "fail",
    "error": "fail",
    "excepted": "fail",
    "open": "open",
    "manual": "review",
    "not applicable": "notApplicable",
}
LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note"}


def render_sarif(head: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, Any]:
    """Every finding of every control; what an exception covers is a suppressed failure."""
    controls = results["controls"]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "loopback-iac",
                        "version": results["pack"]["version"],
                        "rules": [_rule(each) for each in controls],
                    }
                },
                "automationDetails": {"id": f"{head['project']}/{head['stack']}/{head['number']}"},
                "invocations": [
                    {
                        "executionSuccessful": not any(c["outcome"] == "error" for c in controls),
                        "endTimeUtc": head["made"],
                    }
                ],
                "columnKind": "unicodeCodePoints",
                "results": [
                    _result(index, control, finding)
                    for index, control in enumerate(controls)
                    for finding in control["findings"]
                ],
            }
        ],
    }


def _rule(control: Mapping[str, Any]) -> dict[str, Any]:
    points = [f"{each['id']}:{each['point']}" for each in control["produces_evidence_for"]]
    return {
        "id": control["id"],
        "name": control["name"],
        "shortDescription": {"text": control["title"]},
        "fullDescription": {"text": control["statement"]},
        "help": {"text": control["remediation"]},
        "defaultConfiguration": {"level": LEVELS[control["severity"]]},
        "properties": {"tags": [control["severity"], *dict.fromkeys(points)]},
    }


def _result(index: int, control: Mapping[str, Any], finding: Mapping[str, Any]) -> dict[str, Any]:
    kind = KINDS[finding["outcome"]]
    where = finding.get("urn") or finding.get("subject") or "stack"
    made: dict[str, Any] = {
        "ruleId": control["id"],
        "ruleIndex": index,
        "kind": kind,
        "level": LEVELS[control["severity"]] if kind == "fail" else "none",
        "message": {"text": finding.get("text") or control["title"]},
        "locations": [
            {"logicalLocations": [{"fullyQualifiedName": where, "kind": "resource"}]},
        ],
    }
    if finding["outcome"] == "excepted":
        said = f"exception {finding.get('exception', '')}, until {finding.get('due', '')}"
        suppressed = {"kind": "external", "status": "accepted", "justification": said}
        made["suppressions"] = [suppressed]
    return made
