"""A control as a policy: its record gives name, severity, framework and configuration.

A policy reports what fails. What it cannot tell yet, what is excepted and what is left to people
goes to the ledger, whose own policy tells it once at the end; so nothing is silently passed, and no
line is printed per resource.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyComplianceFramework,
    PolicyConfigSchema,
    ResourceValidationPolicy,
    Severity,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UNKNOWN_OBJECT_VALUE, UnknownValueError

from loopback_iac.controls import (
    CHECKS,
    Control,
    Exceptional,
    Finding,
    Outcome,
    check_control,
    check_resource,
    cover,
    mappings_of,
    read_exceptions,
)
from loopback_iac.policies.reading import plain, read_resource, read_stack

if TYPE_CHECKING:
    from pulumi_policy import ReportViolation, ResourceValidationArgs, StackValidationArgs

Clock = Callable[[], date]
OPEN_SCHEMA = {"type": "string", "enum": ["tell", "block"]}
BLOCKED = "fix: give what tells it, such as a passphrase; before a first `up`, `when_open: tell`"
EXCEPTIONS_SCHEMA = {"type": "array", "items": {"type": "object"}}


class RuleBrokenError(Exception):
    """A rule broke: the run ends, whatever the level, because nothing was looked at."""


@dataclass
class Ledger:
    """What one run found beside failures, and the exceptions it was given."""

    findings: list[Finding] = field(default_factory=list)
    exceptions: dict[str, Exceptional] = field(default_factory=dict)
    inputs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """By URN; the stack is judged after its resources."""

    def see(self, args: ResourceValidationArgs) -> None:
        """Keep what goes into a resource, once."""
        if args.urn not in self.inputs:
            self.inputs[args.urn] = read_resource(args).facts

    def clear(self) -> None:
        """The next run begins."""
        self.inputs.clear()
        self.findings.clear()
        self.exceptions.clear()


@dataclass
class Projection:
    """One control, ready to be asked by the SDK."""

    control: Control
    ledger: Ledger
    today: Clock

    def policy(self) -> Policy:
        """The policy of this control."""
        check = CHECKS.checks[self.control.id]
        level = EnforcementLevel.MANDATORY if self.control.mandatory else EnforcementLevel.ADVISORY
        told: dict[str, Any] = {
            "name": self.control.name,
            "description": f"{self.control.title} ({self.control.id})",
            "display_name": f"{self.control.id} {self.control.title}",
            "enforcement_level": level,
            "config_schema": PolicyConfigSchema(properties=self.schema()),
            "severity": Severity[self.control.severity.upper()],
            "remediation_steps": self.control.remediation,
            **_frame(self.control),
        }
        if check.of_resource is not None:
            return ResourceValidationPolicy(validate=self.validate_resource, **told)
        return StackValidationPolicy(validate=self.validate_stack, **told)

    def schema(self) -> dict[str, dict[str, Any]]:
        """What may be configured of it."""
        found = {name: each.as_schema() for name, each in self.control.params.items()}
        found["when_open"] = OPEN_SCHEMA
        return found | ({"exceptions": EXCEPTIONS_SCHEMA} if self.control.exceptable else {})

    def read_config(self, args: ResourceValidationArgs | StackValidationArgs) -> dict[str, Any]:
        """
        What is configured of it.

        Raises: RuleBrokenError for a word that it does not have: what was meant by it would not be
            asked for, and no engine's schema refuses it.
        """
        config: dict[str, Any] = plain(dict(args.get_config()))
        known = self.schema()
        if unknown := sorted(config.keys() - known.keys()):
            raise RuleBrokenError(
                f"the configuration of {self.control.name} has {', '.join(unknown)}; "
                f"it takes {', '.join(sorted(known))}"
            )
        return config

    def validate_resource(self, args: ResourceValidationArgs, report: ReportViolation) -> None:
        """One resource, before it is created or changed."""
        self.ledger.see(args)
        if args.resource_type not in CHECKS.checks[self.control.id].kinds:
            return
        config = self.read_config(args)
        settings = self.control.settings(config)
        found = check_resource(self.control, read_resource(args), settings)
        late = self._tell(found, config, report)
        if late:
            # not passed: an engine that lists what passed must not list it
            args.not_applicable(f"open: {'; '.join(dict.fromkeys(late))}")
        self._nothing(found, args.not_applicable)

    def validate_stack(self, args: StackValidationArgs, report: ReportViolation) -> None:
        """
        The whole stack.

        Raises: UnknownValueError where a critical control is open; the SDK tells it as advisory.
        """
        config = self.read_config(args)
        settings = self.control.settings(config)
        found = check_control(
            self.control, read_stack(args, self.today(), self.ledger.inputs), settings
        )
        late = self._tell(found, config, report)
        if late and self.control.severity == "critical":
            unknown = UnknownValueError(UNKNOWN_OBJECT_VALUE, late)
            unknown.message = "; ".join(dict.fromkeys(late))
            raise unknown
        if late:
            args.not_applicable(f"open: {'; '.join(dict.fromkeys(late))}")
        self._nothing(found, args.not_applicable)

    def _tell(
        self, found: Sequence[Finding], config: Mapping[str, Any], report: ReportViolation
    ) -> list[str]:
        """Report what fails; out: what is open and does not block."""
        exceptions = self._exceptions(config)
        late: list[str] = []
        for raw in found:
            finding = cover(self.control, raw, exceptions)
            if finding.outcome is Outcome.ERROR:
                raise RuleBrokenError(f"{finding.text}, at {finding.urn or 'the stack'}")
            if finding.outcome is Outcome.FAIL:
                report(self._with_fix(finding.text), finding.urn or None)
            elif finding.outcome is Outcome.OPEN:
                self.ledger.findings.append(finding)
                if config.get("when_open") == "block":
                    report(f"{finding.text}; open blocks here\n{BLOCKED}", finding.urn or None)
                else:
                    late.append(finding.text)
            elif finding.outcome in (Outcome.EXCEPTED, Outcome.MANUAL):
                self.ledger.findings.append(finding)
        return late

    def _with_fix(self, text: str) -> str:
        """A refusal says what to do; no engine prints `remediation_steps` beside it."""
        return text if "fix:" in text else f"{text}\nfix: {self.control.remediation}"

    def _exceptions(self, config: Mapping[str, Any]) -> list[Exceptional]:
        given = config.get("exceptions") or []
        found = read_exceptions(given, self.today()) if given else []
        for each in found:
            self.ledger.exceptions[each.ident] = each
        return found

    @staticmethod
    def _nothing(found: Sequence[Finding], not_applicable: Callable[[str], None]) -> None:
        """Where it looked at nothing that is its business, it has not passed."""
        if found and all(f.outcome is Outcome.NOT_APPLICABLE for f in found):
            not_applicable("; ".join(dict.fromkeys(f.text for f in found)))


def _frame(control: Control) -> dict[str, Any]:
    """A policy has one framework; other laws go to its tags."""
    mapped = mappings_of(control.id)
    tags = [f"{law.id}:{point.point}" for law, point in mapped]
    law, point = next((law, point) for law, point in mapped if law.id == "cir")
    framework = PolicyComplianceFramework(law.law, law.version, point.point, point.because)
    return {"framework": framework, "tags": [control.id, *tags], "url": law.source}
