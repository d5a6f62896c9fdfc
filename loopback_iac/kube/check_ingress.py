"""The doors of an ingress controller: what was written, and that held against its edge."""

import re
from collections.abc import Iterator, Mapping, Sequence

from loopback_iac.kube.chart_values import check_chart_values
from loopback_iac.kube.ingress import (
    HTTP,
    HTTPS,
    NGINX,
    Behind,
    Edge,
    HostPorts,
    Ingress,
    LoadBalancer,
)
from loopback_iac.kube.problems import check_labels
from loopback_iac.model.fields import Address
from loopback_iac.model.problem import InputRejected, Problem, unknown_name
from loopback_iac.model.structure import collect, plain

OF_THE_NODE = {
    22: "sshd",
    179: "BGP",
    6443: "the API server",
    2379: "etcd",
    2380: "etcd",
    10248: "the kubelet",
    10250: "the kubelet",
    10256: "kube-proxy",
    10257: "the controller manager",
    10259: "the scheduler",
}
"""Ports that something else has on many nodes; on the host network two cannot have one."""
NODE_PORTS = range(30000, 32768)
"""What the API server gives out unless it was told otherwise (--service-node-port-range)."""
NODE_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
"""RFC 1123, as Kubernetes names nodes."""
CONFIG_BYTES = 1_000_000
"""A ConfigMap holds one MiB."""
PORTS_OF = {HTTP: 80, HTTPS: 443}


def parse_ingress(title: str, tree: Mapping[str, object]) -> Ingress:
    """An ingress controller as declared; its edge may come late and is not looked into.

    Raises: InputRejected with every problem at once.
    """
    problems: list[Problem] = []
    found = collect(Ingress, "", plain(tree), problems)
    if found is not None:
        problems += _check(found)
    if problems or found is None:
        raise InputRejected(title, tuple(problems))
    return found


def parse_behind(title: str, ingress: Ingress, edge: object) -> Behind:
    """The controller with what its edge says of itself.

    In: an entry of output `pools` of AnycastEdge.
    Raises: InputRejected with every problem at once.
    """
    problems: list[Problem] = []
    found = collect(Edge, "edge", plain(edge), problems)
    if found is None:
        raise InputRejected(title, tuple(problems))
    problems += _check_edge(ingress, found)
    http, https = (_port(ingress, found, scheme, problems) for scheme in (HTTP, HTTPS))
    if not problems:
        problems += _check_ports(ingress, found, http, https)
    behind = Behind(
        ingress=ingress,
        edge=found,
        http_port=http,
        https_port=https,
        address=_address(ingress, found) if not problems else None,
    )
    if not problems:
        problems += check_chart_values(behind)
    if problems:
        raise InputRejected(title, tuple(problems))
    return behind


def _check(ingress: Ingress) -> Iterator[Problem]:
    controller, exposure = ingress.controller, ingress.exposure
    if (controller.image is None) == (controller.chart is None):
        got = "both image and chart" if controller.image else "neither image nor chart"
        fix = "write image for the manifests made here, or chart for a chart of yours"
        yield Problem("controller", got, "one of the two", fix, "controller-source")
    if exposure.host_ports is not None and exposure.load_balancer is not None:
        got, fix = "both host_ports and load_balancer", "remove one of them"
        yield Problem("exposure", got, "one of the two", fix, "exposure-one")
    if controller.kind == NGINX and controller.chart is not None:
        got, fix = "no values are made for F5's chart", "write image for the manifests made here"
        yield Problem("controller.chart", got, "an image", fix, "controller-source")
    if controller.kind == NGINX and ingress.own_kinds:
        got, fix = "F5 NGINX's own kinds are not served", "leave it out, or choose traefik"
        yield Problem("own_kinds", got, "false", fix, "controller-kinds")
    yield from check_labels("node_selector", ingress.node_selector)
    for worker, node in ingress.node_names.items():
        if not NODE_NAME.fullmatch(node):
            need, fix = "a node's name", "write what `kubectl get nodes` prints"
            yield Problem(f"node_names.{worker}", repr(node), need, fix, "kubernetes-name")
    yield from _clashes(ingress, _written(ingress))


def _written(ingress: Ingress) -> dict[str, int | None]:
    """Ports as they were declared, by field."""
    ports = ingress.exposure.ports
    last = ("ping", ports.ping) if isinstance(ports, HostPorts) else _health(ports)
    return {HTTP: ports.http, HTTPS: ports.https, last[0]: last[1]}


def _health(ports: LoadBalancer) -> tuple[str, int]:
    return "health_check", ports.health_check


def _clashes(ingress: Ingress, ports: Mapping[str, int | None]) -> Iterator[Problem]:
    of_node = isinstance(ingress.exposure.ports, HostPorts)
    path = "exposure.host_ports" if of_node else "exposure.load_balancer"
    seen: dict[int, str] = {}
    for field, port in ports.items():
        if port is None:
            continue
        if port in seen:
            got, fix = f"{port} is {seen[port]} already", "give each a port of its own"
            yield Problem(f"{path}.{field}", got, "another port", fix, "port-clash")
        seen.setdefault(port, field)
        if of_node and port in OF_THE_NODE:
            got, need = f"{port} belongs to {OF_THE_NODE[port]} on a node", "another port"
            fix = "write 8080, 8443 or 8082, and the same as worker_port at the edge"
            yield Problem(f"{path}.{field}", got, need, fix, "port-reserved")
        if not of_node and port not in NODE_PORTS:
            got = f"{port} is no node port"
            need = f"{NODE_PORTS.start} to {NODE_PORTS.stop - 1}"
            fix = "take one of the range, and write it as worker_port at the edge"
            yield Problem(f"{path}.{field}", got, need, fix, "node-port-range")


