"""CiliumEgressGatewayPolicy as somebody wrote it by hand, held to what API server and agent say.

Many mistakes pass both: the policy then does nothing, or drops, and only a line in an agent's log
tells it. Each is refused here with what would have happened.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from itertools import combinations
from typing import Any

from loopback_iac.kube.problems import (
    Ends,
    check_expression,
    check_labels,
    check_networks,
    check_shared,
)
from loopback_iac.kube.selectors import (
    NAMESPACE,
    NAMESPACE_LABELS,
    Audience,
    Requirement,
    equals,
    in_identity,
    may_meet,
)
from loopback_iac.model.fields import Address, Network, described
from loopback_iac.model.problem import Problem

KIND = "CiliumEgressGatewayPolicy"
API = "cilium.io/v2"
SPEC = ("selectors", "destinationCIDRs", "excludedCIDRs", "egressGateway", "egressGateways")
SELECTOR = ("podSelector", "namespaceSelector", "nodeSelector")
WAY = ("nodeSelector", "interface", "egressIP")
HOSTNAME = "kubernetes.io/hostname"
WAYS_MAX = 64  # CRD of Cilium 1.20.1: maxItems
Tree = Mapping[str, Any]


@dataclass
class Read:
    """What could be read of one policy, for the checks between several."""

    name: str
    audiences: list[Audience] = field(default_factory=list)
    destinations: list[Network] = field(default_factory=list)
    excluded: list[Network] = field(default_factory=list)


def check_manifests(documents: Sequence[object]) -> tuple[Problem, ...]:
    """Every egress gateway policy among manifests; other kinds are passed over.

    Sources: CRD and pkg/egressgateway/policy.go of Cilium 1.20.1.
    """
    problems: list[Problem] = []
    read: list[Read] = []
    for at, document in enumerate(documents):
        if isinstance(document, Mapping) and document.get("kind") == KIND:
            found = Read(_name(document, at))
            problems += _check_policy(document, found)
            read.append(found)
    for one, other in combinations(read, 2):
        problems += _check_pair(one, other)
    return tuple(problems)


def _name(document: Tree, at: int) -> str:
    about = document.get("metadata")
    name = about.get("name") if isinstance(about, Mapping) else None
    return name if isinstance(name, str) and name else f"document {at + 1}"


def _check_policy(document: Tree, read: Read) -> Iterator[Problem]:
    path = read.name
    if document.get("apiVersion") != API:
        got = f"{document.get('apiVersion')!r}"
        yield Problem(f"{path}.apiVersion", got, API, f"write {API}", "cegp-version")
    about = document.get("metadata")
    if isinstance(about, Mapping) and "namespace" in about:
        got, fix = "a namespace on what has none", f"remove it; pods are chosen by {NAMESPACE}"
        yield Problem(f"{path}.metadata.namespace", got, "", fix, "cegp-namespace")
    spec = document.get("spec")
    if not isinstance(spec, Mapping):
        got = "is missing" if spec is None else described(spec)
        yield Problem(f"{path}.spec", got, "a map", "write it", "field-type")
        return
    yield from _check_known(f"{path}.spec", spec, SPEC)
    yield from _check_selectors(f"{path}.spec.selectors", spec.get("selectors"), read)
    yield from _check_networks(f"{path}.spec", spec, read)
    yield from _check_ways(f"{path}.spec", spec, read)


def _check_known(path: str, tree: Tree, known: Sequence[str]) -> Iterator[Problem]:
    for key in tree:
        if key not in known:
            got, need = "unknown field: the API server drops it, unless asked to be strict", known
            yield Problem(f"{path}.{key}", got, ", ".join(need), "remove it", "field-unknown")


def _listed(path: str, value: object, nothing: str) -> Iterator[Problem]:
    if value is None or (isinstance(value, list) and not value):
        yield Problem(path, nothing, "at least one", "write it, or remove the policy", "cegp-empty")
    elif not isinstance(value, list):
        yield Problem(path, described(value), "a list", "write a list", "field-type")


def _check_selectors(path: str, value: object, read: Read) -> Iterator[Problem]:
    yield from _listed(path, value, "selects no pod: the policy does nothing")
    entries = value if isinstance(value, list) else []
    with_nodes = [
        at for at, e in enumerate(entries) if isinstance(e, Mapping) and e.get(SELECTOR[2])
    ]
    if with_nodes and len(entries) > 1:
        got = "one entry's nodeSelector holds for the pods of every entry"
        fix = "make a policy for these pods"
        where = f"{path}[{with_nodes[0]}].nodeSelector"
        yield Problem(where, got, "a policy of its own", fix, "cegp-node-selector")
    for at, entry in enumerate(entries):
        where = f"{path}[{at}]"
        if not isinstance(entry, Mapping):
            yield Problem(where, described(entry), "a map", "write a map", "field-type")
            continue
        yield from _check_known(where, entry, SELECTOR)
        if entry.get("podSelector") is None and entry.get("namespaceSelector") is None:
            got = "neither podSelector nor namespaceSelector: the agent ignores the whole policy"
            yield Problem(where, got, "one of them", "add podSelector", "cegp-selector-missing")
            continue
        audience: list[Requirement] = []
        for key, prefix in (("podSelector", ""), ("namespaceSelector", NAMESPACE_LABELS)):
            if entry.get(key) is not None:
                yield from _check_selector(f"{where}.{key}", entry[key], prefix, audience)
        if entry.get("nodeSelector") is not None:
            yield from _check_selector(f"{where}.nodeSelector", entry["nodeSelector"], "", None)
        if not audience:
            got = "selects every pod of every namespace, those of kube-system as well"
            fix = f"name a namespace by its label {NAMESPACE}"
            yield Problem(where, got, "a label", fix, "cegp-selects-everything")
        read.audiences.append(tuple(audience))


def _check_selector(
    path: str, tree: object, prefix: str, audience: list[Requirement] | None
) -> Iterator[Problem]:
    """A label selector; what it demands goes to `audience`, unless that is about nodes."""
    if not isinstance(tree, Mapping):
        yield Problem(path, described(tree), "a map", "write a label selector", "field-type")
        return
    yield from _check_known(path, tree, ("matchLabels", "matchExpressions"))
    labels = tree.get("matchLabels") or {}
    yield from check_labels(f"{path}.matchLabels", labels)
    found = list(equals(labels)) if isinstance(labels, Mapping) else []
    for at, each in enumerate(tree.get("matchExpressions") or ()):
        where = f"{path}.matchExpressions[{at}]"
        if not isinstance(each, Mapping):
            yield Problem(where, described(each), "a map", "write a map", "field-type")
            continue
        key, operator, values = each.get("key"), each.get("operator"), each.get("values")
        yield from check_expression(where, key, operator, values)
        listed = values if isinstance(values, list) else []
        found.append(Requirement(str(key), str(operator), tuple(map(str, listed))))
    for demand in found:
        if audience is not None and not prefix and not in_identity(demand.key):
            got = f"{demand.key} is no part of a pod's identity in Cilium, so it matches no pod"
            fix = "select by a label of your own, such as app"
            yield Problem(path, got, "a label Cilium keeps", fix, "label-not-in-identity")
        if audience is not None:
            audience.append(Requirement(f"{prefix}{demand.key}", demand.operator, demand.values))


def _check_networks(path: str, spec: Tree, read: Read) -> Iterator[Problem]:
    value = spec.get("destinationCIDRs")
    yield from _listed(f"{path}.destinationCIDRs", value, "no destination: the policy does nothing")
    fields = ("destinationCIDRs", "excludedCIDRs")
    found: list[list[Network | None]] = []
    for key, kept in zip(fields, (read.destinations, read.excluded), strict=True):
        listed = spec.get(key)
        found.append([])
        for at, text in enumerate(listed if isinstance(listed, list) else ()):
            problem, network = _network(f"{path}.{key}[{at}]", text)
            yield from problem
            found[-1].append(network)
        kept += [network for network in found[-1] if network is not None]
    yield from check_networks(path, found[0], found[1], fields)
    if len({network.version for network in read.destinations}) > 1:
        got = "IPv4 and IPv6 in one policy: with an egressIP, 1.20 loses one of them"
        fix = "make a policy per family"
        yield Problem(f"{path}.destinationCIDRs", got, "one family", fix, "cegp-family-mixed")


def _network(path: str, text: object) -> tuple[list[Problem], Network | None]:
    if not isinstance(text, str) or "/" not in text:
        got, fix = described(text), "write it as in 192.0.2.0/24"
        return [Problem(path, got, "address/length", fix, "prefix-syntax")], None
    try:
        loose = ip_network(text, strict=False)
        exact = ip_address(text.split("/")[0]) == loose.network_address
    except ValueError:
        got, fix = f"{text!r} is not a network", "write it as in 192.0.2.0/24"
        return [Problem(path, got, "address/length", fix, "prefix-syntax")], None
    if exact:
        return [], loose
    got = f"{text} has host bits set; API server and agent take it"
    return [Problem(path, got, str(loose), "write the network", "prefix-network-aligned")], loose


def _check_ways(path: str, spec: Tree, read: Read) -> Iterator[Problem]:
    one, several = spec.get("egressGateway"), spec.get("egressGateways") or []
    if not isinstance(one, Mapping):
        got = "is missing" if one is None else described(one)
        fix = "add it; beside egressGateways it is required as well"
        yield Problem(f"{path}.egressGateway", got, "a map", fix, "cegp-gateway")
    elif not several:
        yield from _check_way(f"{path}.egressGateway", one, read)
    elif one not in several and not _is_named(one, several):
        got = "says something else than egressGateways, which hold instead of it"
        fix = "repeat one of them"
        yield Problem(f"{path}.egressGateway", got, "one of them", fix, "cegp-gateway-ignored")
    if not isinstance(several, list):
        where = f"{path}.egressGateways"
        yield Problem(where, described(several), "a list", "write a list", "field-type")
        return
    if len(several) > WAYS_MAX:
        got, fix = f"{len(several)} gateways", "make several policies"
        yield Problem(f"{path}.egressGateways", got, f"{WAYS_MAX} at most", fix, "cegp-gateways")
    for at, way in enumerate(several):
        where = f"{path}.egressGateways[{at}]"
        if not isinstance(way, Mapping):
            yield Problem(where, described(way), "a map", "write a map", "field-type")
            continue
        yield from _check_way(where, way, read)
        if way in several[:at]:
            got, fix = "the same gateway twice", "remove it"
            yield Problem(where, got, "", fix, "cegp-gateway-twice")


def _is_named(one: Tree, several: object) -> bool:
    """Whether an EgressGateway's keeper names the one node that has what is declared."""
    if not isinstance(several, list) or len(several) != 1 or not isinstance(several[0], Mapping):
        return False
    chosen = several[0].get("nodeSelector")
    rest = {**several[0], "nodeSelector": one.get("nodeSelector")}
    named = isinstance(chosen, Mapping) and list(chosen.get("matchLabels") or ()) == [HOSTNAME]
    return named and rest == one


