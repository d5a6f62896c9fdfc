"""What an operator declares of egress: who leaves, where to, by which address, whose that is."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from loopback_iac.kube.selectors import NAMESPACE, NAMESPACE_LABELS, Audience, Requirement, equals
from loopback_iac.model.fields import (
    Address,
    AddressList,
    AnyNetwork,
    Int,
    Interface,
    Line,
    LineList,
    Network,
    NetworkList,
    Several,
    Value,
    described,
    matching,
    refuse,
)
from loopback_iac.model.origin import Day

FAMILIES = (4, 6)
POOL_KINDS = Literal[
    "hetzner-floating",
    "hetzner-primary",
    "ionos-failover",
    "ionos-ip-block",
    "own-prefix",
    "private-network",
]
PROTOCOLS = ("tcp", "udp", "sctp")
OPEN = ("v4", "v6")
"""In an allocation: an address of that family is wanted, and nobody has chosen it yet."""


def _destination(value: object) -> object:
    """A name is what people try first, so it gets an answer of its own."""
    if isinstance(value, str) and not set(value) <= set("0123456789abcdefABCDEF:./"):
        refuse(
            "destination-name",
            f"{value!r} is a name",
            "a network",
            "write the networks behind it; no backend translates addresses by name",
        )
    return value


def _port(value: object) -> object:
    protocol, _, port = value.partition(":") if isinstance(value, str) else ("", "", "")
    if protocol not in PROTOCOLS or not port.isdecimal() or not 0 < int(port) < 65536:
        refuse("port-syntax", described(value), "protocol:port", "write it as in tcp:443")
    return value


def _allocated(value: object) -> object:
    if value in OPEN:
        return value
    try:
        return ip_address(value) if isinstance(value, str) else value
    except ValueError:
        refuse(
            "address-syntax",
            described(value),
            "an address, or v4 or v6 where one is wanted",
            "write one address, for example 203.0.113.20",
        )


def integral(value: object) -> object:
    """Whole numbers as such: Pulumi's protocol has doubles only, and a chart's port is none."""
    if isinstance(value, Mapping):
        return {key: integral(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [integral(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


Destination = Annotated[AnyNetwork, BeforeValidator(_destination)]
Destinations = Several[Destination]
Port = Annotated[str, BeforeValidator(_port)]
Allocated = Annotated[Address | Literal["v4", "v6"], BeforeValidator(_allocated)]
Labels = Mapping[str, str]
CiliumVersion = Annotated[
    str,
    matching(
        r"1\.(18|19|20)(\.\d+)?",  # the minors that were maintained in 2026-11
        "cilium-version",
        "is no version whose egress gateway is known here",
        "1.18 to 1.20",
        "write the version that runs, in quotes",
    ),
]
Image = Annotated[
    str,
    matching(
        r"[a-z0-9][a-z0-9./:_-]*@sha256:[0-9a-f]{64}",
        "image-digest",
        "does not name one image",
        "name@sha256:DIGEST",
        "a tag can be moved: write the digest that your registry shows for it",
    ),
]


class Expression(Value):
    """A requirement with an operator."""

    key: Line
    operator: Line
    values: LineList = ()

    @property
    def requirement(self) -> Requirement:
        """As the rules of selectors take it."""
        return Requirement(self.key, self.operator, tuple(self.values))


class Node(Value):
    """A node of the cluster, as far as egress needs to know it."""

    addresses: AddressList
    """Its own: a flow that leaves by one of them leaves by no declared address."""
    carries: AddressList = ()
    """Egress addresses that stand on one of its interfaces, and still do after a reboot."""
    labels: Labels = Field(default_factory=dict)


class Gateway(Value):
    """Where traffic leaves: nodes by label."""

    labels: Labels
    interface: Interface | None = None
    """The interface an address is put on; kube-vip does that."""
    candidates: LineList = ()
    """Nodes that stand in for each other, the preferred first: a failover controller gives one of
    them the addresses and names it in policies. None: the node that bears the labels stays the
    gateway."""


class Pool(Value):
    """An EgressIpPool: addresses that are ours, and which tenant has which."""

    kind: POOL_KINDS
    addresses: NetworkList
    evidence: Line
    """Where it stands that they are ours."""
    seen_on: Day
    allocations: Mapping[str, Several[Allocated]] = Field(default_factory=dict)


class EgressPolicy(Value):
    """Which pods leave to which networks by which address; neutral of who does it."""

    tenant: Line
    owner: Line
    """Whom to ask."""
    because: Line | None = None
    namespaces: LineList = ()
    namespace_labels: Labels = Field(default_factory=dict)
    """Instead of names: every namespace with these labels."""
    pod_labels: Labels = Field(default_factory=dict)
    pod_expressions: Several[Expression] = ()
    destinations: Destinations
    excluded: Destinations = ()
    ports: Several[Port] = ()
    """Only these; empty: all."""
    gateways: Mapping[str, AddressList]
    """By gateway: one address per family that is left by there."""
    default_deny: Literal["outside", "everything", "none"] = "outside"
    """What else these pods may reach: the cluster; the cluster's DNS; anything."""
    every_pod: bool = True
    """Whether each pod leaves by the address; false: one of them at a time is enough."""

    @property
    def families(self) -> tuple[int, ...]:
        """Address families of its destinations."""
        found = {network.version for network in self.destinations}
        return tuple(family for family in FAMILIES if family in found)

    def networks(self, family: int) -> tuple[tuple[Network, ...], tuple[Network, ...]]:
        """Destinations and exclusions of one family, in order."""
        return _of(self.destinations, family), _of(self.excluded, family)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Every address it leaves by."""
        return tuple(address for held in self.gateways.values() for address in held)

    def address(self, gateway: str, family: int) -> Address | None:
        """What it leaves by at one gateway."""
        return next((a for a in self.gateways[gateway] if a.version == family), None)

    @property
    def pods(self) -> Audience:
        """Requirements on a pod's own labels."""
        return (*equals(self.pod_labels), *(each.requirement for each in self.pod_expressions))

    @property
    def audience(self) -> Audience:
        """Whom it means, namespaces included."""
        inside = (Requirement(NAMESPACE, "In", tuple(self.namespaces)),) if self.namespaces else ()
        return (*inside, *equals(self.namespace_labels, NAMESPACE_LABELS), *self.pods)


