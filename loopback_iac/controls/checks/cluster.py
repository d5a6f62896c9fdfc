"""EGR, LOG-01, PAT-01: what a cluster lets out, writes down, and runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from loopback_iac.controls.evaluate import CHECKS
from loopback_iac.controls.stack import failed, inapplicable, passed, unsure
from loopback_iac.controls.tree import ABSENT, UNKNOWN, at, each

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loopback_iac.controls.result import Finding
    from loopback_iac.controls.stack import Resource, Stack

NAMESPACE = "kubernetes:core/v1:Namespace"
NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
CILIUM_POLICY = "kubernetes:cilium.io/v2:CiliumNetworkPolicy"
EGRESS_GATEWAY = "kubernetes:cilium.io/v2:CiliumEgressGatewayPolicy"
CANDIDATES = "loopback-iac/gateway-candidates"
"""Of EgressPolicy: by gateway, nodes of which a keeper has one in charge."""
RELEASES = ("kubernetes:helm.sh/v3:Release", "kubernetes:helm.sh/v4:Chart")
NIC = "ionoscloud:compute/nic:Nic"
WORKLOADS = (
    *(f"kubernetes:apps/v1:{kind}" for kind in ("Deployment", "DaemonSet", "StatefulSet")),
    "kubernetes:batch/v1:Job",
    "kubernetes:core/v1:Pod",
)
DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


@CHECKS.stack("EGR-01")
def check_default_deny(stack: Stack, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """In every namespace what is not allowed out stays in."""
    denied, late = set(), False
    for policy in stack.of(NETWORK_POLICY, CILIUM_POLICY):
        space = at(policy.facts, "metadata", "namespace")
        denies = _denies(policy)
        late = late or space is UNKNOWN or denies is UNKNOWN
        if isinstance(space, str) and denies is True:
            denied.add(space)
    for namespace in stack.of(NAMESPACE):
        name = at(namespace.facts, "metadata", "name")
        if name in settings["exempt"]:
            yield inapplicable(f"namespace {name} is the cluster's own")
        elif name in denied:
            yield passed(namespace)
        elif name is UNKNOWN or late:
            yield unsure(namespace, ["what policies there are"])
        else:
            yield failed(namespace, "no policy denies by default what leaves it")


@CHECKS.resource("EGR-02", EGRESS_GATEWAY)
def check_address(policy: Resource, _: Mapping[str, Any]) -> Iterator[Finding]:
    """What leaves through a gateway has an address that was chosen, not the one that is there."""
    for subject, gateway in _gateways(policy):
        address = at(gateway, "egressIP")
        if address is UNKNOWN:
            yield unsure(policy, [f"{subject}.egressIP"], subject)
        elif address is ABSENT:
            yield failed(
                policy, f"{subject} has no egressIP: the node's own address goes out", subject
            )
        else:
            yield passed(policy, subject)


@CHECKS.resource("EGR-03", EGRESS_GATEWAY)
def check_gateways(policy: Resource, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """There is a second gateway for when the first is lost."""
    standing_in = at(policy.facts, "metadata", "annotations", CANDIDATES)
    if UNKNOWN in (at(policy.facts, "spec", "egressGateways"), standing_in):
        yield unsure(policy, ["spec.egressGateways, and who stands in"])
    elif len(list(_gateways(policy))) + _more(standing_in) >= settings["gateways"]:
        yield passed(policy)
    else:
        yield failed(policy, f"fewer than {settings['gateways']} gateways are named")


@CHECKS.resource("LOG-01", NIC, *RELEASES)
def check_flows(resource: Resource, _: Mapping[str, Any]) -> Iterator[Finding]:
    """Who talked to whom is written down: Hubble in a cluster, flow logs at a card of IONOS."""
    if resource.kind == NIC:
        path: tuple[str, ...] = ("flowlog",)
    elif at(resource.facts, "chart") in ("cilium", "cilium/cilium"):
        path = ("values", "hubble", "enabled")
    else:
        return
    found = at(resource.facts, *path)
    if found is UNKNOWN:
        yield unsure(resource, [".".join(path)])
    elif found is ABSENT or found is False:
        yield failed(resource, f"{'.'.join(path)} is off")
    else:
        yield passed(resource)


@CHECKS.resource("PAT-01", *WORKLOADS)
def check_images(workload: Resource, settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Every image is pinned to its digest, and comes from a registry that was chosen."""
    spec = ("spec",) if workload.kind.endswith(":Pod") else ("spec", "template", "spec")
    for part in ("initContainers", "containers"):
        for number, container in enumerate(each(workload.facts, *spec, part)):
            subject = f"{part}[{number}]"
            image = at(container, "image")
            if image is UNKNOWN:
                yield unsure(workload, [f"{subject}.image"], subject)
            elif not isinstance(image, str) or not DIGEST.search(image):
                yield failed(workload, f"{subject}: its image is not pinned to a digest", subject)
            elif settings["registries"] and image.partition("/")[0] not in settings["registries"]:
                yield failed(workload, f"{subject}: its image comes from elsewhere", subject)
            else:
                yield passed(workload, subject)


def _denies(policy: Resource) -> Any:  # noqa: ANN401  # true, false or UNKNOWN
    """Chosen are all pods, and what leaves them is governed; what is allowed then is a list."""
    spec = at(policy.facts, "spec")
    if policy.kind == CILIUM_POLICY:
        chosen, egress = at(spec, "endpointSelector"), at(spec, "egress")
        return UNKNOWN if UNKNOWN in (chosen, egress) else chosen == {} and egress is not ABSENT
    types, chosen = at(spec, "policyTypes"), at(spec, "podSelector")
    told = list(each(types)) if isinstance(types, list | tuple) else [types]
    if chosen is UNKNOWN or UNKNOWN in told:
        return UNKNOWN
    return chosen in ({}, {"matchLabels": {}}) and "Egress" in told


def _more(standing_in: Any) -> int:  # noqa: ANN401  # as it was found
    """Nodes beyond the first that may be one gateway: `a=w1|w2,b=w3|w4` has two."""
    return standing_in.count("|") if isinstance(standing_in, str) else 0


def _gateways(policy: Resource) -> Iterator[tuple[str, Any]]:
    several = at(policy.facts, "spec", "egressGateways")
    if several is ABSENT or several == []:  # which the API server makes of none
        yield "spec.egressGateway", at(policy.facts, "spec", "egressGateway")
        return
    for number, gateway in enumerate(each(several)):
        yield f"spec.egressGateways[{number}]", gateway
