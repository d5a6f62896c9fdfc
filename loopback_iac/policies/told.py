"""The last policy of the pack: what is open, excepted or left to people, told once per run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pulumi_policy import EnforcementLevel, Severity, StackValidationPolicy

from loopback_iac.controls import Finding, Outcome, overlapping, unused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pulumi_policy import ReportViolation, StackValidationArgs

    from loopback_iac.policies.projection import Ledger

NAME = "controls-told"


@dataclass
class Telling:
    """The policy over what the others noted."""

    ledger: Ledger

    def policy(self) -> StackValidationPolicy:
        """The policy; advisory, and last in the pack, because the SDK asks in that order."""
        return StackValidationPolicy(
            name=NAME,
            description="What no control refused, and none passed either",
            validate=self.validate,
            enforcement_level=EnforcementLevel.ADVISORY,
            severity=Severity.LOW,
            remediation_steps="docs/controls.md says of each control what stays with people.",
        )

    def validate(self, _: StackValidationArgs, report: ReportViolation) -> None:
        """Tell it, and forget it."""
        for text in self.texts():
            report(text, None)
        self.ledger.clear()

    def texts(self) -> Iterator[str]:
        """One text for what is open, one for what is for people, one per exception."""
        found = self.ledger.findings
        for outcome, words in (
            (Outcome.OPEN, "open until more is known"),
            (Outcome.MANUAL, "left to people"),
        ):
            here = [finding for finding in found if finding.outcome is outcome]
            if here:
                counts = Counter(finding.control for finding in here)
                told = ", ".join(f"{c} ({_things(n)})" for c, n in sorted(counts.items()))
                yield f"{words}: {told}"
        for finding in found:
            if finding.outcome is Outcome.EXCEPTED:
                yield f"{finding.control} excepted by {finding.exception}: {_where(finding)}"
        exceptions = list(self.ledger.exceptions.values())
        for each in exceptions:
            if not each.active:
                reasons = "; ".join(f"{p.path}: {p.got}, {p.fix}" for p in each.problems)
                yield f"exception {each.ident} is not active: {reasons}"
        for ident in unused(exceptions, found):
            yield f"exception {ident} covers nothing: mended, or misspelt"
        for one, other in overlapping(exceptions):
            yield f"exceptions {one} and {other} are about the same: one may outlive the other"


def _things(count: int) -> str:
    return "one thing" if count == 1 else f"{count} things"


def _where(finding: Finding) -> str:
    return f"{finding.urn or 'the stack'}: {finding.text}"