def _of(networks: tuple[Network, ...], family: int) -> tuple[Network, ...]:
    def place(network: Network) -> tuple[int, int]:
        return int(network.network_address), network.prefixlen

    return tuple(sorted((each for each in networks if each.version == family), key=place))


class Accepted(Value):
    """Egress outside every policy that somebody takes the risk of."""

    namespaces: LineList
    destinations: Destinations = ()
    """Empty: wherever to."""
    because: Line
    owner: Line
    until: Day | None = None


class Cilium(Value):
    """The Cilium that runs, or is to run."""

    version: CiliumVersion
    values: Annotated[Mapping[str, Any], BeforeValidator(integral)] = Field(default_factory=dict)
    """Values of its chart that you set yourself."""


class KubeVip(Value):
    """kube-vip as it is to run."""

    image: Image
    interface: Interface
    namespace: Line = "kube-system"


class Head(Value):
    """What stands beside the named parts."""

    format: Int = Field(ge=1, le=1)
    cluster: Line
    backend: Literal["cilium", "kube-vip"]
    pod_cidrs: NetworkList
    service_cidrs: NetworkList
    cilium: Cilium | None = None
    kube_vip: KubeVip | None = None
    accepted: Several[Accepted] = ()


class Egress(Head):
    """All of a cluster's egress; parts sorted by name."""

    nodes: Mapping[str, Node]
    gateways: Mapping[str, Gateway]
    pools: Mapping[str, Pool]
    policies: Mapping[str, EgressPolicy]

    @property
    def families(self) -> tuple[int, ...]:
        """Address families that leave."""
        found = {family for policy in self.policies.values() for family in policy.families}
        return tuple(family for family in FAMILIES if family in found)

    def nodes_of(self, gateway: str) -> tuple[str, ...]:
        """Nodes that bear a gateway's labels."""
        wanted = self.gateways[gateway].labels.items()
        return tuple(name for name, node in self.nodes.items() if wanted <= node.labels.items())
