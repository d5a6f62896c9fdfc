"""The two services a program and the plugins call: ResourceMonitor and Engine."""

from __future__ import annotations

import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, TypeVar

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import (
    engine_pb2,
    engine_pb2_grpc,
    resource_pb2,
    resource_pb2_grpc,
)

from loopback_iac.engine.construct import Constructed, construct
from loopback_iac.engine.errors import (
    EngineError,
    RefusedError,
    StepError,
    StoppedError,
    UndoneError,
)
from loopback_iac.engine.goal import parse_goal, parse_read, refuse_fields
from loopback_iac.engine.processes import GRPC_OPTIONS
from loopback_iac.engine.results import Diagnostic, Severity
from loopback_iac.engine.runner import NOTE
from loopback_iac.engine.values import parse_struct, render_struct

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopback_iac.engine.registry import Providers
    from loopback_iac.engine.run import Run
    from loopback_iac.engine.steps import Registrar

Answer = TypeVar("Answer")

# Claimed to the SDK; what is not claimed the SDK itself refuses, or falls back from.
FEATURES = (
    resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_OUTPUT_VALUES,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
)
_LEGACY_FEATURES = {"secrets", "outputValues", "aliasSpecs", "deletedWith"}
_REFUSED_CALLS = {
    "Call": "method calls on components (Call)",
    "ExistsResource": "resource existence checks (ExistsResource)",
    "RegisterStackTransform": "stack transforms",
    "RegisterStackInvokeTransform": "invoke transforms",
    "RegisterResourceHook": "resource hooks",
    "RegisterErrorHook": "error hooks",
    "RegisterPackage": "parameterized packages (RegisterPackage)",
}
_REFUSED_INVOKE = {
    "packageRef": "parameterized packages",
    "dependsOn": "`depends_on` of an invoke",
    "pluginChecksums": "plugin checksums",
}
_THREADS = 4096
_LOST_WORDS = "Resource monitor has terminated, shutting down"
_SEVERITIES = {
    engine_pb2.INFO: Severity.INFO,
    engine_pb2.WARNING: Severity.WARNING,
    engine_pb2.ERROR: Severity.ERROR,
}


