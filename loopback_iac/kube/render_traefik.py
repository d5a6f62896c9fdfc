"""Traefik behind the edge as plain manifests: who believes whom, one pod per node, a clean leave.

Its static configuration is a file per node: each believes the PoPs' ends of that node's own
tunnels and nothing else. A worker that comes or goes changes no other's file, so no pod is
restarted for it; one whose file is not there yet does not start, so it never believes the wrong.
"""

import hashlib
import json
from ipaddress import IPv4Address
from typing import Any

from loopback_iac.kube.ingress import HTTP, HTTPS, Behind, Ingress
from loopback_iac.kube.ingress_parts import (
    base,
    confined,
    container_ports,
    daemon_set,
    listening,
    meta,
    service,
)
from loopback_iac.kube.manifests import Manifest, render_yaml

CONTROLLER = "traefik.io/ingress-controller"
INSIDE = {HTTP: 8000, HTTPS: 8443, "ping": 8082}
"""Ports in a pod with a network of its own."""
NAMES = {HTTP: "web", HTTPS: "websecure"}
WORKER_BITS = 11
"""Of a tunnel's address: the worker and which end; above them stands the PoP."""
USER = 65532
FOLDER = "/etc/traefik"
TLS_FILE = "tls.yaml"
TLS_LEAST = "VersionTLS12"
RULES = (
    ("", ("services", "secrets", "nodes"), ("get", "list", "watch")),
    ("discovery.k8s.io", ("endpointslices",), ("get", "list", "watch")),
    ("networking.k8s.io", ("ingresses", "ingressclasses"), ("get", "list", "watch")),
    ("networking.k8s.io", ("ingresses/status",), ("update",)),
)
"""What its provider for Ingress asks for. Nodes: it will not begin before it has listed them.

Sources: Traefik 3.6.12, pkg/provider/kubernetes/ingress/client.go.
"""
OWN_KINDS = tuple(
    f"{kind}s"
    for kind in (
        *("ingressroute", "ingressroutetcp", "ingressrouteudp", "middleware", "middlewaretcp"),
        *("serverstransport", "serverstransporttcp", "tlsoption", "tlsstore", "traefikservice"),
    )
)
OWN_RULES = (
    ("", ("configmaps",), ("get", "list", "watch")),
    ("traefik.io", OWN_KINDS, ("get", "list", "watch")),
)
"""Sources: Traefik 3.6.12, reference of its provider for own kinds."""


def traefik_base(ingress: Ingress) -> list[Manifest]:
    """What does not depend on the edge."""
    return base(ingress, (*RULES, *(OWN_RULES if ingress.own_kinds else ())), CONTROLLER)


def traefik_pods(behind: Behind) -> list[Manifest]:
    """What follows from the edge: configuration by node, the Service if there is one, the pods."""
    config = {
        f"{behind.ingress.node_of(worker)}.yaml": render_yaml(
            [static_config(behind, [str(end) for end in sorted(ends)])]
        )
        for worker, ends in sorted(behind.edge.workers.items())
    }
    config[TLS_FILE] = render_yaml([{"tls": {"options": {"default": {"minVersion": TLS_LEAST}}}}])
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(behind.ingress)}
    pods = daemon_set(behind, _pod(behind), _generation(behind))
    return [made | {"data": config}, *service(behind, NAMES), pods]


def static_config(behind: Behind, trusted: list[str]) -> dict[str, Any]:
    """Traefik's static configuration on one node.

    In: addresses whose PROXY header is believed.
    Sources: Traefik 3.6, reference of static configuration; it exits on a key it does not know.
    """
    ports = listening(behind, INSIDE)
    life = {"requestAcceptGraceTimeout": f"{behind.accept_s}s"}
    points: dict[str, Any] = {
        "ping": {"address": f":{ports['ping']}", "transport": {"lifeCycle": life}}
    }
    for scheme, name in NAMES.items():
        if scheme in ports:
            points[name] = {
                "address": f":{ports[scheme]}",
                "asDefault": True,
                "proxyProtocol": {"trustedIPs": trusted},
                "transport": {"lifeCycle": life | {"graceTimeOut": f"{behind.ingress.drain_s}s"}},
            }
    if HTTPS in ports:
        points[NAMES[HTTPS]]["http"] = {"tls": {}}
    kubernetes: dict[str, Any] = {
        "ingressClass": behind.ingress.class_name,
        "allowEmptyServices": True,
        "strictPrefixMatching": True,
    }
    if behind.address is not None:
        kubernetes["ingressEndpoint"] = {"ip": str(behind.address)}
    found: dict[str, Any] = {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"format": "json", "level": "INFO"},
        "entryPoints": points,
        "ping": {"entryPoint": "ping"},
        "providers": {
            "kubernetesIngress": kubernetes,
            "file": {"filename": f"{FOLDER}/{TLS_FILE}", "watch": False},
        },
    }
    if behind.ingress.own_kinds:
        found["providers"]["kubernetesCRD"] = {"allowEmptyServices": True}
    return found | ({"accessLog": {"format": "json"}} if behind.ingress.access_log else {})


def _generation(behind: Behind) -> str:
    """Digest of what pods have to be restarted for: not of who the workers are.

    A PoP's ends towards all workers share their upper bits, so those stand for PoP and key epoch.
    """
    ends = {end for ends in behind.edge.workers.values() for end in ends}
    blocks = sorted({int(end) >> WORKER_BITS << WORKER_BITS for end in ends})
    shape = static_config(behind, [str(IPv4Address(block)) for block in blocks])
    return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:16]


def _pod(behind: Behind) -> Manifest:
    ports = listening(behind, INSIDE)
    probe = {"httpGet": {"path": "/ping", "port": "ping"}}
    mount = {"name": "config", "readOnly": True}
    container = {
        "name": "traefik",
        "image": behind.ingress.controller.image,
        "imagePullPolicy": "IfNotPresent",
        "args": [f"--configFile={FOLDER}/traefik.yaml"],
        "env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "ports": container_ports(behind, NAMES, INSIDE),
        "readinessProbe": probe | {"periodSeconds": 2},
        "livenessProbe": probe | {"periodSeconds": 10, "initialDelaySeconds": 10},
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
        "securityContext": confined(ports.values(), USER),
        "volumeMounts": [
            mount | {"mountPath": f"{FOLDER}/traefik.yaml", "subPathExpr": "$(NODE).yaml"},
            mount | {"mountPath": f"{FOLDER}/{TLS_FILE}", "subPath": TLS_FILE},
        ],
    }
    volume = {"name": "config", "configMap": {"name": behind.ingress.named}}
    return {"containers": [container], "volumes": [volume]}
