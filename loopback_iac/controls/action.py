"""The plan of action: what fails, who mends it and until when (NIS-2 Art. 21(4))."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from loopback_iac.controls.record import load_controls
from loopback_iac.controls.result import Outcome

if TYPE_CHECKING:
    from loopback_iac.controls.result import Report

MEND_WITHIN_DAYS = {"critical": 7, "high": 30, "medium": 90, "low": 180}
"""Our own measure: the law says "without undue delay" and names no number."""
ASKED = (Outcome.FAIL, Outcome.ERROR, Outcome.EXCEPTED)


@dataclass(frozen=True)
class Action:
    """One thing to mend."""

    control: str
    severity: str
    what: str
    where: str
    remediation: str
    owner: str
    """Empty while nobody took it."""
    due: date
    exception: str = ""


def plan_of_action(report: Report) -> tuple[Action, ...]:
    """
    Everything that fails, excepted or not, with the day by which it is to be mended.

    Out: soonest first; an exception's last day is the day.
    """
    controls = load_controls()
    found = []
    for finding in report.findings:
        if finding.outcome not in ASKED:
            continue
        control = controls[finding.control]
        days = timedelta(days=MEND_WITHIN_DAYS[control.severity])
        found.append(
            Action(
                control.id,
                control.severity,
                finding.text,
                finding.urn or finding.name,
                control.remediation,
                finding.owner,
                finding.due or report.today + days,
                finding.exception,
            )
        )
    return tuple(sorted(found, key=lambda a: (a.due, a.control, a.where, a.what)))
