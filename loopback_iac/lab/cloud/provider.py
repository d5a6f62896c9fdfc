"""Pulumi's provider protocol for a bridged cloud; a vendor brings types, words and API."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NoReturn, Protocol

import grpc
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from loopback_iac.engine.paths import render_path
from loopback_iac.engine.values import Values, parse_struct, render_struct, strip_secrets
from loopback_iac.lab.cloud.kinds import (
    DEFAULTS,
    ApiError,
    UnfinishedError,
    blur_outputs,
    check_shape,
    diff_inputs,
    fill_inputs,
    known,
    shape_like,
)
from loopback_iac.lab.paths import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf import struct_pb2

    from loopback_iac.lab.cloud.kinds import Failures, Kind, Resource

_CHANGES = {
    "add": (provider_pb2.PropertyDiff.ADD, provider_pb2.PropertyDiff.ADD_REPLACE),
    "delete": (provider_pb2.PropertyDiff.DELETE, provider_pb2.PropertyDiff.DELETE_REPLACE),
    "update": (provider_pb2.PropertyDiff.UPDATE, provider_pb2.PropertyDiff.UPDATE_REPLACE),
}


class Vendor(Protocol):
    """What differs between clouds: version, account settings, types, words of errors."""

    version: str
    package: str

    def check_config(self, config: Values) -> Failures:
        """What is wrong with the provider's own settings."""
        ...

    def connect(self, stopped: threading.Event) -> Mapping[str, Resource]:
        """Out: types by token; the lab is looked for when one is used."""
        ...

    def explain(self, kind: Kind, error: ApiError) -> str:
        """An API's error as the provider would show it."""
        ...


