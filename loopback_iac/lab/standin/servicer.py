"""What every stand-in says alike in Pulumi's provider protocol."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, ClassVar, NoReturn

import grpc
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from loopback_iac.engine.paths import render_path
from loopback_iac.engine.values import Values, parse_struct, strip_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from google.protobuf import struct_pb2

    from loopback_iac.engine.diffs import Part

CHANGES = {
    "add": (provider_pb2.PropertyDiff.ADD, provider_pb2.PropertyDiff.ADD_REPLACE),
    "delete": (provider_pb2.PropertyDiff.DELETE, provider_pb2.PropertyDiff.DELETE_REPLACE),
    "update": (provider_pb2.PropertyDiff.UPDATE, provider_pb2.PropertyDiff.UPDATE_REPLACE),
}
"""Kinds of a changed property, by whether it replaces the resource."""


class StandIn(provider_pb2_grpc.ResourceProviderServicer):
    """
    A provider without functions; `stopped` is set once the engine cancels.

    `accepts_secrets`: else they come plain, and the engine marks them again, at every depth.
    """

    accepts_secrets: ClassVar[bool] = True

    def __init__(self, version: str) -> None:
        """In: version, of the real plugin that this one mirrors."""
        self.stopped = threading.Event()
        self._version = version

    def Handshake(  # noqa: N802  # the protocol's names, here and below
        self, request: provider_pb2.ProviderHandshakeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ProviderHandshakeResponse:
        del request, context
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=self.accepts_secrets)

    def GetPluginInfo(  # noqa: N802
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> plugin_pb2.PluginInfo:
        del request, context
        return plugin_pb2.PluginInfo(version=self._version)

    def Invoke(  # noqa: N802
        self, request: provider_pb2.InvokeRequest, context: grpc.ServicerContext
    ) -> NoReturn:
        context.abort(
            grpc.StatusCode.UNIMPLEMENTED, f"this stand-in does not have the function {request.tok}"
        )

    def Cancel(  # noqa: N802
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        """Waits between retries end; what runs is left to end, as the real plugins do."""
        del request, context
        self.stopped.set()
        return empty_pb2.Empty()


def parse_plain(struct: struct_pb2.Struct) -> Values:
    """Properties without the marks of secrets."""
    plain: Values = strip_secrets(parse_struct(struct))
    return plain


def render_failures(found: Iterable[tuple[str, str]]) -> list[provider_pb2.CheckFailure]:
    """In: found, pairs of property and reason."""
    return [provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in found]


def render_diff(
    parts: Sequence[Part],
    kind_of: Callable[[Part], provider_pb2.PropertyDiff.Kind.ValueType],
    replaces: Sequence[str],
    *,
    delete_first: bool = False,
) -> provider_pb2.DiffResponse:
    """In: parts, what differs; kind_of, how one is shown; replaces, top-level names."""
    some, none = provider_pb2.DiffResponse.DIFF_SOME, provider_pb2.DiffResponse.DIFF_NONE
    return provider_pb2.DiffResponse(
        changes=some if parts else none,
        diffs=sorted({str(part.path[0]) for part in parts}),
        replaces=replaces,
        deleteBeforeReplace=delete_first,
        detailedDiff={
            render_path(part.path): provider_pb2.PropertyDiff(kind=kind_of(part), inputDiff=True)
            for part in parts
        },
        hasDetailedDiff=True,
    )


def abort_unready(
    context: grpc.ServicerContext, text: str, failed: provider_pb2.ErrorResourceInitFailed
) -> NoReturn:
    """End a call on something that exists and is not in order: the engine keeps it in the state."""
    detail = any_pb2.Any()
    detail.Pack(failed)
    status = status_pb2.Status(
        code=grpc.StatusCode.UNKNOWN.value[0], message=text, details=[detail]
    )
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, text)
    raise AssertionError(text)  # abort has raised already
