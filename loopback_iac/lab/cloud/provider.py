"""Pulumi's provider protocol for a bridged cloud; a vendor brings types, words and API."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NoReturn, Protocol

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from loopback_iac.engine.values import Values, render_struct
from loopback_iac.lab.cloud.kinds import (
    AUTO,
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
from loopback_iac.lab.standin.servicer import (
    CHANGES,
    StandIn,
    abort_unready,
    parse_plain,
    render_diff,
    render_failures,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from loopback_iac.lab.cloud.kinds import Failures, Kind, Resource


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


class CloudProvider(StandIn):
    """One vendor's resource types; any other is refused by name."""

    accepts_secrets: ClassVar[bool] = False

    def __init__(self, vendor: Vendor) -> None:
        super().__init__(vendor.version)
        self._vendor = vendor
        self._resources: Mapping[str, Resource] = {}

    def CheckConfig(  # noqa: N802  # the protocol's names, here and below
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        del context
        news = parse_plain(request.news)
        return provider_pb2.CheckResponse(
            inputs=request.news, failures=render_failures(self._vendor.check_config(known(news)))
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
        failures = self._vendor.check_config(known(parse_plain(request.args)))
        if failures:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, failures[0][1])
        self._resources = self._vendor.connect(self.stopped)
        return provider_pb2.ConfigureResponse(acceptSecrets=False, supportsPreview=True)

    def Check(  # noqa: N802
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        resource = self._find(request.type, context)
        news = fill_inputs(
            resource.kind, request.name, parse_plain(request.olds), parse_plain(request.news)
        )
        found = check_shape(resource.kind, news)
        # the provider's own checks read what they need without asking whether it is there
        found = found or resource.check(known(news))
        return provider_pb2.CheckResponse(
            inputs=render_struct(news, secrets=False), failures=render_failures(found)
        )

    def Diff(  # noqa: N802
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        kind = self._find(request.type, context).kind
        difference = diff_inputs(kind, parse_plain(request.old_inputs), parse_plain(request.news))
        if difference.refused:
            context.abort(grpc.StatusCode.UNKNOWN, f"diffing {request.urn}: {difference.refused}")
        return render_diff(
            difference.parts,
            lambda part: CHANGES[part.kind][str(part.path[0]) in difference.replaces],
            difference.replaces,
            delete_first=difference.delete_first,
        )

    def Create(  # noqa: N802
        self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CreateResponse:
        resource, news = self._find(request.type, context), parse_plain(request.properties)
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
        olds, inputs = parse_plain(request.properties), parse_plain(request.inputs)
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
        seen |= dict.fromkeys(
            (key for key in resource.kind.automatic if inputs.get(key) == AUTO), AUTO
        )
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
        news, olds = parse_plain(request.news), parse_plain(request.olds)
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
        resource, olds = self._find(request.type, context), parse_plain(request.properties)
        try:
            resource.delete(request.id, olds)
        except (ApiError, LabError) as error:
            self._fail(context, resource.kind, olds, error)
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
            abort_unready(context, error.reason, failed)
        text = self._vendor.explain(kind, error) if isinstance(error, ApiError) else str(error)
        context.abort(grpc.StatusCode.UNKNOWN, text)
        raise AssertionError(text)  # abort has raised already
