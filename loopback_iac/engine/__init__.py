"""Runs an unmodified Pulumi program over Pulumi's own gRPC protocol, without the Pulumi CLI."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loopback_iac.engine.adoption import adopt
    from loopback_iac.engine.api import Options, destroy, plan, up
    from loopback_iac.engine.errors import EngineError, UsageError
    from loopback_iac.engine.inspect import (
        export_state,
        forget,
        read_outputs,
        read_resources,
        read_undone,
    )
    from loopback_iac.engine.results import Change, Diagnostic, Op, Result, Violation

# Read when grpc is first imported; at shutdown it would otherwise print about cancelled calls.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

__all__ = [
    "Change",
    "Diagnostic",
    "EngineError",
    "Op",
    "Options",
    "Result",
    "UsageError",
    "Violation",
    "adopt",
    "destroy",
    "export_state",
    "forget",
    "plan",
    "read_outputs",
    "read_resources",
    "read_undone",
    "up",
]
_HOMES = {
    "adoption": ("adopt",),
    "api": ("Options", "destroy", "plan", "up"),
    "errors": ("EngineError", "UsageError"),
    "inspect": ("export_state", "forget", "read_outputs", "read_resources", "read_undone"),
    "results": ("Change", "Diagnostic", "Op", "Result", "Violation"),
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # functions and types alike
    """Import on first use: the passphrase cipher alone needs neither pulumi nor gRPC."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
