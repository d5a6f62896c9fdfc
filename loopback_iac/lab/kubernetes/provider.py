"""The provider protocol of pulumi-kubernetes 4.34.2, as far as it is about a cluster."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NoReturn

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from loopback_iac.engine.values import parse_struct, render_struct
from loopback_iac.lab.kubernetes.checking import RefusedInputsError, check_object
from loopback_iac.lab.kubernetes.cluster import UnreachableError, open_cluster
from loopback_iac.lab.kubernetes.comparing import diff_objects, list_fixed
from loopback_iac.lab.kubernetes.constructing import TOKENS, construct
from loopback_iac.lab.kubernetes.objects import is_patch, parse_object, parse_state, render_values
from loopback_iac.lab.kubernetes.operations import (
    OperationError,
    Operations,
    Task,
    UnfinishedError,
)
from loopback_iac.lab.kubernetes.settings import (
    check_settings,
    find_namespace,
    find_replacing,
    parse_settings,
)
from loopback_iac.lab.kubernetes.waiting import Patience
from loopback_iac.lab.standin.servicer import (
    CHANGES,
    StandIn,
    abort_unready,
    parse_plain,
    render_diff,
    render_failures,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loopback_iac.engine.diffs import Part
    from loopback_iac.lab.standin.serving import Reporter

VERSION = "4.34.2"
# components of the package that are no object; the rest of the package is
_ABSENT = ("kubernetes:helm.sh/v3:", "kubernetes:kustomize/", "kubernetes:yaml:")


class KubernetesProvider(StandIn):
    """Objects of any kind, and charts and manifests as many of them."""

    _operations: Operations

    def __init__(self, reporter: Reporter) -> None:
        super().__init__(VERSION)
        self._reporter = reporter

    def CheckConfig(  # noqa: N802  # the protocol's names, here and below
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        del context
        default = request.urn.rpartition("::")[2].startswith("default")
        found = check_settings(parse_plain(request.news), default=default)
        return provider_pb2.CheckResponse(inputs=request.news, failures=render_failures(found))

    def DiffConfig(  # noqa: N802
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        del context
        olds, news = parse_plain(request.olds), parse_plain(request.news)
        changed = sorted(key for key in {**olds, **news} if olds.get(key) != news.get(key))
        some, none = provider_pb2.DiffResponse.DIFF_SOME, provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(
            changes=some if changed else none,
            diffs=changed,
            replaces=find_replacing(olds, news) if changed else [],
        )

    def Configure(  # noqa: N802
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        """A cluster that cannot be reached is no error here: a preview goes on without."""
        try:
            settings = parse_settings(parse_plain(request.args))
        except ValueError as error:
            text = f"failed to unmarshal kubeClientSettings option: {error}"
            context.abort(grpc.StatusCode.UNKNOWN, text)
        try:
            self._operations = Operations(settings, open_cluster(settings), self.stopped)
        except UnreachableError as error:
            self._operations = Operations(settings, error, self.stopped)
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, supports_autonaming_configuration=True
        )

    def Check(  # noqa: N802
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        self._refuse_absent(request.type, context)
        run = self._operations
        if run.cluster is None and run.settings.skip_unreachable:
            return provider_pb2.CheckResponse(inputs=request.olds)
        given = parse_struct(request.news)
        olds = parse_object(parse_struct(request.olds))
        namespace = find_namespace(run.settings)
        try:
            thing = check_object(request, parse_object(given), olds, namespace, run.scopes)
        except RefusedInputsError as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        inputs = render_struct(render_values(thing, given), secrets=True)
        return provider_pb2.CheckResponse(inputs=inputs)

    def Diff(  # noqa: N802
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        del context
        inputs, live = parse_state(parse_struct(request.olds))
        news = parse_object(parse_struct(request.news))
        patch = is_patch(request.type, news)
        fixed = list_fixed(news, self._operations.settings, patch=patch)
        found = diff_objects(inputs, live, news, request.ignoreChanges, fixed)

        def show(part: Part) -> provider_pb2.PropertyDiff.Kind.ValueType:
            return CHANGES[part.kind][part in found.replacing]

        names = sorted({str(part.path[0]) for part in found.replacing})
        return render_diff(found.parts, show, names, delete_first=found.delete_first)

    def Create(  # noqa: N802
        self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CreateResponse:
        task = self._make_task(request, context, preview=request.preview)
        try:
            ident, state = self._operations.create(task, parse_struct(request.properties))
        except OperationError as error:
            _fail(context, error)
        properties = render_struct(state, secrets=True)
        return provider_pb2.CreateResponse(id=ident, properties=properties)

    def Read(  # noqa: N802
        self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ReadResponse:
        self._refuse_absent(request.type, context)
        olds, given = parse_struct(request.properties), parse_struct(request.inputs)
        task = self._make_task(request, context)
        try:
            ident, state, inputs = self._operations.read(task, request.id, olds, given)
        except OperationError as error:
            _fail(context, error)
        return provider_pb2.ReadResponse(
            id=ident,
            properties=render_struct(state, secrets=True),
            inputs=render_struct(inputs, secrets=True),
        )

    def Update(  # noqa: N802
        self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.UpdateResponse:
        ignored = list(request.ignoreChanges)
        task = self._make_task(request, context, preview=request.preview, ignored=ignored)
        olds, news = parse_struct(request.olds), parse_struct(request.news)
        try:
            state = self._operations.update(task, olds, news)
        except OperationError as error:
            _fail(context, error)
        return provider_pb2.UpdateResponse(properties=render_struct(state, secrets=True))

    def Delete(  # noqa: N802
        self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        task = self._make_task(request, context)
        try:
            self._operations.delete(task, parse_struct(request.properties))
        except OperationError as error:
            _fail(context, error)
        return empty_pb2.Empty()

    def Construct(  # noqa: N802
        self, request: provider_pb2.ConstructRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConstructResponse:
        if request.type not in TOKENS:
            context.abort(grpc.StatusCode.UNKNOWN, f"this stand-in does not have {request.type}")
        try:
            return construct(request, self._operations, VERSION, self._reporter)
        except OperationError as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))

    def _refuse_absent(self, token: str, context: grpc.ServicerContext) -> None:
        if token.startswith(_ABSENT):
            text = f"this stand-in does not have {token}; use kubernetes:helm.sh/v4:Chart"
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)

    def _make_task(
        self,
        request: provider_pb2.CreateRequest
        | provider_pb2.ReadRequest
        | provider_pb2.UpdateRequest
        | provider_pb2.DeleteRequest,
        context: grpc.ServicerContext,
        *,
        preview: bool = False,
        ignored: Iterable[str] = (),
    ) -> Task:
        def ended() -> bool:
            return self.stopped.is_set() or not context.is_active()

        def pause(seconds: float) -> None:
            until = time.monotonic() + seconds
            while not ended() and (left := until - time.monotonic()) > 0:
                self.stopped.wait(min(left, 1.0))

        timeout_s = 0.0 if isinstance(request, provider_pb2.ReadRequest) else request.timeout
        patience = Patience(
            timeout_s,
            ended,
            pause,
            lambda text: self._reporter.status(request.urn, text),
            lambda text: self._reporter.warn(request.urn, text),
        )
        return Task(request.urn, request.type, patience, preview, ignored)


def _fail(context: grpc.ServicerContext, error: OperationError) -> NoReturn:
    """
    End a call with the provider's words.

    Sources: pulumi-kubernetes provider/pkg/provider/provider.go partialError.
    """
    text = str(error)
    if isinstance(error, UnfinishedError):
        failed = provider_pb2.ErrorResourceInitFailed(
            id=error.ident,
            properties=render_struct(error.state, secrets=True),
            inputs=None if error.inputs is None else render_struct(error.inputs, secrets=True),
            reasons=error.reasons,
        )
        abort_unready(context, text, failed)
    context.abort(grpc.StatusCode.UNKNOWN, text)
    raise AssertionError(text)  # abort has raised already
