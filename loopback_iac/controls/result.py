"""What a control found, in seven words; nothing is passed by being left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date


class Outcome(StrEnum):
    """How one control came out for one thing it looked at."""

    PASS = "pass"  # noqa: S105  # a word, no password
    FAIL = "fail"
    OPEN = "open"
    """A fact that decides is known after `up` only."""
    NOT_APPLICABLE = "not applicable"
    EXCEPTED = "excepted"
    """It fails, and somebody took the risk of that until a day."""
    MANUAL = "manual"
    """No program can see it; a person answers for it."""
    ERROR = "error"
    """The rule itself broke: what it should have looked at was not looked at."""


BLOCKING = frozenset({Outcome.FAIL, Outcome.ERROR})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a control looked at, or why it looked at nothing."""

    outcome: Outcome
    text: str = ""
    urn: str = ""
    name: str = ""
    """Of the resource."""
    subject: str = ""
    """What in the resource, where it holds several: `prefix v4`."""
    control: str = ""
    exception: str = ""
    owner: str = ""
    due: date | None = None


@dataclass(frozen=True)
class Report:
    """Everything that was found, in the order of the controls."""

    findings: tuple[Finding, ...]
    today: date

    def of(self, control: str) -> tuple[Finding, ...]:
        """Findings of one control."""
        return tuple(f for f in self.findings if f.control == control)

    def outcome(self, control: str) -> Outcome:
        """The one word for a control: the worst of its findings."""
        found = {finding.outcome for finding in self.of(control)}
        return next((each for each in WORST_FIRST if each in found), Outcome.NOT_APPLICABLE)

    def counts(self) -> dict[Outcome, int]:
        """How many controls came out how."""
        names = dict.fromkeys(finding.control for finding in self.findings)
        return dict(Counter(self.outcome(name) for name in names))


WORST_FIRST = (
    Outcome.ERROR,
    Outcome.FAIL,
    Outcome.OPEN,
    Outcome.EXCEPTED,
    Outcome.MANUAL,
    Outcome.PASS,
    Outcome.NOT_APPLICABLE,
)
