"""What an operator declares of an ingress controller, and what the edge in front of it says.

Two values meet here: `Ingress` is written, `Edge` is AnycastEdge's own word for one of its pools.
Whose PROXY header is believed follows from the second alone.
"""

import re
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from loopback_iac.model.fields import (
    Address,
    AddressList,
    Given,
    Int,
    Line,
    LineList,
    Port,
    Several,
    Value,
    matching,
    refuse,
)
from loopback_iac.model.tunnel import TUNNEL_V4

TRAEFIK, NGINX = "traefik", "nginx"
RETIRED = "ingress-nginx"
HTTP, HTTPS = "http", "https"
PING_PORT = 8082
LB_CLASS = re.compile(r"[a-z0-9.-]+/[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?")
VENDORS_OF_CLASSES = (
    "service.k8s.aws",
    "eks.amazonaws.com",
    "networking.gke.io",
    "azure",
    "hetzner",
)


def _kind(value: object) -> object:
    if value == RETIRED:
        refuse(
            "ingress-nginx-retired",
            "ingress-nginx had its last release in March 2026 and gets no security fixes",
            "traefik or nginx (F5)",
            "write kind: traefik; what its annotations become is in docs/ingress.md",
        )
    return value


KubeName = Annotated[
    str,
    matching(
        r"[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?",
        "kubernetes-name",
        "is no name for objects of a cluster",
        "lower-case letters, digits and inner hyphens, at most 42",
        "choose another name",
    ),
]
"""Shorter than a label may be: kinds and roles are written in front of it."""
Image = Annotated[
    str,
    matching(
        r"[a-z0-9][a-zA-Z0-9._:/-]*@sha256:[0-9a-f]{64}",
        "image-digest",
        "names no digest",
        "name@sha256:DIGEST",
        "write the digest that you looked at: a tag can be moved to other bytes",
    ),
]
Sha256 = Annotated[
    str,
    matching(
        r"[0-9a-f]{64}",
        "sha256-syntax",
        "is no SHA-256",
        "64 hexadecimal digits",
        "write what `sha256sum` prints",
    ),
]
NodePort = Annotated[Port, Field(ge=1024)]


class Artifact(Value):
    """A file that somebody else made, by its bytes: a chart (.tgz), or manifests."""

    path: Line
    sha256: Sha256
    values: dict[str, Any] = Field(default_factory=dict)
    """Of a chart: what is set beside ours."""

    @property
    def is_chart(self) -> bool:
        """By its name."""
        return self.path.endswith((".tgz", ".tar.gz"))


class Controller(Value):
    """Which program it is, and where it comes from: an image for our manifests, or a chart."""

    kind: Annotated[Literal["traefik", "nginx"], BeforeValidator(_kind)]
    image: Image | None = None
    chart: Artifact | None = None


class HostPorts(Value):
    """Ports on the node itself; without http or https, those that the edge forwards to."""

    http: Port | None = None
    https: Port | None = None
    ping: Port = PING_PORT
    host_network: bool = True
    """Without, the container runtime maps them: portmap, or Cilium with the tunnels as devices."""


