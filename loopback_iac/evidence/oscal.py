"""What controls are there for and what they found, as OSCAL 1.2.1: three models of it.

Written by hand: compliance-trestle brings 60 packages for three documents.
A finding is made only where something was decided. Nothing is said to satisfy a point of a law: the
component definition says which points a control produces evidence for, the results are those of our
own controls.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from loopback_iac.evidence.cyclonedx import identifier

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VERSION = "1.2.1"
DECIDED = {
    "pass": ("satisfied", "pass"),
    "fail": ("not-satisfied", "fail"),
    "error": ("not-satisfied", "other"),
    "excepted": ("not-satisfied", "other"),
}
NAMESPACE = "https://loopback-iac.example/ns/oscal"
NO_PLAN = (
    "There is no assessment plan in OSCAL. What was looked at and how stands in results.json, and "
    "in the records of the controls that this pack has."
)


def render_component(head: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, Any]:
    """The component definition: per law, which control produces evidence for which point."""
    laws: dict[tuple[str, str, str, str], dict[str, list[tuple[str, Mapping[str, Any]]]]] = {}
    for control in results["controls"]:
        for point in control["produces_evidence_for"]:
            law = (point["id"], point["law"], point["version"], point["source"])
            laws.setdefault(law, {}).setdefault(point["point"], []).append((control["id"], point))
    implementations = [
        {
            "uuid": identifier(head, f"implementation/{law[0]}"),
            "source": law[3],
            "description": f"Controls that produce evidence for points of {law[1]}, {law[2]}.",
            "implemented-requirements": [
                _requirement(head, law[0], point, served) for point, served in points.items()
            ],
        }
        for law, points in laws.items()
    ]
    component = {
        "uuid": identifier(head, "component"),
        "type": "software",
        "title": "loopback-iac",
        "description": f"Edge and names of {head['project']}, stack {head['stack']}, as code.",
        "control-implementations": implementations,
    }
    return {
        "component-definition": {
            "uuid": identifier(head, "component-definition"),
            "metadata": _metadata(head, "Which control is there for which point"),
            "components": [component],
        }
    }


def render_assessment(head: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, Any]:
    """The assessment results: an observation per control, a finding where it was decided."""
    controls = results["controls"]
    plan = identifier(head, "plan")
    found = {
        "uuid": identifier(head, "result"),
        "title": f"Controls over {head['project']}, stack {head['stack']}",
        "description": "Controls over the state of the stack, which says what was deployed.",
        "start": head["made"],
        "end": head["made"],
        "reviewed-controls": {
            "control-selections": [
                {"include-controls": [{"control-id": _token(each["id"])} for each in controls]}
            ]
        },
        "observations": [_observation(head, each) for each in controls],
    }
    if findings := [_finding(head, each) for each in controls if each["outcome"] in DECIDED]:
        found["findings"] = findings
    resource = {"uuid": plan, "title": "No assessment plan", "description": NO_PLAN}
    return {
        "assessment-results": {
            "uuid": identifier(head, "assessment-results"),
            "metadata": _metadata(head, "What controls found"),
            "import-ap": {"href": f"#{plan}", "remarks": NO_PLAN},
            "results": [found],
            "back-matter": {"resources": [resource]},
        }
    }


def render_plan(head: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, Any] | None:
    """The plan of action and milestones; None where nothing is to be mended."""
    items = [
        {
            "uuid": identifier(head, f"action/{number}"),
            "title": f"{each['control']} until {each['due']}",
            "description": f"{each['what']}\n\n{each['where']}\n\n{each['remediation']}",
            "props": [
                {"name": name, "ns": NAMESPACE, "value": value}
                for name in ("due", "severity", "owner", "exception")
                if (value := " ".join(each[name].split()))
            ],
        }
        for number, each in enumerate(results["plan_of_action"])
    ]
    if not items:
        return None
    return {
        "plan-of-action-and-milestones": {
            "uuid": identifier(head, "plan-of-action"),
            "metadata": _metadata(head, "What is to be mended"),
            "system-id": {"id": f"{head['project']}/{head['stack']}"},
            "poam-items": items,
        }
    }


def _metadata(head: Mapping[str, Any], title: str) -> dict[str, Any]:
    return {
        "title": f"{title}: {head['project']}, stack {head['stack']}",
        "last-modified": head["made"],
        "version": str(head["number"]),
        "oscal-version": VERSION,
    }


def _requirement(
    head: Mapping[str, Any], law: str, point: str, served: list[tuple[str, Mapping[str, Any]]]
) -> dict[str, Any]:
    return {
        "uuid": identifier(head, f"requirement/{law}/{point}"),
        "control-id": _token(f"{law}-{point}"),
        "description": "\n\n".join(
            f"{control} ({said['strength']}): {said['because']}" for control, said in served
        ),
        "props": [{"name": "label", "value": point}],
    }


def _observation(head: Mapping[str, Any], control: Mapping[str, Any]) -> dict[str, Any]:
    lines = list(_lines(control))
    return {
        "uuid": identifier(head, f"observation/{control['id']}"),
        "title": f"{control['id']} {control['title']}",
        "description": "\n\n".join(
            [f"{control['statement']} Outcome: {control['outcome']}.", *lines]
        ),
        "props": [
            {"name": "outcome", "ns": NAMESPACE, "value": control["outcome"].replace(" ", "-")}
        ],
        "methods": ["EXAMINE" if control["outcome"] == "manual" else "TEST"],
        "types": ["finding"],
        "collected": head["made"],
        "relevant-evidence": [
            {"href": "./results.json", "description": f"the findings of {control['id']}"}
        ],
    }


def _lines(control: Mapping[str, Any]) -> Iterator[str]:
    for finding in control["findings"]:
        if finding["outcome"] != "pass":
            where = f"{finding['urn']}: " if finding.get("urn") else ""
            yield f"{finding['outcome']}: {where}{finding.get('text', '')}"


def _finding(head: Mapping[str, Any], control: Mapping[str, Any]) -> dict[str, Any]:
    state, reason = DECIDED[control["outcome"]]
    return {
        "uuid": identifier(head, f"finding/{control['id']}"),
        "title": f"{control['id']} {control['title']}",
        "description": f"{control['statement']} Outcome: {control['outcome']}.",
        "target": {
            "type": "objective-id",
            "target-id": _token(control["id"]),
            "status": {"state": state, "reason": reason},
        },
        "related-observations": [
            {"observation-uuid": identifier(head, f"observation/{control['id']}")}
        ],
    }


def _token(text: str) -> str:
    """As OSCAL spells identifiers: `cir-6.7.2(l)` becomes `cir-6.7.2.l`."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", ".", text).strip(".")
    return plain if plain[:1].isalpha() else f"_{plain}"