def _check_way(path: str, way: Tree, read: Read) -> Iterator[Problem]:
    yield from _check_known(path, way, WAY)
    nodes = way.get("nodeSelector")
    if nodes is None:
        yield Problem(f"{path}.nodeSelector", "is missing", "", "add it", "cegp-gateway")
    else:
        yield from _check_selector(f"{path}.nodeSelector", nodes, "", None)
        if isinstance(nodes, Mapping) and not any(nodes.values()):
            got = "selects every node: the first by name is the gateway, dead or not"
            fix = "label one node, and select the label"
            yield Problem(f"{path}.nodeSelector", got, "one node", fix, "cegp-every-node")
    interface, address = way.get("interface"), way.get("egressIP")
    if interface and address:
        got = "egressIP and interface: the agent ignores the policy, in its log alone"
        fix = "keep egressIP: the interface follows from it"
        yield Problem(path, got, "one of them", fix, "interface-and-address")
    if not interface and not address:
        got = "neither: whatever address the node has first on its default route"
        yield Problem(f"{path}.egressIP", got, "an address", "write it", "cegp-address-missing")
    if address:
        yield from _check_address(f"{path}.egressIP", address, read)


def _check_address(path: str, text: object, read: Read) -> Iterator[Problem]:
    try:
        address: Address = ip_address(text if isinstance(text, str) else "")
    except ValueError:
        got, fix = f"{text!r} is not an address", "write it as in 203.0.113.20"
        yield Problem(path, got, "an address without a length", fix, "address-syntax")
        return
    families = {network.version for network in read.destinations}
    if families and address.version not in families:
        family = f"IPv{families.pop()}"
        got = f"{address} for {family} destinations: another address of its interface is taken"
        fix = "write an address of their family"
        yield Problem(path, got, "an address of the same family", fix, "cegp-family-mixed")


def _check_pair(one: Read, other: Read) -> Iterator[Problem]:
    if one.name == other.name:
        got, fix = "two policies have this name: the second replaces the first", "rename one"
        yield Problem(other.name, got, "a name of its own", fix, "cegp-name-twice")
        return
    if not any(may_meet(a, b) for a in one.audiences for b in other.audiences):
        return
    yield from check_shared(_ends(one), _ends(other))


def _ends(read: Read) -> Ends:
    return Ends(read.name, f"{read.name}.spec", read.destinations, read.excluded)
