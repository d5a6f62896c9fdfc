"""Egress gateways as an operator writes them; see `args` for what holds for all of them."""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi

from loopback_iac.components.baseline_args import HostBaselineArgs
from loopback_iac.components.host_args import HostRef


class GatewayNodeArgs(TypedDict):
    """A node of the cluster that egress may leave by; it belongs to no AnycastEdge."""

    host: pulumi.Input[HostRef]
    """The machine: output `host` of any kind of host."""
    address: NotRequired[str]
    """Its own address on the node network, which its card is found by. Default: the host's."""


class EgressGroupArgs(TypedDict):
    """Addresses that stand on one node at a time."""

    addresses: Sequence[str]
    """Addresses that are yours; no node has one of them for itself."""
    nodes: Sequence[str]
    """Who may hold them, the preferred first. A single node holds them for good, over reboots."""
    policies: NotRequired[Sequence[str]]
    """Of several nodes: names of the CiliumEgressGatewayPolicies that leave by these addresses; in
    each the keepers write `egressGateways`, and nobody else does."""
    announced: NotRequired[str]
    """`layer-2` (default): gratuitous ARP and neighbor advertisements move the traffic; `routed`:
    whoever announces the interface's addresses does."""
    interface: NotRequired[str]
    """Interface they are put on. Default: the one with the node's own address."""
    lease_ms: NotRequired[int]
    """How long a lease is good: a node that is silent for so long has lost it. Default 1500."""


class ClusterApiArgs(TypedDict):
    """Where the API server is, and as whom it is asked."""

    server: str
    """`https://HOST:PORT`; best an address that outlives one server."""
    ca_certificate: str
    """PEM of the cluster's CA; no other is taken."""
    credential: pulumi.Input[str]
    """A bearer token, or certificate and key as one PEM (secret); it lies on the nodes, root's."""
    user: NotRequired[str]
    """Whom the API knows the credential as. Default `loopback-egress-gateway`."""
    namespace: NotRequired[str]
    """Namespace of the Leases. Default `kube-system`."""
    agent: NotRequired[str]
    """Where Cilium's agent tells its health. Default `http://127.0.0.1:9879/healthz`."""


class EgressGatewayArgs(TypedDict):
    """Nodes that egress leaves by, the addresses on them, and who stands in for whom."""

    nodes: Mapping[str, GatewayNodeArgs]
    """By name of the Node."""
    groups: Mapping[str, EgressGroupArgs]
    """By name, such as the gateway's in an EgressPolicy."""
    admin_sources: Sequence[str]
    """Networks SSH may come from. May not be empty."""
    cluster: NotRequired[ClusterApiArgs]
    """The API server; needed where nodes stand in for each other."""
    baseline: NotRequired[pulumi.Input[HostBaselineArgs]]
    """What every host keeps beside its work: output `baseline` of a HostBaseline."""
