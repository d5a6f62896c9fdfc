"""What controls found over a stack, as one document: every control, passed or not."""

from __future__ import annotations

from importlib import metadata
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from loopback_iac.controls import (
    Wish,
    load_controls,
    mappings_of,
    overlapping,
    plan_of_action,
    read_exceptions,
    shown,
    unused,
)
from loopback_iac.evidence.canonical import sha256

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.abc import Traversable

    from loopback_iac.controls import Action, Control, Finding, Report

FORMAT = 1
REGISTER = "register"
"""A parameter that has a document of its own."""


def render_results(report: Report, wish: Wish, pack: dict[str, str]) -> dict[str, Any]:
    """Every control with its outcome, findings and mappings; exceptions; what is to be mended."""
    exceptions = read_exceptions(wish.exceptions, report.today)
    return {
        "format": FORMAT,
        "today": str(report.today),
        "pack": pack,
        "counts": {str(outcome): n for outcome, n in sorted(report.counts().items())},
        "controls": [_control(each, report, wish) for each in load_controls().values()],
        "exceptions": [shown(each) for each in exceptions],
        "exceptions_unused": unused(exceptions, report.findings),
        "exceptions_overlapping": [[*pair] for pair in overlapping(exceptions)],
        "plan_of_action": [_action(each) for each in plan_of_action(report)],
    }


def pack_identity() -> dict[str, str]:
    """Which controls these are: the release, and SHA-256 over records, mappings and checks."""
    root = files("loopback_iac.controls")
    listed = "".join(
        f"{sha256(path.read_bytes())}  {name}\n" for name, path in sorted(_walk(root, ""))
    )
    return {"version": metadata.version("loopback-iac"), "sha256": sha256(listed.encode())}


def _walk(folder: Traversable, above: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        name = f"{above}{entry.name}"
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _walk(entry, f"{name}/")
        elif entry.name.endswith((".py", ".yaml")):
            yield name, entry


def _control(control: Control, report: Report, wish: Wish) -> dict[str, Any]:
    settings = control.settings(dict(wish.params.get(control.id, {})))
    return {
        "id": control.id,
        "name": control.name,
        "title": control.title,
        "statement": control.statement,
        "severity": control.severity,
        "outcome": str(report.outcome(control.id)),
        "parameters": {k: v for k, v in settings.items() if k != REGISTER},
        "findings": [_finding(each) for each in report.of(control.id)],
        "remediation": control.remediation,
        "stays_with_people": control.residual,
        "produces_evidence_for": [
            {
                "law": law.law,
                "id": law.id,
                "version": law.version,
                "source": law.source,
                "point": point.point,
                "strength": point.strength,
                "because": point.because,
            }
            for law, point in mappings_of(control.id)
        ],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    told = {
        "outcome": str(finding.outcome),
        "text": finding.text,
        "urn": finding.urn,
        "subject": finding.subject,
        "exception": finding.exception,
        "owner": finding.owner,
        "due": "" if finding.due is None else str(finding.due),
    }
    return {key: value for key, value in told.items() if value}


def _action(action: Action) -> dict[str, str]:
    return {
        "control": action.control,
        "severity": action.severity,
        "what": action.what,
        "where": action.where,
        "remediation": action.remediation,
        "owner": action.owner,
        "due": str(action.due),
        "exception": action.exception,
    }
