"""docs/controls.md and docs/controls-ci.json, made from the catalogue and the laws."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from loopback_iac.controls.action import MEND_WITHIN_DAYS
from loopback_iac.controls.evaluate import CHECKS
from loopback_iac.controls.exceptions import LONGEST_CRITICAL_DAYS, LONGEST_DAYS
from loopback_iac.controls.record import load_controls, load_laws, mappings_of

if TYPE_CHECKING:
    from loopback_iac.controls.record import Control

FAMILIES = {
    "RED": "Redundancy",
    "JUR": "Jurisdiction and suppliers",
    "SUP": "Jurisdiction and suppliers",
    "DNS": "Names",
    "BGP": "Routing",
    "SPC": "Routing",
    "ING": "Ingress and egress",
    "EGR": "Ingress and egress",
}
REST = "Hosts, access and changes"


def render_book() -> str:
    """The generated part of docs/controls.md: the table, then every control."""
    controls = list(load_controls().values())
    lines = ["| id | control | severity | by default | looks at |", "|---|---|---|---|---|"]
    lines += [_row(control) for control in controls]
    family = ""
    for control in controls:
        here = FAMILIES.get(control.id.partition("-")[0], REST)
        if here != family:
            lines += ["", f"## {here}"]
            family = here
        lines += ["", *_section(control)]
    lines += ["", "## Laws and versions", "", "| law | version | read on | |", "|---|---|---|---|"]
    lines += [
        f"| [{law.law}]({law.source}) | {law.version} | {law.read_on} | {law.note} |"
        for law in load_laws().values()
    ]
    return "\n".join(lines) + "\n"


def render_numbers() -> dict[str, str]:
    """Numbers that the written part of the page repeats."""
    controls = load_controls()
    checked = sum(control in CHECKS.checks for control in controls)
    mend = ", ".join(f"{severity} {days}" for severity, days in MEND_WITHIN_DAYS.items())
    return {
        "controls": str(len(controls)),
        "checked": str(checked),
        "manual": str(len(controls) - checked),
        "exception": str(LONGEST_DAYS),
        "critical": str(LONGEST_CRITICAL_DAYS),
        "mend": mend,
    }


def render_ci() -> str:
    """The pack's configuration for CI: critical and high refuse, an open critical one as well."""
    config: dict[str, dict[str, str]] = {}
    for control in load_controls().values():
        if control.id in CHECKS.checks and control.severity in ("critical", "high"):
            config[control.name] = {"enforcementLevel": "mandatory"}
            if control.severity == "critical":
                config[control.name]["when_open"] = "block"
    return json.dumps(config, indent=2) + "\n"


def _row(control: Control) -> str:
    default = "left to people" if control.manual else "refuses" if control.mandatory else "tells"
    anchor = f"[{control.id}](#{control.id.lower()})"
    return f"| {anchor} | {control.title} | {control.severity} | {default} | {control.level} |"


def _section(control: Control) -> list[str]:
    exceptable = "" if control.exceptable or control.manual else " It cannot be excepted."
    lines = [f"### {control.id}", "", f"**{control.title}** (`{control.name}`)", ""]
    lines += [f"{control.statement} {control.rationale}{exceptable}", ""]
    lines += [f"- looks at: {'; '.join(control.inputs)}"]
    for name, each in control.params.items():
        default = json.dumps(each.default)
        lines += [f"- `{name}`, default `{default}`: {each.why}"]
    lines += [f"- evidence: {control.evidence}", f"- fix: {control.remediation}"]
    if control.manual:
        told = control.manual
        lines += [f"- left to people: {told.because}; {told.owner}, every {told.every_days} days"]
    lines += [f"- stays with people: {control.residual}"]
    lines += [
        f"- {law.law} {point.point} ({point.strength}): {point.because}"
        for law, point in mappings_of(control.id)
    ]
    return lines