def _lb_class(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not LB_CLASS.fullmatch(value):
        need, fix = "a prefix of yours, a slash and a name", "write it as in loopback-iac/edge"
        refuse("load-balancer-class", f"{value!r} is no class", need, fix)
    if any(value.startswith(vendor) for vendor in VENDORS_OF_CLASSES):
        fix = "write one of your own, as in loopback-iac/edge: then no cloud's controller takes it"
        refuse("load-balancer-class", f"{value!r} is a vendor's", "a class of your own", fix)
    return value


class LoadBalancer(Value):
    """A Service that no cloud answers to: the edge dials its node ports.

    Node ports are those that the edge forwards to, as host ports are.
    """

    class_name: Annotated[str, BeforeValidator(_lb_class)] = "loopback-iac/edge"
    http: NodePort | None = None
    https: NodePort | None = None
    health_check: NodePort
    """Where kube-proxy says whether this node has a pod that is ready."""


class Exposure(Value):
    """How PoPs reach it: exactly one of the two."""

    host_ports: HostPorts | None = None
    load_balancer: LoadBalancer | None = None

    @property
    def ports(self) -> HostPorts | LoadBalancer:
        """The one that is declared; host ports when none is."""
        return self.load_balancer or self.host_ports or HostPorts()


class Ingress(Value):
    """An ingress controller behind the edge; `edge` is only looked at for its presence."""

    controller: Controller
    edge: Given
    exposure: Exposure = Exposure()
    class_name: KubeName = "edge"
    default_class: bool = False
    namespace: KubeName | None = None
    node_selector: dict[str, str] = Field(default_factory=dict)
    node_names: dict[str, str] = Field(default_factory=dict)
    vip: str | None = None
    drain_s: Int = Field(30, ge=0, le=3600)
    access_log: bool = True
    own_kinds: bool = False
    """Whether Traefik's own kinds count as well: middlewares, for one."""

    @property
    def space(self) -> str:
        """Its namespace."""
        return self.namespace or f"ingress-{self.class_name}"

    @property
    def named(self) -> str:
        """What its objects are called; a class is one controller's, so two never meet."""
        return f"{self.controller.kind}-{self.class_name}"

    @property
    def on_host_network(self) -> bool:
        """Whether its pods have the node's own addresses."""
        ports = self.exposure.ports
        return isinstance(ports, HostPorts) and ports.host_network

    @property
    def one_file_for_all(self) -> bool:
        """Whether every node has the same configuration; our own of Traefik is one per node."""
        return self.controller.kind == NGINX or self.controller.chart is not None

    def node_of(self, worker: str) -> str:
        """The cluster's name of a worker of the edge."""
        return self.node_names.get(worker, worker)


def _end(value: object) -> object:
    """A PoP's end of a tunnel, from an address or the same as /32."""
    if not isinstance(value, str):
        return value
    fix = "take it from the edge as it is: output `pools` of AnycastEdge"
    bare = value.removesuffix("/32")
    if "/" in bare:
        need = "single addresses of PoPs"
        refuse("trust-wider-than-pops", f"{value} is a network, not a PoP's address", need, fix)
    try:
        address = IPv4Address(bare)
    except ValueError:
        refuse("address-syntax", f"{value!r} is no IPv4 address", "a PoP's end of a tunnel", fix)
    if not any(address in space for space in TUNNEL_V4) or int(address) % 2:
        got, need = f"{address} is no PoP's end of a tunnel", "the even address of a tunnel's /31"
        refuse("trust-wider-than-pops", got, need, fix)
    return address


class EdgeService(Value):
    """A port of a VIP and where it arrives at workers."""

    vip: str
    port: Port
    worker_port: Port


class Edge(Value):
    """What AnycastEdge says of one pool; see `pool_facts` of the model."""

    fleet: str
    pool: str
    pops: LineList
    vips: dict[str, AddressList]
    services: dict[str, EdgeService]
    workers: dict[str, Several[Annotated[IPv4Address, BeforeValidator(_end)]]]
    noticed_after_ms: Int = Field(ge=0, le=3_600_000)
    ready_port: Port | None = None
    ready_path: str = "/ping"

    @property
    def trusted(self) -> tuple[str, ...]:
        """Every address of a PoP towards any worker, in order."""
        return tuple(map(str, sorted({a for ends in self.workers.values() for a in ends})))

    def arriving(self, port: int, vip: str | None) -> tuple[int, ...]:
        """Worker ports of the services on a port of the VIPs, or of one of them."""
        found = {
            service.worker_port
            for service in self.services.values()
            if service.port == port and vip in (None, service.vip)
        }
        return tuple(sorted(found))


class Behind(Value):
    """An ingress controller and its edge, held against each other: what is rendered."""

    ingress: Ingress
    edge: Edge
    http_port: Port | None
    https_port: Port | None
    address: Address | None
    """Of the VIP: what Ingresses say about where they are reached."""

    @classmethod
    def of_nobody(cls, ingress: Ingress) -> "Behind":
        """Behind an edge without PoPs: what is rendered has the names and kinds of any other."""
        edge = Edge(
            fleet="", pool="", pops=(), vips={}, services={}, workers={}, noticed_after_ms=0
        )
        return cls(ingress=ingress, edge=edge, http_port=8080, https_port=None, address=None)

    @property
    def accept_s(self) -> int:
        """How long requests are taken after it was told to leave: until every PoP has seen it."""
        return -(-self.edge.noticed_after_ms // 1000) + 2

    @property
    def leave_s(self) -> int:
        """How long a pod may take to end."""
        return self.accept_s + self.ingress.drain_s + 5
