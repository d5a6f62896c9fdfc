"""What an operator writes of an ingress controller: args as in args.py, under the same rules."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi


class EdgeServiceRef(TypedDict):
    """A port of a VIP and where it arrives."""

    vip: str
    """Name of the VIP."""
    port: int
    """TCP port on the VIP."""
    worker_port: int
    """TCP port on workers."""


class EdgePoolRef(TypedDict):
    """What stands behind the edge has to know of it: an entry of output `pools` of AnycastEdge."""

    fleet: str
    """Name of the edge."""
    pool: str
    """Name of the pool."""
    pops: Sequence[str]
    """Names of the PoPs."""
    vips: Mapping[str, Sequence[str]]
    """Addresses of the VIPs that lead here, by name."""
    services: Mapping[str, EdgeServiceRef]
    """Services that lead here, by name."""
    workers: Mapping[str, Sequence[str]]
    """By worker: the addresses from which PoPs connect to it."""
    noticed_after_ms: int
    """How long every PoP takes to see that a worker leaves."""
    ready_port: NotRequired[int]
    """Where PoPs ask a worker whether it is ready. Default: they connect to `worker_port`."""
    ready_path: NotRequired[str]
    """What they ask for there. Default /ping."""


class ArtifactArgs(TypedDict):
    """A file that somebody else made, by its bytes."""

    path: str
    """Where it is, from the program's folder."""
    sha256: str
    """Of the file that you looked at; another is refused before anything is made."""
    values: NotRequired[Mapping[str, Any]]
    """Of a chart: what is set beside what is set here."""


class IngressSoftwareArgs(TypedDict):
    """Which ingress controller."""

    kind: str
    """`traefik`, or `nginx`, the one of F5. ingress-nginx is refused: it gets no fixes."""
    image: NotRequired[str]
    """Image by digest, `name@sha256:DIGEST`, for the manifests made here. Needed without chart."""
    chart: NotRequired[ArtifactArgs]
    """Traefik's own chart (.tgz) instead; values are made here."""


class HostPortsArgs(TypedDict):
    """Ports on the nodes themselves."""

    http: NotRequired[int]
    """Plain HTTP. Default: the worker_port of the edge's service on port 80."""
    https: NotRequired[int]
    """TLS. Default: the worker_port of the edge's service on port 443."""
    ping: NotRequired[int]
    """Where it says whether it is ready: `ready_port` of the edge's service. Default 8082."""
    host_network: NotRequired[bool]
    """Pods have the node's own network. Default true; false: the container runtime maps ports."""


class LoadBalancerArgs(TypedDict):
    """A Service of type LoadBalancer that no cloud answers to; PoPs dial its node ports."""

    class_name: NotRequired[str]
    """Its loadBalancerClass. Default `loopback-iac/edge`."""
    http: NotRequired[int]
    """Node port. Default: the worker_port of the edge's service on port 80."""
    https: NotRequired[int]
    """Node port. Default: the worker_port of the edge's service on port 443."""
    health_check: int
    """healthCheckNodePort: 200 at /healthz while this node has a pod that is ready."""


class ExposureArgs(TypedDict):
    """How PoPs reach it: one of the two."""

    host_ports: NotRequired[HostPortsArgs]
    """Ports on the nodes (default)."""
    load_balancer: NotRequired[LoadBalancerArgs]
    """Node ports of a Service."""


class IngressControllerArgs(TypedDict):
    """An ingress controller behind the edge."""

    controller: IngressSoftwareArgs
    """Which one."""
    edge: pulumi.Input[EdgePoolRef]
    """The pool of the edge that it stands in: an entry of output `pools` of AnycastEdge."""
    exposure: NotRequired[ExposureArgs]
    """How PoPs reach it. Default: host ports as the edge forwards them."""
    class_name: NotRequired[str]
    """Its IngressClass. Default `edge`."""
    default_class: NotRequired[bool]
    """Whether Ingresses without a class are its. Default false."""
    namespace: NotRequired[str]
    """Its namespace, made here. Default `ingress-CLASS`."""
    node_selector: NotRequired[Mapping[str, str]]
    """Labels of the nodes that are workers of the edge. Default: every node."""
    node_names: NotRequired[Mapping[str, str]]
    """Names of nodes in the cluster by worker, where they differ."""
    vip: NotRequired[str]
    """VIP whose address Ingresses show. Default: the first by name."""
    drain_s: NotRequired[int]
    """How long requests that run may take when a pod leaves. Default 30."""
    access_log: NotRequired[bool]
    """Each request with the client's address to standard output. Default true."""
    own_kinds: NotRequired[bool]
    """Serve Traefik's own kinds too, e.g. Middleware; their CRDs must be there. Default false."""
