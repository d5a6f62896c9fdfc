"""What the API server has to hold for gateways that take over: a Lease each, and who may what.

The rules name every object: an egress gateway's credential writes its own groups' policies, reads
their nodes, and nothing else. A Lease cannot be created by name, so it is declared, empty; its spec
is theirs.

Sources: Kubernetes API reference, Lease v1, RBAC v1 ("create" cannot be restricted by name).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from loopback_iac.kube.manifests import MADE_BY, Manifest
from loopback_iac.model.egress_gateway import EgressGateways, EgressGroup

RBAC = "rbac.authorization.k8s.io"


def lease_name(group: str) -> str:
    """Name of a group's Lease."""
    return f"loopback-egress-{group}"


def render_gateway_access(gateways: EgressGateways) -> list[Manifest]:
    """Leases, roles and bindings, for the user that the credential is.

    Out: nothing for groups of a single node, which ask no API.
    """
    groups = {name: group for name, group in gateways.groups.items() if group.moves}
    if not groups:
        return []
    named = f"loopback-egress-{gateways.name}"
    labels = dict(MADE_BY)
    return [
        *(_lease(gateways, name) for name in groups),
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "Role",
            "metadata": {"name": named, "namespace": gateways.namespace, "labels": labels},
            "rules": [
                _rule("coordination.k8s.io", "leases", map(lease_name, groups), "get", "patch")
            ],
        },
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": named, "labels": labels},
            "rules": list(_cluster_rules(groups)),
        },
        _binding("RoleBinding", "Role", named, gateways),
        _binding("ClusterRoleBinding", "ClusterRole", named, gateways),
    ]


def _cluster_rules(groups: Mapping[str, EgressGroup]) -> Iterable[Manifest]:
    nodes = {node for group in groups.values() for node in group.nodes}
    yield _rule("", "nodes", nodes, "get")
    policies = {policy for group in groups.values() for policy in group.policies}
    yield _rule("cilium.io", "ciliumegressgatewaypolicies", policies, "get", "patch")


def _rule(group: str, resource: str, names: Iterable[str], *verbs: str) -> Manifest:
    return {
        "apiGroups": [group],
        "resources": [resource],
        "resourceNames": sorted(names),
        "verbs": [*verbs],
    }


def _lease(gateways: EgressGateways, group: str) -> Manifest:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": lease_name(group),
            "namespace": gateways.namespace,
            "labels": dict(MADE_BY),
        },
    }


def _binding(kind: str, role: str, named: str, gateways: EgressGateways) -> Manifest:
    meta: dict[str, Any] = {"name": named, "labels": dict(MADE_BY)}
    if kind == "RoleBinding":
        meta["namespace"] = gateways.namespace
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": kind,
        "metadata": meta,
        "roleRef": {"apiGroup": RBAC, "kind": role, "name": named},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": gateways.user}],
    }