class CloudProvider(provider_pb2_grpc.ResourceProviderServicer):
    """One vendor's resource types; any other is refused by name."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self._stopped = threading.Event()
        self._resources: Mapping[str, Resource] = {}

    def Handshake(  # noqa: N802  # the protocol's names, here and below
        self, request: provider_pb2.ProviderHandshakeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ProviderHandshakeResponse:
        """Secrets come plain and the engine marks them again, at every depth."""
        del request, context
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=False)

    def GetPluginInfo(  # noqa: N802
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> plugin_pb2.PluginInfo:
        del request, context
        return plugin_pb2.PluginInfo(version=self._vendor.version)

    def CheckConfig(  # noqa: N802
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        del context
        news = _plain(request.news)
        return provider_pb2.CheckResponse(
            inputs=request.news, failures=_failures(self._vendor.check_config(known(news)))
        )

    def DiffConfig(  # noqa: N802
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        """Another token is no other resource: the bridge never replaces for its settings."""
        del request, context
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(  # noqa: N802
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        failures = self._vendor.check_config(known(_plain(request.args)))
        if failures:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, failures[0][1])
        self._resources = self._vendor.connect(self._stopped)
        return provider_pb2.ConfigureResponse(acceptSecrets=False, supportsPreview=True)

    def Check(  # noqa: N802
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        resource = self._find(request.type, context)
        news = fill_inputs(resource.kind, request.name, _plain(request.olds), _plain(request.news))
        found = check_shape(resource.kind, news)
        # the provider's own checks read what they need without asking whether it is there
        found = found or resource.check(known(news))
        return provider_pb2.CheckResponse(
            inputs=render_struct(news, secrets=False), failures=_failures(found)
        )

    def Diff(  # noqa: N802
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        kind = self._find(request.type, context).kind
        difference = diff_inputs(kind, _plain(request.old_inputs), _plain(request.news))
        if difference.refused:
            context.abort(grpc.StatusCode.UNKNOWN, f"diffing {request.urn}: {difference.refused}")
        detailed = {
            render_path(part.path): provider_pb2.PropertyDiff(
                kind=_CHANGES[part.kind][str(part.path[0]) in difference.replaces], inputDiff=True
            )
            for part in difference.parts
        }
        some, none = provider_pb2.DiffResponse.DIFF_SOME, provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(
            changes=some if detailed else none,
            diffs=sorted({str(part.path[0]) for part in difference.parts}),
            replaces=difference.replaces,
            deleteBeforeReplace=difference.delete_first,
            detailedDiff=detailed,
            hasDetailedDiff=True,
        )

    def Create(  # noqa: N802
        self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CreateResponse:
        resource, news = self._find(request.type, context), _plain(request.properties)
        if request.preview:
            blurred = blur_outputs(resource.kind, news)
            return provider_pb2.CreateResponse(properties=render_struct(blurred, secrets=False))
        news.pop(DEFAULTS, None)
        try:
            ident, made = resource.create(news)
        except (ApiError, LabError, UnfinishedError) as error:
            self._fail(context, resource.kind, news, error)
        outputs = render_struct({**news, **made}, secrets=False)
        return provider_pb2.CreateResponse(id=ident, properties=outputs)

    def Read(  # noqa: N802
        self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ReadResponse:
        resource = self._find(request.type, context)
        olds, inputs = _plain(request.properties), _plain(request.inputs)
        try:
            found = resource.read(request.id, olds)
        except (ApiError, LabError) as error:
            self._fail(context, resource.kind, olds, error)
        if found is None:
            return provider_pb2.ReadResponse()
        settable = {key for key, field in resource.kind.fields.items() if not field.computed}
        plain = {key: found[key] for key in settable if found.get(key) is not None}
        # what the program set is compared; what it left open may be anything
        seen = shape_like(plain, inputs) if inputs else plain
        for key, digest in resource.kind.digests.items():
            # the cloud keeps a digest: the text stays what the program gave as long as it fits
            if key in inputs and digest(inputs[key]) == found.get(key):
                seen[key] = inputs[key]
        if DEFAULTS in inputs:
            seen[DEFAULTS] = inputs[DEFAULTS]
        return provider_pb2.ReadResponse(
            id=request.id,
            properties=render_struct({**olds, **found}, secrets=False),
            inputs=render_struct(seen, secrets=False),
        )

    def Update(  # noqa: N802
        self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.UpdateResponse:
        resource = self._find(request.type, context)
        news, olds = _plain(request.news), _plain(request.olds)
        if request.preview:
            blurred = blur_outputs(resource.kind, news, olds)
            return provider_pb2.UpdateResponse(properties=render_struct(blurred, secrets=False))
        news.pop(DEFAULTS, None)
        try:
            made = resource.update(request.id, olds, news)
        except (ApiError, LabError) as error:
            self._fail(context, resource.kind, news, error)
        computed = {key for key, field in resource.kind.fields.items() if field.computed}
        carried = {key: value for key, value in olds.items() if key in computed}
        outputs = {**carried, **news, **made}
        return provider_pb2.UpdateResponse(properties=render_struct(outputs, secrets=False))

    def Delete(  # noqa: N802
        self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        resource, olds = self._find(request.type, context), _plain(request.properties)
        try:
            resource.delete(request.id, olds)
        except (ApiError, LabError) as error:
            self._fail(context, resource.kind, olds, error)
        return empty_pb2.Empty()

    def Invoke(  # noqa: N802
        self, request: provider_pb2.InvokeRequest, context: grpc.ServicerContext
    ) -> NoReturn:
        context.abort(
            grpc.StatusCode.UNIMPLEMENTED, f"this stand-in does not have the function {request.tok}"
        )

    def Cancel(  # noqa: N802
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        """Waits between retries end; a call that runs is left to end."""
        del request, context
        self._stopped.set()
        return empty_pb2.Empty()

    def _find(self, token: str, context: grpc.ServicerContext) -> Resource:
        if token not in self._resources:
            there = ", ".join(name.rpartition(":")[2] for name in self._resources)
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"the stand-in for {self._vendor.package} does not have {token}; it has {there}",
            )
        return self._resources[token]

    def _fail(
        self,
        context: grpc.ServicerContext,
        kind: Kind,
        inputs: Values,
        error: ApiError | LabError | UnfinishedError,
    ) -> NoReturn:
        """
        End a call with the provider's words.

        Sources: pulumi-terraform-bridge pkg/tfbridge/provider.go initializationError: what exists
        is kept in state, with the reason.
        """
        if isinstance(error, UnfinishedError):
            outputs = {**inputs, **error.outputs}
            failed = provider_pb2.ErrorResourceInitFailed(
                id=error.ident,
                properties=render_struct(outputs, secrets=False),
                inputs=render_struct(inputs, secrets=False),
                reasons=[error.reason],
            )
            _abort_detailed(context, error.reason, failed)
        text = self._vendor.explain(kind, error) if isinstance(error, ApiError) else str(error)
        context.abort(grpc.StatusCode.UNKNOWN, text)
        raise AssertionError(text)  # abort has raised already


def _abort_detailed(
    context: grpc.ServicerContext, text: str, failed: provider_pb2.ErrorResourceInitFailed
) -> NoReturn:
    detail = any_pb2.Any()
    detail.Pack(failed)
    status = status_pb2.Status(
        code=grpc.StatusCode.UNKNOWN.value[0], message=text, details=[detail]
    )
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, text)
    raise AssertionError(text)  # abort has raised already


def _plain(struct: struct_pb2.Struct) -> Values:
    plain: Values = strip_secrets(parse_struct(struct))
    return plain


def _failures(found: Failures) -> list[provider_pb2.CheckFailure]:
    return [provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in found]
