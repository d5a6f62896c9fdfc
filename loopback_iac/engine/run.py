"""What all steps of one run share: state, report, and the right to start a step."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from loopback_iac.engine.errors import StoppedError, UsageError
from loopback_iac.engine.results import (
    Change,
    Diagnostic,
    Event,
    Progress,
    PropertyChange,
    Severity,
    Undone,
    Violation,
    Watcher,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from loopback_iac.engine.journal import Event as JournalEvent
    from loopback_iac.engine.journal import Journal
    from loopback_iac.engine.project import Project
    from loopback_iac.engine.stackconfig import StackConfig
    from loopback_iac.engine.state import Codec, Resource, Row


# A signal handler cannot notify a condition; the waiting thread looks for itself.
_IDLE_POLL_S = 0.2


@dataclass(slots=True)
class Old:
    """A row the run started with."""

    index: int
    row: Row
    resource: Resource
    deleted: bool = False  # its real counterpart is gone: a replacement deleted it first
    condemned: bool = False  # replaced; waits for deletion at the end
    taken: bool = False  # a row of this run stands in its place
    spared: bool = False  # its step failed or was skipped, and the run went on: stays as it is


@dataclass(slots=True)
class Run:
    """One plan, up or destroy."""

    project: Project
    stack: str
    dry_run: bool
    config: StackConfig
    codec: Codec
    parallel: int
    continues: bool = False
    passphrase: str | None = field(default=None, repr=False)
    watcher: Watcher | None = None
    journal: Journal | None = None
    olds: list[Old] = field(default_factory=list)
    news: dict[str, Resource] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    deferred: set[str] = field(default_factory=set)
    stack_outputs: tuple[str, dict[str, object]] | None = None
    undone: dict[str, Undone] = field(default_factory=dict)
    failed: bool = False
    ending: bool = False
    cancelled: bool = False
    abandoned: bool = False
    _by_urn: dict[str, Old] = field(default_factory=dict)
    _mutex: threading.RLock = field(default_factory=threading.RLock)
    _slots: threading.Semaphore = field(init=False)
    _active: int = 0
    _idle: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self._slots = threading.Semaphore(self.parallel)
        for old in self.olds:
            if old.resource.delete:
                old.condemned = True
            else:
                self._by_urn[old.resource.urn] = old

    def find_old(self, urn: str, aliases: Iterable[str] = ()) -> Old | None:
        """
        The row a resource had before, under its URN or a former one.

        Raises: UsageError when an alias of another resource has taken it.
        """
        found = self._by_urn.get(urn)
        if found is not None and found.taken:
            raise UsageError(f"{urn}: another resource took over its state through an alias")
        if found is not None:
            return found
        candidates = (self._by_urn.get(alias) for alias in aliases)
        return next((old for old in candidates if old is not None and not old.taken), None)

    def get_row(self, urn: str) -> Old | None:
        """The row of the old state under a URN, whatever became of it."""
        return self._by_urn.get(urn)

    def was_replaced(self, urn: str) -> bool:
        """Whether this run gave a resource another counterpart, and the former one goes."""
        old = self._by_urn.get(urn)
        return old is not None and (old.condemned or old.deleted)

    def add_new(self, resource: Resource) -> None:
        """Note a resource as part of the new state."""
        with self._mutex:
            self.news[resource.urn] = resource

    def record(self, event: JournalEvent, *, durable: bool = True) -> None:
        """Make an event part of the state; a plan has none."""
        if self.journal is not None:
            self.journal.record(event, durable=durable)

    def begin(self, operation: str, resource: Resource) -> int:
        """Note an operation before its RPC is sent; out: the number to end it with."""
        if self.journal is None:
            return 0
        return self.journal.begin(operation, self.codec.encode(resource))

    def end(self, number: int) -> None:
        """Note that an operation ended without a trace in the state."""
        if self.journal is not None:
            self.journal.end(number)

    def describe(self) -> dict[str, Any]:
        """What the program and component hosts are told, by the protocol's names."""
        return {
            "project": self.project.name,
            "stack": self.stack,
            "organization": "organization",
            "config": self.config.values,
            "configSecretKeys": sorted(self.config.secret_keys),
            "dryRun": self.dry_run,
            "parallel": self.parallel,
        }

    # --- what may start -------------------------------------------------------------------------

    @property
    def stopping(self) -> bool:
        """Whether no further step starts."""
        return self.cancelled or (self.over and not self.dry_run)

    @property
    def over(self) -> bool:
        """Whether something failed that the run does not go on over."""
        return self.failed and (self.ending or not self.continues)

    def check_running(self) -> None:
        """Raises: StoppedError once the run is ending."""
        if self.stopping:
            raise StoppedError("the run is ending")

    @contextmanager
    def active(self) -> Iterator[None]:
        """Count a registration as in flight, so that the end of the run waits for it."""
        with self._idle:
            self._active += 1
        try:
            yield
        finally:
            with self._idle:
                self._active -= 1
                self._idle.notify_all()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """
        Hold one of the `parallel` places in which providers are called.

        Raises: StoppedError when the run ended while waiting for it.
        """
        with self._slots:
            self.check_running()
            yield

    def wait_idle(self) -> None:
        """Wait until no registration is in flight, or nobody wants to wait for it any more."""
        with self._idle:
            while self._active and not self.abandoned:
                self._idle.wait(_IDLE_POLL_S)

    # --- what is said ---------------------------------------------------------------------------

    def fail(self, message: str, urn: str = "", *, ends: bool = True) -> None:
        """Say an error; no further step starts, unless it `ends` nothing and the run continues."""
        self.failed = True
        self.ending = self.ending or ends
        self.say(Severity.ERROR, message, urn)

    def say(self, severity: Severity, message: str, urn: str = "") -> None:
        """Say something once."""
        diagnostic = Diagnostic(severity, message, urn)
        with self._mutex:
            if diagnostic in self.diagnostics:
                return
            self.diagnostics.append(diagnostic)
        self.tell(diagnostic)

    def report_violation(self, violation: Violation) -> None:
        """Note a policy that does not hold."""
        with self._mutex:
            if violation in self.violations:
                return
            self.violations.append(violation)
        self.tell(violation)

    def report_start(self, change: Change) -> None:
        """Say that a step begins."""
        self.tell(Progress("start", change))

    def report_done(self, change: Change) -> None:
        """Note a step that ended well."""
        with self._mutex:
            self.changes.append(change)
        self.tell(Progress("done", change))

    def report_outputs(self, urn: str, properties: tuple[PropertyChange, ...]) -> None:
        """Add what changed in a component's outputs to what was reported about it."""
        with self._mutex:
            for index, change in enumerate(self.changes):
                if change.urn == urn:
                    self.changes[index] = replace(change, outputs=properties)

    def report_failed(self, change: Change) -> None:
        """Say that a step failed; the reason is a diagnostic."""
        self.tell(Progress("failed", change))

    def tell(self, event: Event) -> None:
        """Pass an event to whoever watches."""
        if self.watcher is not None:
            with self._mutex:
                self.watcher(event)


def stamp() -> str:
    """The time as rows carry it: RFC 3339, UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
