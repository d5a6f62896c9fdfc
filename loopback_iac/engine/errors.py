"""What can go wrong, as types a caller can tell apart."""

from __future__ import annotations


class EngineError(Exception):
    """Something a user can read and act on; the text says what, and what to do."""

    urn: str = ""  # the resource it is about, once a step has caught it
    in_step: bool = False  # a step was begun and failed: what does not rest on it may go on


class UsageError(EngineError, ValueError):
    """The command, the project file or the stack file is not usable as given."""


class RefusedError(EngineError):
    """A feature of Pulumi that this engine does not carry out, refused by its name."""

    def __init__(self, feature: str, fix: str = "") -> None:
        self.feature = feature
        ways = f"; {fix}" if fix else ""
        super().__init__(
            f"the embedded engine does not support {feature}{ways}"
            " (the Pulumi CLI runs the same program)"
        )


class StepError(EngineError):
    """A provider or a policy said no to one resource."""


class UndoneError(EngineError):
    """A resource is not what it should be, which has been told; the run goes on without it."""

    def __init__(self, urn: str, *, skipped: bool) -> None:
        super().__init__(f"{urn} was {'skipped' if skipped else 'not brought about'}")
        self.urn, self.skipped = urn, skipped


class StoppedError(EngineError):
    """The run is ending (failure elsewhere, or Ctrl-C): no new step may start."""


class StateError(EngineError):
    """The stored state cannot be used as it is."""
