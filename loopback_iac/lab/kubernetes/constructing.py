"""Construct: charts and manifests, each a component that holds its objects as resources."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
from pulumi.runtime.proto import provider_pb2, resource_pb2, resource_pb2_grpc

from loopback_iac.engine.errors import RefusedError
from loopback_iac.engine.values import (
    Values,
    has_unknown,
    parse_struct,
    render_struct,
    strip_secrets,
)
from loopback_iac.lab.kubernetes.chart import Target, render_chart
from loopback_iac.lab.kubernetes.cluster import ClusterError, Object
from loopback_iac.lab.kubernetes.manifests import (
    ManifestError,
    order_objects,
    parse_manifest,
    read_files,
    settle_objects,
    skip_awaits,
)
from loopback_iac.lab.kubernetes.objects import annotation, render_id, render_values
from loopback_iac.lab.kubernetes.operations import OperationError, Operations
from loopback_iac.lab.standin.serving import OPTIONS

if TYPE_CHECKING:
    from loopback_iac.lab.standin.serving import Reporter

_CHART = "kubernetes:helm.sh/v4:Chart"
_GROUP, _FILE = "kubernetes:yaml/v2:ConfigGroup", "kubernetes:yaml/v2:ConfigFile"
TOKENS = (_CHART, _GROUP, _FILE)
_AT_ONCE = 32


def construct(
    request: provider_pb2.ConstructRequest,
    operations: Operations,
    version: str,
    reporter: Reporter,
) -> provider_pb2.ConstructResponse:
    """
    Register a component and its objects with the monitor of the program.

    Raises: OperationError.
    Sources: pulumi-kubernetes provider/pkg/provider/helm/v4/chart.go, provider/pkg/provider/yaml/
    v2/{configgroup,configfile,yaml}.go Construct, Register.
    """
    operations.reach()
    with grpc.insecure_channel(request.monitorEndpoint, options=OPTIONS) as channel:
        try:
            return _Component(request, operations, version, reporter, channel).declare()
        except (ManifestError, RefusedError, ClusterError) as error:
            raise OperationError(str(error)) from error
        except grpc.RpcError as error:
            raise OperationError(error.details() or str(error)) from error


class _Component:
    def __init__(
        self,
        request: provider_pb2.ConstructRequest,
        operations: Operations,
        version: str,
        reporter: Reporter,
        channel: grpc.Channel,
    ) -> None:
        self._request, self._operations = request, operations
        self._version, self._reporter = version, reporter
        self._monitor = resource_pb2_grpc.ResourceMonitorStub(channel)
        self._inputs = parse_struct(request.inputs)

    def declare(self) -> provider_pb2.ConstructResponse:
        """The component, and all it holds when that is known."""
        request = self._request
        urn = self._monitor.RegisterResource(
            resource_pb2.RegisterResourceRequest(
                type=request.type,
                name=request.name,
                parent=request.parent,
                dependencies=request.dependencies,
                providers=request.providers,
                protect=request.protect,
                retainOnDelete=request.retainOnDelete,
                ignoreChanges=request.ignoreChanges,
                aliases=request.aliases,
                acceptSecrets=True,
            )
        ).urn
        outputs: Values = {}
        if has_unknown(self._inputs):
            text = "Input properties have unknown values. Preview is incomplete."
            self._reporter.warn(urn, text)
        else:
            outputs = {"resources": self._register_all(urn, self._list_objects())}
        state = render_struct(outputs, secrets=True)
        self._monitor.RegisterResourceOutputs(
            resource_pb2.RegisterResourceOutputsRequest(urn=urn, outputs=state)
        )
        return provider_pb2.ConstructResponse(urn=urn, state=state)

    def _list_objects(self) -> list[Object]:
        plain: Values = strip_secrets(self._inputs)
        cluster = self._operations.reach()
        namespace = cluster.namespace
        if self._request.type == _CHART:
            namespace = plain.get("namespace") or namespace
            target = Target(namespace, cluster.version, cluster.list_versions())
            name = plain.get("name") or self._request.name
            things = parse_manifest(render_chart(name, plain, target))
        elif self._request.type == _FILE:
            things = parse_manifest(read_files([str(plain.get("file"))], globs=False))
        else:
            files = read_files(plain.get("files") or [], globs=True)
            things = [*parse_manifest(files), *parse_manifest(str(plain.get("yaml") or ""))]
            things += plain.get("objs") or []
        things = settle_objects(things, namespace, self._operations.scopes)
        if plain.get("skipAwait"):
            for thing in things:
                skip_awaits(thing)
        return things

    def _register_all(self, parent: str, things: list[Object]) -> list[str]:
        """Out: ids; all at once, each after what it depends on."""
        prefix = strip_secrets(self._inputs.get("resourcePrefix")) or self._request.name
        made: dict[int, Future[Any]] = {}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for at, needs in order_objects(things):
                before = [made[need] for need in needs]
                made[at] = pool.submit(self._register, parent, prefix, things[at], before)
        return [made[at].result().id for at in range(len(things))]

    def _register(
        self, parent: str, prefix: str, thing: Object, before: list[Future[Any]]
    ) -> resource_pb2.RegisterResourceResponse:
        version = thing["apiVersion"]
        group = version if "/" in version else f"core/{version}"
        request = self._request
        keep = annotation(thing, "helm.sh/resource-policy") == "keep"
        answer: resource_pb2.RegisterResourceResponse = self._monitor.RegisterResource(
            resource_pb2.RegisterResourceRequest(
                type=f"kubernetes:{group}:{thing['kind']}",
                name=f"{prefix}:{render_id(thing)}",
                parent=parent,
                custom=True,
                object=render_struct(render_values(thing, {}), secrets=True),
                dependencies=[future.result().urn for future in before],
                provider=request.providers.get("kubernetes", ""),
                version=self._version,
                protect=request.protect,
                retainOnDelete=keep and request.type == _CHART,
                acceptSecrets=True,
                supportsPartialValues=True,
            )
        )
        return answer
