"""Egress of a cluster as an operator writes it: keys of docs/egress-example.yaml; as args.py."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi

from loopback_iac.components.cloud_args import LabelsArgs


class EgressNodeArgs(TypedDict):
    """A node of the cluster, as far as egress needs to know it."""

    addresses: Sequence[str]
    """Its own: what leaves by one of them leaves by no declared address."""
    carries: NotRequired[Sequence[str]]
    """Egress addresses that stand on one of its interfaces, and still do after a reboot."""
    labels: NotRequired[Mapping[str, str]]
    """Labels that make it a gateway. They are put on the Node."""


class EgressGatewayNodesArgs(TypedDict):
    """Where traffic leaves: nodes by label."""

    labels: Mapping[str, str]
    """What the gateway's node bears, and with Cilium no other; with `candidates`, no node."""
    interface: NotRequired[str]
    """Interface that addresses are put on; with kube-vip alone."""
    candidates: NotRequired[Sequence[str]]
    """Nodes that stand in for each other, the preferred first: the failover controller gives one of
    them the addresses and names it in the policies. Default: the node that bears the labels."""


class EgressExpressionArgs(TypedDict):
    """A requirement on a pod's labels, with an operator."""

    key: str
    """The label's key."""
    operator: str
    """`In`, `NotIn`, `Exists` or `DoesNotExist`."""
    values: NotRequired[Sequence[str]]
    """With `In` and `NotIn`."""


class EgressPoolArgs(TypedDict):
    """Addresses that are ours, and which tenant has which."""

    kind: str
    """`hetzner-floating`, `hetzner-primary`, `ionos-failover`, `ionos-ip-block`, `own-prefix` or
    `private-network`."""
    addresses: Sequence[str]
    """Networks; one address is `203.0.113.20/32`."""
    evidence: str
    """Where it stands that they are ours."""
    seen_on: str
    """Day on which somebody looked, as 2026-11-21."""
    allocations: NotRequired[Mapping[str, Sequence[str]]]
    """By tenant: addresses. `v4` or `v6` for one is refused with the next free one to write."""


class EgressRuleArgs(TypedDict):
    """Which pods leave to which networks by which address."""

    tenant: str
    """Who has the addresses in a pool."""
    owner: str
    """Whom to ask."""
    because: NotRequired[str]
    """Why it is let out."""
    namespaces: NotRequired[Sequence[str]]
    """Namespaces of its pods."""
    namespace_labels: NotRequired[Mapping[str, str]]
    """Instead of names: every namespace with these labels."""
    pod_labels: NotRequired[Mapping[str, str]]
    """Labels of its pods. Default: every pod of the namespaces."""
    pod_expressions: NotRequired[Sequence[EgressExpressionArgs]]
    """Further requirements on labels of its pods."""
    destinations: Sequence[str]
    """Networks it may leave to."""
    excluded: NotRequired[Sequence[str]]
    """Parts of the destinations that are left out."""
    ports: NotRequired[Sequence[str]]
    """As `tcp:443`. Default: all."""
    gateways: Mapping[str, Sequence[str]]
    """By gateway: one address per family that is left by there."""
    default_deny: NotRequired[str]
    """What else its pods may reach: `outside` (default): the cluster; `everything`: the cluster's
    DNS; `none`: anything."""
    every_pod: NotRequired[bool]
    """Whether each pod leaves by the address; false: one of them at a time is enough. Default
    true."""


class EgressAcceptedArgs(TypedDict):
    """Egress outside every policy that somebody takes the risk of."""

    namespaces: Sequence[str]
    """Whose."""
    because: str
    """Why."""
    owner: str
    """Who takes the risk."""
    destinations: NotRequired[Sequence[str]]
    """Where to. Default: wherever."""
    until: NotRequired[str]
    """Last day of it, as 2026-11-21. Default: for good."""


class CiliumArgs(TypedDict):
    """The Cilium that runs, or is to run."""

    version: str
    """Its version, as `1.20.1`."""
    values: NotRequired[Mapping[str, Any]]
    """Values of its chart that you set yourself; they are held to what egress needs."""


class KubeVipArgs(TypedDict):
    """kube-vip as it is to run."""

    image: str
    """By digest: `name@sha256:DIGEST`."""
    interface: str
    """Interface that addresses are put on."""
    namespace: NotRequired[str]
    """Namespace it runs in. Default `kube-system`."""


class EgressPolicyArgs(TypedDict):
    """All of a cluster's egress. Plain values but for `standing`."""

    format: int
    """1."""
    cluster: str
    """Name of the cluster."""
    backend: str
    """`cilium` or `kube-vip`; `loopback egress advise` says which holds what is declared."""
    pod_cidrs: Sequence[str]
    """Networks of its pods."""
    service_cidrs: Sequence[str]
    """Networks of its Services."""
    nodes: Mapping[str, EgressNodeArgs]
    """Nodes by name; all of them, since what leaves by an address of theirs is a leak."""
    gateways: Mapping[str, EgressGatewayNodesArgs]
    """Gateways by name."""
    pools: Mapping[str, EgressPoolArgs]
    """Pools of addresses by name."""
    policies: Mapping[str, EgressRuleArgs]
    """Policies by name."""
    accepted: NotRequired[Sequence[EgressAcceptedArgs]]
    """Egress outside every policy, at somebody's risk."""
    cilium: NotRequired[CiliumArgs]
    """With backend cilium."""
    kube_vip: NotRequired[KubeVipArgs]
    """With backend kube-vip."""
    standing: NotRequired[pulumi.Input[Mapping[str, Sequence[str]]]]
    """By gateway: addresses that stand on its nodes, from whoever puts them there; no policy
    selects before. Default: what `carries` says is taken as it is."""


class AddressOrderArgs(TypedDict):
    """Addresses that a provider is asked for."""

    location: str
    """Where they belong: home location at Hetzner, location of the block at IONOS."""
    family: NotRequired[str]
    """`ipv4` (default) or, at Hetzner, `ipv6`: a network of 64 bits."""
    size: NotRequired[int]
    """How many; at IONOS, whose blocks hold several. Default 1."""
    server_id: NotRequired[pulumi.Input[str]]
    """Number of the server at Hetzner that it leads to at first. An `up` does not move it back."""


class EgressIpPoolArgs(TypedDict):
    """A pool of addresses that are kept: ordered here, or held already."""

    kind: str
    """`hetzner-floating`, `hetzner-primary`, `ionos-failover`, `ionos-ip-block`, `own-prefix` or
    `private-network`."""
    addresses: Sequence[str]
    """Networks; one address is `203.0.113.20/32`."""
    evidence: str
    """Where it stands that they are ours."""
    seen_on: str
    """Day on which somebody looked, as 2026-11-21."""
    allocations: NotRequired[Mapping[str, Sequence[str]]]
    """By tenant: addresses. `v4` or `v6` for one is refused with the next free one to write."""
    orders: NotRequired[Mapping[str, AddressOrderArgs]]
    """By name: what a provider is asked for. Kinds `hetzner-floating` and `ionos-ip-block`."""
    giving_back: NotRequired[Sequence[str]]
    """Addresses and orders that lose their protection, so that the next change may drop them."""
    labels: NotRequired[LabelsArgs]
    """Labels of what is ordered; at Hetzner only."""
