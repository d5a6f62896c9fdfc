"""Exceptions: somebody takes the risk of a failing control, by name, with a reason, up to a day.

One function decides whether an exception is active, for the pack, reports and plans of action
alike. What is malformed or past is inactive, so the control fails again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from loopback_iac.controls.record import Control, load_controls
from loopback_iac.controls.result import Finding, Outcome
from loopback_iac.model.fields import Line, Value
from loopback_iac.model.origin import Day
from loopback_iac.model.problem import Problem
from loopback_iac.model.structure import collect, plain

LONGEST_DAYS = 180
LONGEST_CRITICAL_DAYS = 30
STACK = "stack"
"""In place of a URN, for what a control says of the stack as a whole."""


class ExceptionRecord(Value):
    """What has to be said before a failing control stops refusing."""

    id: Line
    rule: Line
    """Id of the control."""
    urn: Line
    """Of the resource, whole; `stack` for findings that name none."""
    subject: Line | None = None
    """What in the resource, where the control looks at several things in it."""
    reason: Line
    risk: Line
    """Where the risk is recorded."""
    compensating_control: Line
    owner: Line
    author: Line
    approver: Line
    ticket: Line
    created: Day
    expires: Day
    """The last day on which it holds."""
    last_review: Day


@dataclass(frozen=True)
class Exceptional:
    """An exception as it was given, and why it is inactive, if it is."""

    ident: str
    record: ExceptionRecord | None
    problems: tuple[Problem, ...] = ()

    @property
    def active(self) -> bool:
        """Whether it covers anything at all."""
        return self.record is not None and not self.problems

    def covers(self, finding: Finding) -> bool:
        """Whether it is about this finding."""
        if not self.active or self.record is None:
            return False
        urn = finding.urn or STACK
        same = self.record.subject is None or self.record.subject == finding.subject
        return same and (self.record.rule, self.record.urn) == (finding.control, urn)


def read_exceptions(given: Sequence[object], today: date) -> list[Exceptional]:
    """Exceptions as given, each active or with every reason why it is not; never raises."""
    found = [_read(index, tree, today) for index, tree in enumerate(given)]
    twice = {each.ident for each in found if [e.ident for e in found].count(each.ident) > 1}
    return [
        replace(each, problems=(*each.problems, _twice(each.ident)))
        if each.ident in twice
        else each
        for each in found
    ]


def cover(control: Control, finding: Finding, exceptions: Iterable[Exceptional]) -> Finding:
    """The finding, excepted where an active exception is about it; it stays in every report."""
    if finding.outcome is not Outcome.FAIL or not control.exceptable:
        return finding
    for each in exceptions:
        if each.record is not None and each.covers(finding):
            said = each.record
            text = f"{finding.text}; taken by {said.owner} until {said.expires}: {said.reason}"
            return replace(
                finding,
                outcome=Outcome.EXCEPTED,
                text=text,
                exception=said.id,
                owner=said.owner,
                due=said.expires,
            )
    return finding


def unused(exceptions: Iterable[Exceptional], findings: Iterable[Finding]) -> list[str]:
    """Active exceptions that cover nothing: what they were for has been mended, or was misspelt."""
    used = {finding.exception for finding in findings}
    return [each.ident for each in exceptions if each.active and each.ident not in used]


def overlapping(exceptions: Iterable[Exceptional]) -> list[tuple[str, str]]:
    """Pairs of active exceptions about the same thing: one could outlive the other unseen."""
    active = [each.record for each in exceptions if each.active and each.record is not None]
    return [
        (one.id, other.id)
        for index, one in enumerate(active)
        for other in active[index + 1 :]
        if (one.rule, one.urn) == (other.rule, other.urn)
        and (one.subject is None or other.subject is None or one.subject == other.subject)
    ]


def _read(index: int, tree: object, today: date) -> Exceptional:
    path = f"exceptions[{index}]"
    problems: list[Problem] = []
    record = collect(ExceptionRecord, path, plain(tree), problems)
    if record is None:
        given = tree.get("id") if isinstance(tree, Mapping) else None
        return Exceptional(given if isinstance(given, str) else path, None, tuple(problems))
    return Exceptional(record.id, record, tuple(_check(path, record, today)))


def _check(path: str, record: ExceptionRecord, today: date) -> list[Problem]:
    control = load_controls().get(record.rule)
    if control is None:
        fix = "write the id, for example RED-02"
        return [Problem(f"{path}.rule", "there is no such control", "", fix, "exception-rule")]
    critical = control.severity == "critical"
    most = LONGEST_CRITICAL_DAYS if critical else LONGEST_DAYS
    found: list[tuple[bool, str, str, str, str]] = [
        (
            not control.exceptable,
            "rule",
            f"{control.id} cannot be excepted",
            "mend it",
            "exception-refused",
        ),
        (
            "*" in record.urn,
            "urn",
            "a pattern covers what nobody looked at",
            "write the whole URN of one resource, or `stack`",
            "exception-urn",
        ),
        (
            _same(record.approver, record.author),
            "approver",
            "the author approves what the author wrote",
            "let somebody else approve it",
            "exception-approver",
        ),
        (
            record.expires - record.created > timedelta(days=most),
            "expires",
            f"longer than {most} days after `created`",
            "choose a nearer day, and review it then",
            "exception-long",
        ),
        (
            record.expires < today,
            "expires",
            f"it ended on {record.expires}",
            "mend what it was for, or have it approved anew",
            "exception-past",
        ),
        (
            not record.created <= record.last_review <= today,
            "last_review",
            "not between `created` and today",
            "write the day of the last review",
            "exception-review",
        ),
    ]
    return [
        Problem(f"{path}.{part}", got, "", fix, rule) for bad, part, got, fix, rule in found if bad
    ]


def _same(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


def _twice(ident: str) -> Problem:
    fix = "give each its own"
    return Problem("exceptions", f"id {ident!r} stands there twice", "", fix, "exception-twice")


def shown(exceptional: Exceptional) -> dict[str, Any]:
    """For a report: the record, and why it is inactive."""
    record = exceptional.record.model_dump(mode="json") if exceptional.record else {}
    return {
        "id": exceptional.ident,
        "active": exceptional.active,
        "problems": [f"{p.path}: {p.got}; {p.fix}" for p in exceptional.problems],
        **record,
    }
