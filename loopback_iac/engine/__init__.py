"""Runs an unmodified Pulumi program over Pulumi's own gRPC protocol, without the Pulumi CLI."""

from __future__ import annotations

import os

# Read when grpc is first imported; at shutdown it would otherwise print about cancelled calls.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
