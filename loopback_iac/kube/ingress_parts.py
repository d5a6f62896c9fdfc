"""What every ingress controller's manifests share: rights, class, ports, pods one per node."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from loopback_iac.kube.ingress import HTTP, HTTPS, Behind, HostPorts, Ingress, LoadBalancer
from loopback_iac.kube.manifests import MADE_BY, PREFIX, Manifest

FIRST_FREE_PORT = 1024
"""Below it a process needs CAP_NET_BIND_SERVICE (ip_unprivileged_port_start)."""
OUTSIDE = {HTTP: 80, HTTPS: 443}
Rules = Iterable[tuple[str, tuple[str, ...], tuple[str, ...]]]


def labels(ingress: Ingress) -> dict[str, str]:
    """By which its pods are found."""
    return {
        "app.kubernetes.io/name": ingress.controller.kind,
        "app.kubernetes.io/instance": ingress.class_name,
    }


def meta(ingress: Ingress, *, namespaced: bool = True) -> Manifest:
    """Name and labels of one of its objects."""
    found: Manifest = {"name": ingress.named, "labels": {**MADE_BY, **labels(ingress)}}
    return found | ({"namespace": ingress.space} if namespaced else {})


def base(ingress: Ingress, rules: Rules, controller: str) -> list[Manifest]:
    """What does not depend on the edge: namespace, rights, class.

    In: rules, what it asks the API server for; controller, its name in an IngressClass.
    """
    found = [_namespace(ingress), *_rights(ingress, rules), _class(ingress, controller)]
    # nothing else has to be there; pods on the host's network are under no policy anyway
    return [*found, _denial(ingress)] if ingress.on_host_network else found


def _namespace(ingress: Ingress) -> Manifest:
    """Ports of the host are outside of what the baseline of Pod Security lets a pod have."""
    level = "restricted" if isinstance(ingress.exposure.ports, LoadBalancer) else "privileged"
    marks = {
        **MADE_BY,
        **labels(ingress),
        "pod-security.kubernetes.io/enforce": level,
    }
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": ingress.space, "labels": marks},
    }


def _rights(ingress: Ingress, rules: Rules) -> Iterator[Manifest]:
    group = "rbac.authorization.k8s.io"
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta(ingress)}
    yield {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRole",
        "metadata": meta(ingress, namespaced=False),
        "rules": [
            {"apiGroups": [kinds_of], "resources": list(kinds), "verbs": list(verbs)}
            for kinds_of, kinds, verbs in rules
        ],
    }
    yield {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": meta(ingress, namespaced=False),
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": ingress.named},
        "subjects": [{"kind": "ServiceAccount", "name": ingress.named, "namespace": ingress.space}],
    }


def _class(ingress: Ingress, controller: str) -> Manifest:
    found = meta(ingress, namespaced=False) | {"name": ingress.class_name}
    if ingress.default_class:
        found["annotations"] = {"ingressclass.kubernetes.io/is-default-class": "true"}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": found,
        "spec": {"controller": controller},
    }


def _denial(ingress: Ingress) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": meta(ingress),
        "spec": {"podSelector": {}, "policyTypes": ["Egress", "Ingress"]},
    }


def service(behind: Behind, names: Mapping[str, str]) -> list[Manifest]:
    """The Service that no cloud answers to, where it is exposed so: fixed ports, own class, Local.

    In: by scheme, the name of the pod's port. Nobody fills its status in, so nobody waits for it;
    Ingresses get theirs from the controller.
    """
    ports = behind.ingress.exposure.ports
    if not isinstance(ports, LoadBalancer):
        return []
    arriving = {HTTP: behind.http_port, HTTPS: behind.https_port}
    found = meta(behind.ingress) | {"annotations": {"pulumi.com/skipAwait": "true"}}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": found,
            "spec": {
                "type": "LoadBalancer",
                "loadBalancerClass": ports.class_name,
                "externalTrafficPolicy": "Local",
                "healthCheckNodePort": ports.health_check,
                "ipFamilyPolicy": "PreferDualStack",
                "selector": labels(behind.ingress),
                "ports": [
                    {
                        "name": names[scheme],
                        "port": OUTSIDE[scheme],
                        "targetPort": names[scheme],
                        "nodePort": port,
                        "protocol": "TCP",
                    }
                    for scheme, port in arriving.items()
                    if port is not None
                ],
            },
        }
    ]


def listening(behind: Behind, inside: Mapping[str, int]) -> dict[str, int]:
    """Ports in the pod, by scheme and `ping`.

    In: those of a pod with a network of its own.
    """
    ports = behind.ingress.exposure.ports
    arriving = {HTTP: behind.http_port, HTTPS: behind.https_port}
    used = {scheme: port for scheme, port in arriving.items() if port is not None}
    if isinstance(ports, HostPorts) and ports.host_network:
        return used | {"ping": ports.ping}
    return {name: inside[name] for name in (*used, "ping")}


def container_ports(
    behind: Behind, names: Mapping[str, str], inside: Mapping[str, int]
) -> list[Manifest]:
    """Ports of the container, on the node where they are host ports."""
    ports = behind.ingress.exposure.ports
    arriving = {HTTP: behind.http_port, HTTPS: behind.https_port}
    if isinstance(ports, HostPorts):
        arriving["ping"] = ports.ping
    found = []
    for what, port in listening(behind, inside).items():
        one: Manifest = {"name": names.get(what, what), "containerPort": port, "protocol": "TCP"}
        if isinstance(ports, HostPorts):
            one["hostPort"] = arriving[what]
        found.append(one)
    return found


def confined(ports: Iterable[int], user: int) -> Manifest:
    """Least privilege.

    Who listens below 1024 on the host's network is root without any other right: a capability is
    given to a process that is not root by a mark on its file alone, which images do not carry.
    """
    low = min(ports) < FIRST_FREE_PORT
    capabilities: dict[str, Any] = {"drop": ["ALL"]}
    if low:
        capabilities["add"] = ["NET_BIND_SERVICE"]
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": capabilities,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": not low,
        "runAsUser": 0 if low else user,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def daemon_set(behind: Behind, pod: Manifest, generation: str) -> Manifest:
    """One pod per node, replaced node by node: two cannot have the same ports.

    In: generation, of the configuration: pods are replaced when it changes.
    """
    ingress = behind.ingress
    chosen = labels(ingress)
    spec: Manifest = {
        "serviceAccountName": ingress.named,
        "priorityClassName": "system-node-critical",
        "terminationGracePeriodSeconds": behind.leave_s,
        "nodeSelector": {"kubernetes.io/os": "linux", **ingress.node_selector},
        **pod,
    }
    if ingress.on_host_network:
        spec |= {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
    marks = {f"{PREFIX}configuration": generation}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": meta(ingress),
        "spec": {
            "selector": {"matchLabels": chosen},
            "minReadySeconds": 5,
            "updateStrategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
            },
            "template": {
                "metadata": {"labels": {**MADE_BY, **chosen}, "annotations": marks},
                "spec": spec,
            },
        },
    }
