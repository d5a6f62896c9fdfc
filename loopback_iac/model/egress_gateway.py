"""Nodes that egress leaves by: which addresses stand where, and who stands in for whom."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, TypeVar
from urllib.parse import SplitResult, urlsplit

from pydantic import BeforeValidator, Field

from loopback_iac.model.baseline import Certificates
from loopback_iac.model.fields import (
    Address,
    AddressList,
    AdminSources,
    AnyAddress,
    Given,
    Int,
    Interface,
    Line,
    Several,
    Value,
    matching,
    reaches_nobody,
    refuse,
)
from loopback_iac.model.host import Host, parse_host
from loopback_iac.model.problem import InputRejected, Problem
from loopback_iac.model.structure import check_name, collect, named, plain

V = TypeVar("V", bound=Value)
MOST_NODES = 8
MOST_NAME = 40
"""It stands in names of annotations, of which Kubernetes takes 63 characters."""


def _parts(url: str, scheme: str) -> SplitResult | None:
    """Out: None for what is no address of this scheme, with a port that can be one."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme == scheme and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or none of TCP's; brackets left open
        return None
    return parts if fits else None


def _https(value: object) -> object:
    parts = _parts(value, "https") if isinstance(value, str) else None
    if isinstance(value, str) and (parts is None or parts.query):
        refuse(
            "gateway-api",
            f"{value!r} is no https address",
            "https://HOST:PORT of the API server",
            "write what `kubectl cluster-info` shows; best an address that outlives one server",
        )
    return value


def _health(value: object) -> object:
    if isinstance(value, str) and _parts(value, "http") is None:
        refuse(
            "gateway-agent",
            f"{value!r} is no http address",
            "where Cilium's agent tells its health",
            "leave it out for http://127.0.0.1:9879/healthz",
        )
    return value


KubeName = Annotated[
    str,
    matching(
        r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
        "kubernetes-name",
        "is no name of Kubernetes",
        "lower-case letters, digits, '-' and '.'",
        "write the name that kubectl shows",
    ),
]
User = Annotated[
    str,
    matching(
        r"[A-Za-z0-9][A-Za-z0-9:._@-]{0,252}",
        "kubernetes-user",
        "is no user of Kubernetes",
        "letters, digits and :._@-",
        "the common name of the certificate, or system:serviceaccount:NAMESPACE:NAME of a token",
    ),
]


class GatewayNode(Value):
    """A node of the cluster that egress may leave by."""

    host: Given
    address: AnyAddress | None = None
    """Its own address on the node network. Default: that of the host."""


class EgressGroup(Value):
    """Addresses that stand on one node at a time."""

    addresses: AddressList
    nodes: Several[KubeName]
    policies: Several[KubeName] = ()
    announced: Literal["layer-2", "routed"] = "layer-2"
    interface: Interface | None = None
    lease_ms: Int = Field(1500, ge=1000, le=60_000)

    @property
    def moves(self) -> bool:
        """Whether nodes stand in for each other."""
        return len(self.nodes) > 1


class ClusterApi(Value):
    """Where the API server is, and as whom it is asked."""

    server: Annotated[Line, BeforeValidator(_https)]
    ca_certificate: Certificates
    credential: Given
    user: User = "loopback-egress-gateway"
    namespace: KubeName = "kube-system"
    agent: Annotated[Line, BeforeValidator(_health)] = "http://127.0.0.1:9879/healthz"


class _Head(Value):
    cluster: ClusterApi | None = None
    admin_sources: AdminSources
    baseline: Given = False


class EgressGateways(_Head):
    """All gateways that one component keeps."""

    name: str
    nodes: Mapping[str, GatewayNode]
    groups: Mapping[str, EgressGroup]

    @property
    def namespace(self) -> str:
        """Of the Leases."""
        return self.cluster.namespace if self.cluster else ""

    @property
    def user(self) -> str:
        """Whom the rules are for."""
        return self.cluster.user if self.cluster else ""

    @property
    def in_order(self) -> list[str]:
        """Nodes, the preferred ones of groups first."""
        first = {
            node: min(group.nodes.index(node) for group in self.groups_of(node).values())
            for node in self.nodes
        }
        return sorted(self.nodes, key=lambda node: (first[node], node))

    def groups_of(self, node: str) -> dict[str, EgressGroup]:
        """Groups that a node has a part in."""
        return {name: group for name, group in self.groups.items() if node in group.nodes}


def parse_egress_gateways(name: str, tree: Mapping[str, object]) -> EgressGateways:
    """Gateways as declared.

    In: `name` of the component; late values are not looked into.
    Raises: InputRejected with every problem at once.
    """
    problems = check_name("name", name)
    declared = plain(tree)
    parts = dict(declared) if isinstance(declared, dict) else {}
    given = {key: parts.pop(key, {}) for key in ("nodes", "groups")}
    head = collect(_Head, name, parts, problems, EgressGateways)
    nodes = _several(GatewayNode, f"{name}.nodes", given["nodes"], problems)
    groups = _several(EgressGroup, f"{name}.groups", given["groups"], problems)
    if head is not None:
        found = EgressGateways(name=name, nodes=nodes, groups=groups, **dict(head))
        problems += _check(found)
        if not problems:
            return found
    raise InputRejected(name, tuple(problems))