@dataclass(slots=True)
class Gate:
    """Where the program waits at its end until the engine lets it go."""

    arrived: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """What the program calls; each call arrives in a thread of its own."""

    def __init__(self, run: Run, registrar: Registrar, providers: Providers, gate: Gate) -> None:
        self._run, self._registrar = run, registrar
        self._providers, self._gate = providers, gate

    def GetDeploymentInfo(  # noqa: N802  # the protocol's names, here and below
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> resource_pb2.DeploymentInfo:
        """What is run, and which features the SDK may use."""
        del request, context
        return resource_pb2.DeploymentInfo(**self._run.describe(), supportedFeatures=FEATURES)

    def SupportsFeature(  # noqa: N802
        self, request: resource_pb2.SupportsFeatureRequest, context: grpc.ServicerContext
    ) -> resource_pb2.SupportsFeatureResponse:
        """The older way to ask."""
        del context
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in _LEGACY_FEATURES)

    def RegisterResource(  # noqa: N802
        self, request: resource_pb2.RegisterResourceRequest, context: grpc.ServicerContext
    ) -> resource_pb2.RegisterResourceResponse:
        """Bring one resource to what the program wants; answers when that is done."""

        def answer() -> resource_pb2.RegisterResourceResponse:
            goal = parse_goal(request)
            if goal.remote:
                return _render_constructed(construct(goal, self._registrar))
            try:
                new = self._registrar.register(goal)
            except UndoneError as undone:
                result = _render_undone(undone, reports=request.supportsResultReporting)
                return resource_pb2.RegisterResourceResponse(urn=undone.urn, result=result)
            outputs = new.outputs if new.custom else {}
            return resource_pb2.RegisterResourceResponse(
                urn=new.urn,
                id=new.id,
                object=render_struct(outputs, secrets=True),
                result=resource_pb2.SUCCESS,
            )

        return self._guard(context, answer)

    def RegisterResourceOutputs(  # noqa: N802
        self, request: resource_pb2.RegisterResourceOutputsRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        """Note the outputs of a component or of the stack."""

        def answer() -> empty_pb2.Empty:
            refuse_fields(request, {}, request.urn)
            self._registrar.register_outputs(request.urn, parse_struct(request.outputs))
            return empty_pb2.Empty()

        return self._guard(context, answer)

    def Invoke(  # noqa: N802
        self, request: resource_pb2.ResourceInvokeRequest, context: grpc.ServicerContext
    ) -> resource_pb2.ResourceInvokeResponse:
        """Call a provider's function."""

        def answer() -> resource_pb2.ResourceInvokeResponse:
            refuse_fields(request, _REFUSED_INVOKE, request.tok)
            if request.tok.startswith("pulumi:pulumi:"):
                raise RefusedError(f"the function {request.tok}")
            reference = request.provider or self._providers.default_for(
                request.tok, request.version, request.pluginDownloadURL
            )
            provider = self._providers.get(reference)
            result = provider.invoke(request.tok, parse_struct(request.args))
            response = resource_pb2.ResourceInvokeResponse(unknown=result is None)
            getattr(response, "return").CopyFrom(render_struct(result or {}, secrets=True))
            return response

        return self._guard(context, answer)

    def ReadResource(  # noqa: N802
        self, request: resource_pb2.ReadResourceRequest, context: grpc.ServicerContext
    ) -> resource_pb2.ReadResourceResponse:
        """Look up a resource that exists, or the outputs of another stack."""

        def answer() -> resource_pb2.ReadResourceResponse:
            try:
                new = self._registrar.register(parse_read(request))
            except UndoneError as undone:
                result = _render_undone(undone)
                return resource_pb2.ReadResourceResponse(urn=undone.urn, result=result)
            return resource_pb2.ReadResourceResponse(
                urn=new.urn,
                id=new.id,
                properties=render_struct(new.outputs, secrets=True),
                result=resource_pb2.SUCCESS,
            )

        return self._guard(context, answer)

    def SignalAndWaitForShutdown(  # noqa: N802
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        """The program has registered everything; it is let go when the deletes are done."""
        del request, context
        self._gate.arrived.set()
        self._gate.released.wait()
        return empty_pb2.Empty()

    def _guard(self, context: grpc.ServicerContext, answer: Callable[[], Answer]) -> Answer:
        with self._run.active():
            try:
                return answer()
            except StoppedError:
                context.abort(grpc.StatusCode.UNAVAILABLE, _LOST_WORDS)
            except EngineError as error:
                self._refuse(context, error)
            except Exception as error:  # noqa: BLE001  # ours: the run must end, not hang
                text = "".join(traceback.format_exception(error))
                self._refuse(context, EngineError(f"the engine itself failed:\n{text}"))

    def _refuse(self, context: grpc.ServicerContext, error: EngineError) -> NoReturn:
        self._run.fail(str(error), error.urn)
        # The only code that ends a Python program without a traceback.
        context.abort(grpc.StatusCode.UNAVAILABLE, _LOST_WORDS)


def _render_constructed(made: Constructed) -> resource_pb2.RegisterResourceResponse:
    rests_on = resource_pb2.RegisterResourceResponse.PropertyDependencies
    return resource_pb2.RegisterResourceResponse(
        urn=made.urn,
        object=render_struct(made.outputs, secrets=True),
        propertyDependencies={key: rests_on(urns=urns) for key, urns in made.dependencies.items()},
        result=resource_pb2.SUCCESS,
    )


def _render_undone(undone: UndoneError, *, reports: bool = True) -> resource_pb2.Result.ValueType:
    """
    What the program is told: it goes on, with outputs that are unknown.

    In: reports: whether its SDK can be told.
    Raises: StepError when not.
    """
    if not reports:
        raise StepError(f"{undone}, and the program's Pulumi SDK cannot go on; take a newer one")
    # its proto knows no SKIP yet; whatever is no success makes the outputs unknown
    return resource_pb2.FAIL


def _refuse_call(feature: str) -> Callable[..., NoReturn]:
    def refuse(self: Monitor, request: object, context: grpc.ServicerContext) -> NoReturn:
        del request
        self._refuse(context, RefusedError(feature))  # becomes a method of Monitor

    return refuse


for _name, _feature in _REFUSED_CALLS.items():
    setattr(Monitor, _name, _refuse_call(_feature))


class EngineLog(engine_pb2_grpc.EngineServicer):
    """What programs and plugins say."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def Log(  # noqa: N802
        self, request: engine_pb2.LogRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        """Take a message; never fails."""
        del context
        self._take(request)
        return empty_pb2.Empty()

    def _take(self, request: engine_pb2.LogRequest) -> None:
        run, message = self._run, request.message
        severity = _SEVERITIES.get(request.severity)
        if severity is None:
            return
        if message.startswith(NOTE):
            run.deferred.add(message.removeprefix(NOTE))
        elif _LOST_WORDS in message and (run.failed or run.cancelled):
            return  # the echo of an error that has been told
        elif severity is Severity.ERROR:
            run.fail(message, request.urn, ends=not request.urn)
        elif request.ephemeral:
            run.tell(Diagnostic(severity, message, request.urn))
        else:
            run.say(severity, message, request.urn)


def serve(run: Run) -> tuple[grpc.Server, str]:
    """
    Start the server for both services, without the monitor yet.

    Out: the server, and the address children get.
    """
    # Each call blocks a thread until its step ends: up to 4 per place from the program, and while
    # those wait for component hosts, as many from each of them. Threads start when needed.
    workers = ThreadPoolExecutor(_THREADS, thread_name_prefix="rpc")
    server = grpc.server(workers, options=[*GRPC_OPTIONS, ("grpc.so_reuseport", 0)])
    engine_pb2_grpc.add_EngineServicer_to_server(EngineLog(run), server)
    port = server.add_insecure_port("127.0.0.1:0")
    return server, f"127.0.0.1:{port}"
