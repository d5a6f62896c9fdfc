"""F5 NGINX behind the edge as plain manifests: what Traefik's have, as far as it goes.

Its configuration is one for all nodes, so every PoP's end of every worker's tunnels is believed
everywhere; pods take a change without a restart. Every connection has to begin with a PROXY header.
It does not say that it leaves before it stops to listen: PoPs then find the port closed and take
another worker.
"""

import hashlib
import json

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
from loopback_iac.kube.manifests import Manifest

CONTROLLER = "nginx.org/ingress-controller"
INSIDE = {HTTP: 8080, HTTPS: 8443, "ping": 8081}
NAMES = {HTTP: HTTP, HTTPS: HTTPS, "ping": "ready"}
USER = 101
MOUNTS = {
    "etc": "/etc/nginx",
    "cache": "/var/cache/nginx",
    "lib": "/var/lib/nginx",
    "state": "/var/lib/nginx/state",
    "log": "/var/log/nginx",
}
"""Folders that it writes; the image's configuration is copied into the first before it begins."""
READ = ("get", "list", "watch")
RULES = (
    ("", ("services", "secrets", "configmaps", "namespaces", "pods"), READ),
    ("", ("nodes",), ("list",)),
    ("", ("events",), ("create", "patch", "list")),
    ("apps", ("replicasets", "daemonsets"), ("get",)),
    ("coordination.k8s.io", ("leases",), ("create", "get", "list", "update", "watch")),
    ("discovery.k8s.io", ("endpointslices",), READ),
    ("networking.k8s.io", ("ingresses",), READ),
    ("networking.k8s.io", ("ingressclasses",), ("get", "list")),
    ("networking.k8s.io", ("ingresses/status",), ("update",)),
)
"""Less than its own manifest: without its own kinds, it changes neither pods nor Services.

Sources: nginx/kubernetes-ingress 5.6, deployments/rbac/rbac.yaml.
"""


def nginx_base(ingress: Ingress) -> list[Manifest]:
    """What does not depend on the edge."""
    return base(ingress, RULES, CONTROLLER)


def nginx_pods(behind: Behind) -> list[Manifest]:
    """What follows from the edge: configuration, the Service if there is one, the pods."""
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(behind.ingress)}
    shape = hashlib.sha256(json.dumps(_arguments(behind)).encode()).hexdigest()[:16]
    pods = daemon_set(behind, _pod(behind), shape)
    return [made | {"data": _settings(behind)}, *service(behind, NAMES), pods]


def _settings(behind: Behind) -> dict[str, str]:
    """Sources: nginx/kubernetes-ingress 5.6, reference of ConfigMap keys."""
    found = {
        "proxy-protocol": "True",
        "real-ip-header": "proxy_protocol",
        "set-real-ip-from": ",".join(f"{end}/32" for end in behind.edge.trusted),
        "ssl-protocols": "TLSv1.2 TLSv1.3",
        "worker-shutdown-timeout": f"{behind.ingress.drain_s}s",
    }
    if behind.address is not None:
        found["external-status-address"] = str(behind.address)
    return found | ({} if behind.ingress.access_log else {"access-log-off": "True"})


def _arguments(behind: Behind) -> list[str]:
    ports = listening(behind, INSIDE)
    flags = {HTTP: "default-http-listener-port", HTTPS: "default-https-listener-port"}
    return [
        "-nginx-configmaps=$(POD_NAMESPACE)/" + behind.ingress.named,
        f"-ingress-class={behind.ingress.class_name}",
        "-enable-custom-resources=false",
        "-enable-telemetry-reporting=false",
        "-enable-leader-election=true",
        f"-leader-election-lock-name={behind.ingress.named}",
        "-report-ingress-status",
        "-ready-status=true",
        f"-ready-status-port={ports['ping']}",
        *(f"-{flags[scheme]}={port}" for scheme, port in ports.items() if scheme in flags),
    ]


def _pod(behind: Behind) -> Manifest:
    image, ports = behind.ingress.controller.image, listening(behind, INSIDE)
    context = confined(ports.values(), USER)
    volumes = [{"name": name, "emptyDir": {}} for name in MOUNTS]
    fields = {"POD_NAMESPACE": "metadata.namespace", "POD_NAME": "metadata.name"}
    container = {
        "name": "nginx",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": _arguments(behind),
        "env": [
            {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
            for name, path in fields.items()
        ],
        "ports": container_ports(behind, NAMES, INSIDE),
        "readinessProbe": {
            "httpGet": {"path": "/nginx-ready", "port": "ready"},
            "periodSeconds": 1,
        },
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
        "securityContext": context,
        "volumeMounts": [{"name": n, "mountPath": path} for n, path in MOUNTS.items()],
    }
    first = {
        "name": "copy",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["cp", "-dR", "/etc/nginx/.", "/copied"],
        "securityContext": context,
        "volumeMounts": [{"name": "etc", "mountPath": "/copied"}],
    }
    return {"initContainers": [first], "containers": [container], "volumes": volumes}
