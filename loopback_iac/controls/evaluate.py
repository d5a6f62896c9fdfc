"""Controls over a stack: every one comes out as something, and one that breaks names itself."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from loopback_iac.controls.exceptions import Exceptional, cover, read_exceptions
from loopback_iac.controls.record import Control, load_controls
from loopback_iac.controls.result import Finding, Outcome, Report
from loopback_iac.controls.stack import Resource, Stack, inapplicable, unsure
from loopback_iac.controls.tree import UndecidedError

Settings = Mapping[str, Any]
ResourceCheck = Callable[[Resource, Settings], Iterable[Finding]]
StackCheck = Callable[[Stack, Settings], Iterable[Finding]]


@dataclass(frozen=True)
class Check:
    """The code of one control: over one resource of certain kinds, or over the whole stack."""

    control: str
    kinds: frozenset[str] = frozenset()
    of_resource: ResourceCheck | None = None
    of_stack: StackCheck | None = None


@dataclass
class Registry:
    """Checks by the id of their control; each control has one at most."""

    checks: dict[str, Check] = field(default_factory=dict)

    def resource(self, control: str, *kinds: str) -> Callable[[ResourceCheck], ResourceCheck]:
        """Register a check over resources of these kinds."""

        def register(check: ResourceCheck) -> ResourceCheck:
            self._add(Check(control, frozenset(kinds), of_resource=check))
            return check

        return register

    def stack(self, control: str) -> Callable[[StackCheck], StackCheck]:
        """Register a check over the whole stack."""

        def register(check: StackCheck) -> StackCheck:
            self._add(Check(control, of_stack=check))
            return check

        return register

    def _add(self, check: Check) -> None:
        if check.control in self.checks:
            raise ValueError(f"{check.control} has two checks")
        self.checks[check.control] = check


CHECKS = Registry()


@dataclass(frozen=True)
class Wish:
    """What is set otherwise than the catalogue has it, by the id of the control."""

    params: Mapping[str, Settings] = field(default_factory=dict)
    exceptions: Sequence[Mapping[str, Any]] = ()
    owners: Mapping[str, str] = field(default_factory=dict)
    """Who answers for a manual control."""
    reviewed: Mapping[str, date] = field(default_factory=dict)
    """When somebody last did."""


NOTHING_SET = Wish()


def evaluate(stack: Stack, today: date, wish: Wish = NOTHING_SET) -> Report:
    """
    Every control over a stack.

    In: today decides which exceptions are active and what is due; wish, as set.
    Out: at least one finding per control.
    """
    exceptions = read_exceptions(wish.exceptions, today)
    found: list[Finding] = []
    for control in load_controls().values():
        settings = control.settings(dict(wish.params.get(control.id, {})))
        found += check_control(control, stack, settings, exceptions, wish)
    return Report(tuple(found), today)


def check_control(
    control: Control,
    stack: Stack,
    settings: Settings,
    exceptions: Sequence[Exceptional] = (),
    wish: Wish = NOTHING_SET,
) -> list[Finding]:
    """Findings of one control over a stack; never raises, never empty."""
    check = CHECKS.checks.get(control.id)
    if check is None:
        return [_manual(control, wish)]
    found = list(_run(check, stack, settings))
    if not found:
        found = [inapplicable(f"nothing of it in this stack; it looks at {control.inputs[0]}")]
    return [cover(control, replace(f, control=control.id), exceptions) for f in found]


def check_resource(control: Control, resource: Resource, settings: Settings) -> list[Finding]:
    """Findings of a resource control over one resource; none where it is not about its kind."""
    check = CHECKS.checks[control.id]
    if check.of_resource is None or resource.kind not in check.kinds:
        return []
    found = _guarded(check, lambda: check.of_resource(resource, settings), resource)  # type: ignore[misc]
    return [replace(f, control=control.id) for f in found]


def _run(check: Check, stack: Stack, settings: Settings) -> Iterator[Finding]:
    of_stack, of_resource = check.of_stack, check.of_resource
    if of_stack is not None:
        yield from _guarded(check, lambda: of_stack(stack, settings), None)
        return
    for resource in stack.of(*sorted(check.kinds)):
        if of_resource is not None:
            yield from _guarded(check, lambda one=resource: of_resource(one, settings), resource)  # type: ignore[misc]


def _guarded(
    check: Check, run: Callable[[], Iterable[Finding]], resource: Resource | None
) -> list[Finding]:
    """What a check said up to the point where it could not go on, and why it could not."""
    found: list[Finding] = []
    where = resource or Resource("", "", {})
    try:
        found.extend(run())
    except UndecidedError as cause:
        found.append(unsure(where, [cause.path]))
    except Exception as cause:  # noqa: BLE001  # a rule that broke has not passed, whatever broke
        found.append(Finding(Outcome.ERROR, _culprit(check, cause), where.label, where.name))
    return found


def _culprit(check: Check, cause: Exception) -> str:
    """Where the rule broke; never the exception's own text, which may hold a value it choked on."""
    last = traceback.extract_tb(cause.__traceback__)[-1]
    place = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
    return f"the rule {check.control} itself broke: {type(cause).__name__} at {place}"


def _manual(control: Control, wish: Wish) -> Finding:
    told = control.manual
    if told is None:
        text = f"the rule {control.id} has no check and does not say who answers for it"
        return Finding(Outcome.ERROR, text, control=control.id)
    owner = wish.owners.get(control.id, "")
    seen = wish.reviewed.get(control.id)
    due = None if seen is None else seen + timedelta(days=told.every_days)
    asked = f"{told.because}; asked of {told.owner}, every {told.every_days} days"
    return Finding(Outcome.MANUAL, asked, control=control.id, owner=owner, due=due)
