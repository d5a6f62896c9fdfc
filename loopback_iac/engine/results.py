"""What a run reports: changes, diagnostics, outcome; secrets are gone from all but outputs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from loopback_iac.engine.values import Values, redact, strip_secrets

if TYPE_CHECKING:
    from collections.abc import Callable


class Op(StrEnum):
    """What happens to a resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    READ = "read"
    SAME = "same"


SYMBOLS = {
    Op.CREATE: "+",
    Op.UPDATE: "~",
    Op.REPLACE: "+-",
    Op.DELETE: "-",
    Op.READ: "<",
    Op.SAME: "=",
}


class Severity(StrEnum):
    """How bad a diagnostic is."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class PropertyChange:
    """One property that differs; values as they may be printed."""

    path: str
    kind: str
    old: Any = None
    new: Any = None
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """What happens, or happened, to one resource."""

    urn: str
    type: str
    name: str
    op: Op
    custom: bool = True
    properties: tuple[PropertyChange, ...] = ()
    outputs: tuple[PropertyChange, ...] = ()
    undecided: tuple[str, ...] = ()
    note: str = ""

    def render_json(self) -> dict[str, Any]:
        """The machine-readable form."""
        properties, outputs = (
            [
                {"path": part.path, "kind": part.kind, "old": part.old, "new": part.new}
                for part in parts
            ]
            for parts in (self.properties, self.outputs)
        )
        plain = {"urn": self.urn, "type": self.type, "name": self.name, "op": self.op.value}
        extra = {
            "properties": properties,
            "outputs": outputs,
            "undecided": list(self.undecided),
            "note": self.note,
        }
        return {**plain, **{key: value for key, value in extra.items() if value}}


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """Something said about the run or one of its resources."""

    severity: Severity
    message: str
    urn: str = ""

    def render_json(self) -> dict[str, Any]:
        """The machine-readable form."""
        plain = {"severity": self.severity.value, "message": self.message}
        return {**plain, "urn": self.urn} if self.urn else plain


@dataclass(frozen=True, slots=True)
class Undone:
    """
    A resource that a run did not bring where the program wants it, and went on without.

    `because`: the URN of what it rests on and was not done either; empty: its own step failed.
    """

    urn: str
    type: str
    name: str
    parent: str = ""
    because: str = ""

    def render_json(self) -> dict[str, Any]:
        """The machine-readable form."""
        plain = {"urn": self.urn, "type": self.type, "name": self.name, "parent": self.parent}
        state = "skipped" if self.because else "failed"
        return {**plain, "state": state, **({"because": self.because} if self.because else {})}


@dataclass(frozen=True, slots=True)
class Violation:
    """A policy that does not hold for a resource, or for the stack when `urn` is empty."""

    policy: str
    pack: str
    level: str
    message: str
    urn: str = ""

    def render_json(self) -> dict[str, Any]:
        """The machine-readable form."""
        return {
            "policy": self.policy,
            "pack": self.pack,
            "level": self.level,
            "message": self.message,
            "urn": self.urn,
        }


@dataclass(frozen=True, slots=True)
class Progress:
    """A step began, ended well, or failed."""

    phase: str
    change: Change


Event: TypeAlias = Progress | Diagnostic | Violation
Watcher: TypeAlias = "Callable[[Event], None]"


@dataclass(frozen=True, slots=True)
class Result:
    """
    The outcome of plan, up or destroy.

    `outputs` are the stack's outputs as they are, secrets as `Secret`; `render_json` redacts them.
    `undone`: what failed or was skipped in a run that goes on over errors.
    `resources`, of plan and up: what the program wants there, in the form of `read_resources`.
    """

    verb: str
    stack: str
    ok: bool
    changes: tuple[Change, ...] = ()
    outputs: Values = field(default_factory=dict)
    diagnostics: tuple[Diagnostic, ...] = ()
    violations: tuple[Violation, ...] = ()
    undone: tuple[Undone, ...] = ()
    deferred_config: tuple[str, ...] = ()
    duration_s: float = 0.0
    resources: tuple[dict[str, Any], ...] = field(default=(), repr=False)

    @property
    def counts(self) -> dict[str, int]:
        """How many resources per operation."""
        found = Counter(change.op.value for change in self.changes)
        return {op.value: found[op.value] for op in Op if found[op.value]}

    @property
    def plain_outputs(self) -> dict[str, Any]:
        """The outputs without secret marks: for a caller that needs the values."""
        plain: dict[str, Any] = strip_secrets(self.outputs)
        return plain

    def render_json(self) -> dict[str, Any]:
        """The machine-readable form, secrets redacted."""
        return {
            "verb": self.verb,
            "stack": self.stack,
            "ok": self.ok,
            "counts": self.counts,
            "changes": [change.render_json() for change in self.changes],
            "outputs": redact(self.outputs),
            "diagnostics": [item.render_json() for item in self.diagnostics],
            "violations": [item.render_json() for item in self.violations],
            "undone": [item.render_json() for item in self.undone],
            "deferredConfig": list(self.deferred_config),
            "durationSeconds": round(self.duration_s, 3),
        }
