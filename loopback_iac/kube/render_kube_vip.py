"""Policies for kube-vip: who runs it, what it may do, a Service per policy, what denies the rest.

Its annotations are read as text: lists have no blanks, ports have their protocol, and whatever
stands in egress-internal switches it on, "false" as well. Networks of the cluster are always
given, since those it would guess are wrong for many.
"""

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

from loopback_iac.kube.manifests import MADE_BY, PREFIX, Manifest, metadata, selector
from loopback_iac.kube.policy import FAMILIES, Egress, EgressPolicy, KubeVip
from loopback_iac.kube.problems import inside

NAME = "kube-vip-egress"
CLASS = "loopback-iac/kube-vip-"
"""Of a gateway's Services: each DaemonSet minds its own."""
METRICS_PORT = 2112
RULES = (
    ("", ("services/status",), ("update",)),
    ("", ("services",), ("get", "list", "update", "watch")),
    ("", ("nodes",), ("get", "list", "watch")),
    ("", ("pods",), ("list",)),
    ("coordination.k8s.io", ("leases",), ("create", "get", "list", "update", "watch")),
    ("discovery.k8s.io", ("endpointslices",), ("get", "list", "watch")),
)
"""What it asks the API server for; less than its own manifest: endpoints, and nodes unlabelled."""


def render_kube_vip(egress: Egress) -> list[Manifest]:
    """Everything that is made of the declared policies.

    In: an Egress that parsed with backend kube-vip.
    Sources: kube-vip 1.2.3, pkg/kubevip/config_generator.go and annotations.go.
    """
    assert egress.kube_vip is not None  # noqa: S101  # checked before
    found = [*_rights(egress.kube_vip), *(_runners(egress, egress.kube_vip))]
    for name in egress.policies:
        found += _denial(egress, name)
        found.append(_service(egress, name))
    return found


def _rights(kube_vip: KubeVip) -> Iterator[Manifest]:
    account = {"name": NAME, "namespace": kube_vip.namespace}
    yield {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {**account, "labels": dict(MADE_BY)},
    }
    yield {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": NAME, "labels": dict(MADE_BY)},
        "rules": [
            {"apiGroups": [group], "resources": list(kinds), "verbs": list(verbs)}
            for group, kinds, verbs in RULES
        ],
    }
    yield {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": NAME, "labels": dict(MADE_BY)},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAME},
        "subjects": [{"kind": "ServiceAccount", **account}],
    }


def _runners(egress: Egress, kube_vip: KubeVip) -> Iterator[Manifest]:
    """A DaemonSet per gateway: its nodes are workers, where the pods are."""
    used = {gateway for policy in egress.policies.values() for gateway in policy.gateways}
    for gateway in sorted(used):
        name = f"{NAME}-{gateway}"
        labels = {**MADE_BY, "app.kubernetes.io/name": NAME, f"{PREFIX}gateway": gateway}
        yield {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": name, "namespace": kube_vip.namespace, "labels": labels},
            "spec": {
                "selector": selector(labels),
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": _pod(egress, kube_vip, gateway),
                },
            },
        }


def _pod(egress: Egress, kube_vip: KubeVip, gateway: str) -> Manifest:
    declared = egress.gateways[gateway]
    return {
        "serviceAccountName": NAME,
        "hostNetwork": True,
        "nodeSelector": {"kubernetes.io/os": "linux", **declared.labels},
        "priorityClassName": "system-node-critical",
        "containers": [
            {
                "name": "kube-vip",
                "image": kube_vip.image,
                "imagePullPolicy": "IfNotPresent",
                "args": ["manager"],
                "env": list(
                    _environment(egress, gateway, declared.interface or kube_vip.interface)
                ),
                "ports": [{"name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP"}],
                "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]},
                },
            }
        ],
    }


def _environment(egress: Egress, gateway: str, interface: str) -> Iterator[Manifest]:
    for name, value in (
        ("vip_arp", "true"),
        ("vip_interface", interface),
        ("vip_servicesinterface", interface),
        ("cp_enable", "false"),
        ("svc_enable", "true"),
        ("svc_election", "true"),
        ("enable_endpoints", "false"),
        ("lb_class_name", f"{CLASS}{gateway}"),
        ("instance_name", gateway),
        ("lb_class_only", "true"),
        ("egress_withnftables", "true"),
        ("egress_clean", "true"),
        ("egress_podcidr", ",".join(map(str, egress.pod_cidrs))),
        ("egress_servicecidr", ",".join(map(str, egress.service_cidrs))),
        ("prometheus_server", f":{METRICS_PORT}"),
    ):
        yield {"name": name, "value": value}
    yield {"name": "vip_nodename", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}


def _service(egress: Egress, name: str) -> Manifest:
    policy = egress.policies[name]
    (gateway,) = policy.gateways
    (address,) = policy.addresses
    destinations, excluded = policy.networks(address.version)
    notes = {
        "kube-vip.io/egress": "true",
        "kube-vip.io/loadbalancerIPs": str(address),
    }
    if all(network.prefixlen for network in destinations):
        notes["kube-vip.io/egress-allowed-networks"] = ",".join(map(str, destinations))
    if excluded:
        notes["kube-vip.io/egress-denied-networks"] = ",".join(map(str, excluded))
    if policy.ports:
        notes["kube-vip.io/egress-destination-ports"] = ",".join(policy.ports)
    about = metadata(egress, name, policy, f"egress-{name}", policy.namespaces[0])
    about["annotations"] |= notes
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": about,
        "spec": {
            "type": "LoadBalancer",
            "loadBalancerClass": f"{CLASS}{gateway}",
            "externalTrafficPolicy": "Local",
            "allocateLoadBalancerNodePorts": False,
            "selector": dict(policy.pod_labels),
            # a Service has to have a port; nothing listens, and what arrives there is refused
            "ports": [{"name": "none", "port": 9, "protocol": "TCP", "targetPort": 9}],
        },
    }


def _denial(egress: Egress, name: str) -> Iterator[Manifest]:
    policy = egress.policies[name]
    if policy.default_deny == "none":
        return
    yield {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(egress, name, policy, f"egress-{name}", policy.namespaces[0]),
        "spec": {
            "podSelector": selector(policy.pod_labels),
            "policyTypes": ["Egress"],
            "egress": list(_allowed(egress, policy)),
        },
    }


def _allowed(egress: Egress, policy: EgressPolicy) -> Iterator[Manifest]:
    blocks: list[dict[str, Any]] = []
    for family in FAMILIES:
        destinations, excluded = policy.networks(family)
        for network in destinations:
            left_out = [str(each) for each in excluded if inside(each, network)]
            block = {"cidr": str(network)} | ({"except": left_out} if left_out else {})
            blocks.append({"ipBlock": block})
    ports = [
        {"port": int(port), "protocol": protocol.upper()}
        for protocol, _, port in (each.partition(":") for each in policy.ports)
    ]
    yield {"to": blocks} | ({"ports": ports} if ports else {})
    if policy.default_deny == "outside":
        # the API server's Service leads to nodes, and the policy sees where it leads
        own = [ip_network(address) for n in egress.nodes.values() for address in n.addresses]
        inner = [*egress.pod_cidrs, *egress.service_cidrs, *own]
        within = [{"ipBlock": {"cidr": str(network)}} for network in inner]
        yield {"to": [{"namespaceSelector": {}}, *within]}
    else:
        dns = {
            "namespaceSelector": selector({"kubernetes.io/metadata.name": "kube-system"}),
            "podSelector": selector({"k8s-app": "kube-dns"}),
        }
        ports = [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
        yield {"to": [dns], "ports": ports}
