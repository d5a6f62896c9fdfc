"""Policies for Cilium: egress gateway policies, one per family, and what denies the rest.

A policy of two families is two manifests: with an address of one family and networks of both,
1.20 loses IPv4 (cilium/cilium issue 48660).
"""

from collections.abc import Iterator
from typing import Any

from loopback_iac.kube.cegp import API, KIND
from loopback_iac.kube.manifests import PREFIX, Manifest, metadata, selector
from loopback_iac.kube.policy import Egress, EgressPolicy
from loopback_iac.kube.problems import inside
from loopback_iac.kube.selectors import NAMESPACE, NAMESPACE_LABELS

STANDING = f"{PREFIX}gateway-nodes"
CANDIDATES = f"{PREFIX}gateway-candidates"
DNS_NAMESPACE, DNS_LABELS = "kube-system", {"k8s-app": "kube-dns"}
DNS_PORTS = [{"port": "53", "protocol": "UDP"}, {"port": "53", "protocol": "TCP"}]


def render_cilium(egress: Egress) -> list[Manifest]:
    """Everything that is made of the declared policies; the denials stand first.

    In: an Egress that parsed with backend cilium.
    Sources: CRDs of Cilium 1.20.1, pkg/k8s/apis/cilium.io/client/crds/v2.
    """
    denials = [each for name in egress.policies for each in _denials(egress, name)]
    gateways = [
        _gateway_policy(egress, name, family)
        for name, policy in egress.policies.items()
        for family in policy.families
    ]
    return [*denials, *gateways]


def _gateway_policy(egress: Egress, name: str, family: int) -> Manifest:
    policy = egress.policies[name]
    destinations, excluded = policy.networks(family)
    ways = [
        {
            "nodeSelector": selector(egress.gateways[gateway].labels),
            "egressIP": str(policy.address(gateway, family)),
        }
        for gateway in sorted(policy.gateways)
    ]
    spec: Manifest = {
        "selectors": list(_selectors(policy)),
        "destinationCIDRs": [str(network) for network in destinations],
        # required beside egressGateways as well, which then holds instead of it
        "egressGateway": ways[0],
    }
    if not any(egress.gateways[gateway].candidates for gateway in policy.gateways):
        # none is said as well: the name that a keeper of before left in it would hold
        spec["egressGateways"] = ways if len(ways) > 1 else []
    if excluded:
        spec["excludedCIDRs"] = [str(network) for network in excluded]
    about = metadata(egress, name, policy, f"{name}-v{family}")
    about["annotations"] |= _standing(egress, policy)
    return {
        "apiVersion": API,
        "kind": KIND,
        "metadata": about,
        "spec": spec,
    }


def _standing(egress: Egress, policy: EgressPolicy) -> Manifest:
    """Where its gateways are: with another node the policy is touched, else nobody would look."""
    ways = {gateway: egress.gateways[gateway].candidates for gateway in sorted(policy.gateways)}
    fixed = [f"{way}={node}" for way, c in ways.items() if not c for node in egress.nodes_of(way)]
    moved = [f"{way}={'|'.join(candidates)}" for way, candidates in ways.items() if candidates]
    found = {STANDING: ",".join(fixed), CANDIDATES: ",".join(moved)}
    return {key: text for key, text in found.items() if text}


def _selectors(policy: EgressPolicy) -> Iterator[Manifest]:
    """One per namespace; those by label are one."""
    for namespace in sorted(policy.namespaces):
        labels = {**policy.pod_labels, NAMESPACE: namespace}
        yield {"podSelector": selector(labels, policy.pod_expressions)}
    if policy.namespace_labels:
        pods = selector(policy.pod_labels, policy.pod_expressions)
        found: Manifest = {"namespaceSelector": selector(policy.namespace_labels)}
        yield found | ({"podSelector": pods} if pods else {})


def _denials(egress: Egress, name: str) -> Iterator[Manifest]:
    """What lets out the declared and denies the rest; allowances of several policies add up."""
    policy = egress.policies[name]
    if policy.default_deny == "none":
        return
    rules = list(_rules(policy))
    for namespace in sorted(policy.namespaces):
        spec = {"endpointSelector": selector(policy.pod_labels, policy.pod_expressions)}
        yield {
            "apiVersion": API,
            "kind": "CiliumNetworkPolicy",
            "metadata": metadata(egress, name, policy, f"egress-{name}", namespace),
            "spec": spec | {"egress": rules},
        }
    if policy.namespace_labels:
        wanted = {f"k8s:{NAMESPACE_LABELS}{k}": v for k, v in policy.namespace_labels.items()}
        spec = {
            "endpointSelector": selector({**policy.pod_labels, **wanted}, policy.pod_expressions)
        }
        yield {
            "apiVersion": API,
            "kind": "CiliumClusterwideNetworkPolicy",
            "metadata": metadata(egress, name, policy, f"egress-{name}"),
            "spec": spec | {"egress": rules},
        }


def _rules(policy: EgressPolicy) -> Iterator[Manifest]:
    networks: list[dict[str, Any]] = []
    for family in policy.families:
        destinations, excluded = policy.networks(family)
        for network in destinations:
            left_out = [str(each) for each in excluded if inside(each, network)]
            networks.append(
                {"cidr": str(network)} | ({"except": left_out} if left_out else {}),
            )
    ports = [
        {"port": port, "protocol": protocol.upper()}
        for protocol, _, port in (each.partition(":") for each in policy.ports)
    ]
    outside: Manifest = {"toCIDRSet": networks}
    yield outside | ({"toPorts": [{"ports": ports}]} if ports else {})
    if policy.default_deny == "outside":
        # an API server may stand outside the cluster, and has an entity of its own then
        yield {"toEntities": ["cluster", "kube-apiserver"]}
    else:
        dns = {f"k8s:{NAMESPACE}": DNS_NAMESPACE} | {f"k8s:{k}": v for k, v in DNS_LABELS.items()}
        yield {
            "toEndpoints": [selector(dns)],
            "toPorts": [{"ports": DNS_PORTS}],
        }
