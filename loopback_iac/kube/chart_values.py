"""Values for Traefik's own chart: the same promises as our manifests, but one file for all nodes.

So every PoP's end of every worker's tunnels is believed everywhere, and pods are replaced, node by
node, whenever a worker comes or goes.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from loopback_iac.kube.ingress import HTTP, HTTPS, Behind, HostPorts, LoadBalancer
from loopback_iac.kube.ingress_parts import OUTSIDE, listening
from loopback_iac.kube.render_traefik import INSIDE, NAMES
from loopback_iac.model.problem import Problem

UNROUTED_PORT = 9101
"""The chart listens for metrics whether it is asked to or not; on 9100 is a node's exporter."""
SHOWN = 80
TRUSTING = ("proxyProtocol", "forwardedHeaders")


def traefik_values(behind: Behind) -> dict[str, Any]:
    """Values of ours.

    Sources: traefik/traefik-helm-chart, values.yaml of charts 38 and later.
    """
    ingress = behind.ingress
    arguments = []
    if behind.address is not None:
        arguments.append(f"--providers.kubernetesingress.ingressendpoint.ip={behind.address}")
    return {
        "deployment": {
            "kind": "DaemonSet",
            "terminationGracePeriodSeconds": behind.leave_s,
            "minReadySeconds": 5,
        },
        "updateStrategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
        },
        "hostNetwork": ingress.on_host_network,
        "priorityClassName": "system-node-critical",
        "nodeSelector": {"kubernetes.io/os": "linux", **ingress.node_selector},
        "ports": _ports(behind),
        "service": _service(behind),
        "ingressClass": {
            "enabled": True,
            "isDefaultClass": ingress.default_class,
            "name": ingress.class_name,
        },
        "providers": {
            "kubernetesCRD": {"enabled": ingress.own_kinds},
            "kubernetesIngress": {
                "enabled": True,
                "ingressClass": ingress.class_name,
                "allowEmptyServices": True,
                "strictPrefixMatching": True,
                "publishedService": {"enabled": False},
            },
        },
        "api": {"dashboard": False},
        "logs": {"access": {"enabled": ingress.access_log, "format": "json"}},
        "globalArguments": [],
        "additionalArguments": arguments,
    }


def _ports(behind: Behind) -> dict[str, Any]:
    ports, inside = behind.ingress.exposure.ports, listening(behind, INSIDE)
    arriving = {HTTP: behind.http_port, HTTPS: behind.https_port}
    accept = {"requestAcceptGraceTimeout": f"{behind.accept_s}s"}
    found: dict[str, Any] = {
        "traefik": {"port": inside["ping"], "expose": {"default": False}},
        "metrics": {"port": UNROUTED_PORT, "expose": {"default": False}},
    }
    if isinstance(ports, HostPorts):
        found["traefik"]["hostPort"] = ports.ping
    for scheme, name in NAMES.items():
        if scheme not in inside:
            # the chart listens there all the same: nothing is routed from a port nobody declared
            unused = {"port": INSIDE[scheme], "asDefault": False, "expose": {"default": False}}
            found[name] = unused
            continue
        life = accept | {"graceTimeOut": f"{behind.ingress.drain_s}s"}
        found[name] = {
            "port": inside[scheme],
            "asDefault": True,
            "exposedPort": OUTSIDE[scheme],
            "expose": {"default": isinstance(ports, LoadBalancer)},
            "proxyProtocol": {"trustedIPs": list(behind.edge.trusted), "insecure": False},
            "forwardedHeaders": {"trustedIPs": [], "insecure": False},
            "transport": {"lifeCycle": life},
        }
        key = "hostPort" if isinstance(ports, HostPorts) else "nodePort"
        found[name][key] = arriving[scheme]
    return found


def _service(behind: Behind) -> dict[str, Any]:
    ports = behind.ingress.exposure.ports
    if isinstance(ports, HostPorts):
        return {"enabled": False}
    return {
        "enabled": True,
        "type": "LoadBalancer",
        "annotations": {"pulumi.com/skipAwait": "true"},
        "spec": {
            "loadBalancerClass": ports.class_name,
            "externalTrafficPolicy": "Local",
            "healthCheckNodePort": ports.health_check,
        },
    }


def check_chart_values(behind: Behind) -> Iterator[Problem]:
    """Values of somebody's that would undo ours, or widen whom Traefik believes."""
    chart = behind.ingress.controller.chart
    if chart is None:
        return
    path = "controller.chart.values"
    yield from check_owned(path, chart.values, traefik_values(behind))
    ports = chart.values.get("ports")
    for name, port in ports.items() if isinstance(ports, Mapping) else ():
        for key in TRUSTING if isinstance(port, Mapping) and name not in NAMES.values() else ():
            if key in port:
                got = "another entry point that believes what it is told of clients"
                fix = "remove it: the edge has two ways in, and both are declared"
                yield Problem(f"{path}.ports.{name}.{key}", got, "", fix, "trust-wider-than-pops")


def check_owned(path: str, given: Mapping[str, Any], ours: Mapping[str, Any]) -> Iterator[Problem]:
    """Values of somebody's that say otherwise than ours."""
    for key, value in given.items():
        if key not in ours:
            continue
        where, wanted = f"{path}.{key}", ours[key]
        if isinstance(wanted, Mapping) and isinstance(value, Mapping):
            yield from check_owned(where, value, wanted)
        elif value != wanted:
            rule = "trust-wider-than-pops" if _trusts(where) else "chart-value-owned"
            fix = "leave it out: it follows from what is declared"
            yield Problem(where, _shown(value), _shown(wanted), fix, rule)


def _shown(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _trusts(path: str) -> bool:
    return any(f".{word}." in f"{path}." for word in (*TRUSTING, "additionalArguments"))


def merged_values(behind: Behind) -> dict[str, Any]:
    """Somebody's values with ours among them; checked before, so neither loses."""
    chart = behind.ingress.controller.chart
    return merge_values(chart.values if chart else {}, traefik_values(behind))


def merge_values(given: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """Both, at every depth; ours where both say something."""
    found = dict(given)
    for key, value in ours.items():
        held = given.get(key)
        both = isinstance(held, Mapping) and isinstance(value, Mapping)
        found[key] = merge_values(held, value) if both else value  # type: ignore[arg-type]
    return found