def _several(kind: type[V], path: str, tree: object, problems: list[Problem]) -> dict[str, V]:
    found = {}
    for name, entry in sorted(named(path, tree, problems).items()):
        value = collect(kind, f"{path}.{name}", entry, problems)
        if value is not None:
            found[name] = value
    return found


def _check(found: EgressGateways) -> Iterator[Problem]:
    path = found.name
    for node in found.nodes:
        if not found.groups_of(node):
            fix = "name it in the nodes of a group, or leave it out"
            yield Problem(f"{path}.nodes.{node}", "is in no group", "", fix, "gateway-node-idle")
    if not found.groups:
        fix = "declare what shall stand on the nodes"
        yield Problem(f"{path}.groups", "is empty", "a group", fix, "gateway-groups")
    held: dict[object, str] = {}
    followed: dict[str, str] = {}
    for name, group in found.groups.items():
        where = f"{path}.groups.{name}"
        yield from _check_group(where, name, group, found)
        for at, address in enumerate(group.addresses):
            other = held.setdefault(address, name)
            if other != name:
                got = f"{address} is {other}'s already"
                fix = "let each address be in one group"
                yield Problem(f"{where}.addresses[{at}]", got, "", fix, "gateway-address-twice")
        for at, policy in enumerate(group.policies if group.moves else ()):
            other = followed.setdefault(policy, name)
            if other != name:
                got = f"{policy} is {other}'s already"
                fix = "let each policy leave by one group: it has one gateway"
                yield Problem(f"{where}.policies[{at}]", got, "", fix, "gateway-policy-twice")


def _check_group(
    path: str, name: str, group: EgressGroup, found: EgressGateways
) -> Iterator[Problem]:
    if len(name) > MOST_NAME:
        got, fix = f"has {len(name)} characters", "choose a shorter name"
        yield Problem(path, got, f"at most {MOST_NAME}", fix, "gateway-group-name")
    yield from _check_addresses(path, group)
    for at, node in enumerate(group.nodes):
        where = f"{path}.nodes[{at}]"
        if node not in found.nodes:
            got = f"there is no node {node!r}"
            fix = f"take one of {', '.join(found.nodes) or 'nodes, which is empty'}"
            yield Problem(where, got, "a node of this component", fix, "gateway-node-unknown")
        if node in group.nodes[:at]:
            yield Problem(where, f"{node} is named twice", "", "name it once", "gateway-node-twice")
    if not 1 <= len(group.nodes) <= MOST_NODES:
        got, need = f"names {len(group.nodes)}", f"1 to {MOST_NODES}"
        yield Problem(f"{path}.nodes", got, need, "name who holds them", "gateway-nodes")
    if group.moves:
        yield from _check_moving(path, group, found)


def _check_addresses(path: str, group: EgressGroup) -> Iterator[Problem]:
    if not group.addresses:
        fix = "write the addresses that egress leaves by"
        yield Problem(f"{path}.addresses", "is empty", "an address", fix, "gateway-addresses")
    for at, address in enumerate(group.addresses):
        where = f"{path}.addresses[{at}]"
        if reaches_nobody(address):
            fix = "write an address that is yours"
            yield Problem(where, f"{address} is no host's", "", fix, "gateway-address")
        if address in group.addresses[:at]:
            yield Problem(where, f"{address} is named twice", "", "once", "gateway-address-twice")


def _check_moving(path: str, group: EgressGroup, found: EgressGateways) -> Iterator[Problem]:
    if found.cluster is None:
        got = "nodes stand in for each other, and nothing says where the API server is"
        fix = "declare `cluster`: server, ca_certificate, credential; or name a single node"
        yield Problem(f"{path}.nodes", got, "", fix, "gateway-cluster")
    if not group.policies:
        got = "nodes stand in for each other for no policy"
        fix = "name the CiliumEgressGatewayPolicies that leave by these addresses"
        yield Problem(f"{path}.policies", got, "", fix, "gateway-policies")


def parse_gateway_hosts(
    name: str, found: EgressGateways, trees: Mapping[str, Mapping[str, object]]
) -> dict[str, Host]:
    """Nodes, checked once they are known.

    Raises: InputRejected with every problem at once.
    """
    problems: list[Problem] = []
    hosts: dict[str, Host] = {}
    for node, tree in trees.items():
        try:
            hosts[node] = parse_host(f"{name}.nodes.{node}.host", tree)
        except InputRejected as refused:
            problems += refused.problems
    seen: dict[str, str] = {}
    for node, host in hosts.items():
        other = seen.setdefault(host.host_key, node)
        if other != node:
            got = f"{node} and {other} are one machine (the same host key)"
            fix = "name machines of their own: one cannot stand in for itself"
            problems.append(Problem(f"{name}.nodes.{node}.host", got, "", fix, "gateway-apart"))
        own = own_address(found, node, host)
        if any(own == address for group in found.groups.values() for address in group.addresses):
            got = f"{own} is the node's own address, and one of a group"
            fix = "give groups addresses that no node has for itself"
            problems.append(Problem(f"{name}.nodes.{node}", got, "", fix, "gateway-address-own"))
    if problems:
        raise InputRejected(name, tuple(problems))
    return hosts


def own_address(found: EgressGateways, node: str, host: Host) -> Address:
    """Where other nodes ask it, and what its card is found by."""
    return found.nodes[node].address or host.address