def _check_edge(ingress: Ingress, edge: Edge) -> Iterator[Problem]:
    if not edge.pops or not any(edge.workers.values()):
        got, need = f"pool {edge.pool} of {edge.fleet} is reached by no PoP", "a PoP and a worker"
        fix = "declare them at the edge: without them nobody's PROXY header can be believed"
        yield Problem("edge", got, need, fix, "edge-without-pop")
    for worker in sorted(ingress.node_names.keys() - edge.workers.keys()):
        got, need = f"{worker} is no worker of pool {edge.pool}", ", ".join(edge.workers)
        fix = "write the worker's name as the edge has it"
        yield Problem(f"node_names.{worker}", got, need, fix, "worker-known")
    nodes: dict[str, str] = {}
    for worker in edge.workers:
        node = ingress.node_of(worker)
        if node in nodes:
            got, need = f"{node} is the node of {nodes[node]} as well", "a node of its own"
            fix = "name each worker's node"
            yield Problem(f"node_names.{worker}", got, need, fix, "node-twice")
        nodes.setdefault(node, worker)
    if ingress.vip is not None and ingress.vip not in edge.vips:
        yield unknown_name("vip", "vips", ingress.vip, edge.vips, "vip-known")


def _port(ingress: Ingress, edge: Edge, scheme: str, problems: list[Problem]) -> int | None:
    """Where a scheme arrives on workers: as declared, if the edge forwards there, or as found."""
    ports = ingress.exposure.ports
    host = isinstance(ports, HostPorts)
    path = f"exposure.{'host_ports' if host else 'load_balancer'}.{scheme}"
    declared = ports.http if scheme == HTTP else ports.https
    found = edge.arriving(PORTS_OF[scheme], ingress.vip)
    if declared is not None:
        known = tuple(sorted({s.worker_port for s in edge.services.values()}))
        if declared not in known:
            got = f"no service of pool {edge.pool} has worker_port {declared}"
            fix = "write the same number as worker_port at the edge, or leave it out here"
            problems.append(Problem(path, got, _listed(known), fix, "port-not-forwarded"))
        return declared
    if len(found) > 1:
        got = f"services on port {PORTS_OF[scheme]} arrive at {_listed(found)}"
        fix = "write which one it is, or name the vip"
        problems.append(Problem(path, got, "one port", fix, "port-ambiguous"))
    return found[0] if found else None


def _check_ports(
    ingress: Ingress, edge: Edge, http: int | None, https: int | None
) -> Iterator[Problem]:
    if http is None and https is None:
        got = f"no service of pool {edge.pool} is on port 80 or 443"
        fix = "declare one at the edge, or write the worker_port that it has as http or https"
        yield Problem("edge.services", got, "a port to listen on", fix, "port-not-forwarded")
    filled = _written(ingress) | {HTTP: http, HTTPS: https}
    yield from _clashes(ingress, filled) if filled != _written(ingress) else ()
    ports = ingress.exposure.ports
    if isinstance(ports, HostPorts):
        field, path, wanted = "host_ports.ping", _ready_path(ingress), ports.ping
    else:
        field, path, wanted = "load_balancer.health_check", "/healthz", ports.health_check
    if edge.ready_port is not None and (edge.ready_port, edge.ready_path) != (wanted, path):
        got = f"PoPs ask for {edge.ready_path} at port {edge.ready_port}"
        need = f"{path} at port {wanted}"
        fix = f"let it be the same: ready_port: {wanted}, ready_path: {path} at the edge's service"
        yield Problem(f"exposure.{field}", got, need, fix, "readiness-differs")
    size = 1500 * len(edge.workers) + 60 * sum(map(len, edge.workers.values()))
    if size > CONFIG_BYTES:
        got = (
            f"configuration of {len(edge.workers)} workers and {len(edge.pops)} PoPs, {size} bytes"
        )
        fix = "divide the workers into pools with a controller each"
        yield Problem("edge.workers", got, f"at most {CONFIG_BYTES}", fix, "config-too-large")


def _ready_path(ingress: Ingress) -> str:
    return "/nginx-ready" if ingress.controller.kind == NGINX else "/ping"


def _address(ingress: Ingress, edge: Edge) -> Address | None:
    """Of the VIP that is named, or of the first; IPv4 before IPv6, since there is room for one."""
    vips = [edge.vips[ingress.vip]] if ingress.vip else [edge.vips[n] for n in sorted(edge.vips)]
    known = sorted((a for vip in vips[:1] for a in vip), key=lambda a: (a.version, a.packed))
    return known[0] if known else None


def _listed(ports: Sequence[int]) -> str:
    return ", ".join(map(str, ports)) or "no port"
