"""An egress file held to itself: names, labels, families, gateways, addresses, overlaps."""

from collections.abc import Iterator, Mapping
from itertools import combinations

from loopback_iac.kube.backends import check_backend
from loopback_iac.kube.check_gateways import check_gateways, check_runners
from loopback_iac.kube.helm_values import check_values
from loopback_iac.kube.policy import Egress, EgressPolicy, Expression
from loopback_iac.kube.pool import check_pools, owner_of
from loopback_iac.kube.problems import (
    Ends,
    check_expression,
    check_labels,
    check_networks,
    check_shared,
    inside,
)
from loopback_iac.kube.selectors import in_identity, may_meet
from loopback_iac.model.fields import NAME, Address, reaches_nobody
from loopback_iac.model.problem import Problem

NAME_MAX = 50
"""Of a policy: what is made of it has a family, and a namespace may be part of it."""
Written = Mapping[str, frozenset[str]]


def check_egress(egress: Egress, written: Written, *, whole: bool) -> list[Problem]:
    """Everything that is wrong across the parts that parsed.

    In: `written`: names in each section, parsed or not; `whole`: every part parsed, so that what a
        part would have brought is not missed.
    """
    found = [*check_pools(egress.pools), *_check_nodes(egress)]
    if not NAME.fullmatch(egress.cluster):
        got, need = f"{egress.cluster!r} is no DNS label", "lower-case letters, digits, hyphens"
        found.append(Problem("cluster", got, need, "choose another name", "name-dns-label"))
    for name, gateway in egress.gateways.items():
        path = f"gateways.{name}.labels"
        found += check_labels(path, gateway.labels)
        if not gateway.labels:
            got = "no labels: every node would be a gateway"
            fix = "label the node that leaves, and write the label"
            found.append(Problem(path, got, "a label", fix, "gateway-labels"))
    for name, policy in egress.policies.items():
        found += _check_policy(egress, f"policies.{name}", name, policy, written)
    found += _check_overlaps(egress)
    found += _check_accepted(egress)
    if whole:
        found += check_backend(egress)
        if egress.backend == "cilium":
            found += [*check_gateways(egress)]
        else:
            found += check_runners(egress)
        if egress.cilium is not None:
            found += check_values(egress)
    return found


def _check_nodes(egress: Egress) -> Iterator[Problem]:
    held: dict[Address, str] = {}
    for name, node in egress.nodes.items():
        yield from check_labels(f"nodes.{name}.labels", node.labels)
        for field in ("addresses", "carries"):
            for at, address in enumerate(getattr(node, field)):
                path = f"nodes.{name}.{field}[{at}]"
                if reaches_nobody(address):
                    got = f"{address} leads to no single host"
                    yield Problem(path, got, "a host's address", "write it", "address-of-nobody")
                if address in held:
                    got = f"{address} is on {held[address]} already"
                    fix = "let one node have it: two would answer for it"
                    yield Problem(path, got, "one place per address", fix, "address-twice")
                held.setdefault(address, f"nodes.{name}.{field}")


def _check_policy(
    egress: Egress, path: str, name: str, policy: EgressPolicy, written: Written
) -> Iterator[Problem]:
    if len(name) > NAME_MAX:
        got = f"{len(name)} characters"
        yield Problem(path, got, f"{NAME_MAX} at most", "choose a shorter name", "policy-name")
    if not NAME.fullmatch(policy.tenant):
        got, need = f"{policy.tenant!r} is no DNS label", "lower-case letters, digits, hyphens"
        yield Problem(f"{path}.tenant", got, need, "choose another name", "name-dns-label")
    yield from _check_audience(egress, path, policy)
    yield from _check_destinations(egress, path, policy)
    for gateway, addresses in policy.gateways.items():
        where = f"{path}.gateways.{gateway}"
        if gateway not in written["gateways"]:
            got, known = f"there is no gateway {gateway!r}", ", ".join(sorted(written["gateways"]))
            yield Problem(where, got, known, "declare it under gateways", "gateway-known")
        pools = written["pools"] == egress.pools.keys()
        yield from _check_addresses(egress, where, policy, addresses, pools=pools)
    if not policy.gateways:
        got, fix = "no gateway: nothing would be translated", "name one, with its addresses"
        yield Problem(f"{path}.gateways", got, "a gateway", fix, "policy-gateway")


def _check_audience(egress: Egress, path: str, policy: EgressPolicy) -> Iterator[Problem]:
    if not policy.namespaces and not policy.namespace_labels:
        got = "no namespace: pods of every tenant would be meant"
        fix = "name namespaces, or namespace_labels"
        yield Problem(f"{path}.namespaces", got, "a namespace", fix, "selector-missing")
    if policy.namespaces and policy.namespace_labels:
        got, fix = "names and labels of namespaces", "keep one of them"
        yield Problem(f"{path}.namespace_labels", got, "one of them", fix, "selector-both")
    for at, namespace in enumerate(policy.namespaces):
        where = f"{path}.namespaces[{at}]"
        if not NAME.fullmatch(namespace):
            got, need = f"{namespace!r} is no DNS label", "the name of a namespace"
            yield Problem(where, got, need, "write the name", "name-dns-label")
        if namespace in policy.namespaces[:at]:
            yield Problem(where, f"{namespace} is named twice", "", "remove it", "selector-twice")
    yield from check_labels(f"{path}.namespace_labels", policy.namespace_labels)
    yield from check_labels(f"{path}.pod_labels", policy.pod_labels)
    for at, each in enumerate(policy.pod_expressions):
        where = f"{path}.pod_expressions[{at}]"
        yield from check_expression(where, each.key, each.operator, each.values)
    if egress.backend == "cilium":
        yield from _check_identity(path, policy)
    if not may_meet(policy.audience, ()):
        got = "no pod can meet all of them"
        yield Problem(f"{path}.pod_expressions", got, "", "mend the selector", "selector-nobody")


def _check_identity(path: str, policy: EgressPolicy) -> Iterator[Problem]:
    keys = [(f"{path}.pod_labels.{key}", key) for key in policy.pod_labels]
    each: Expression
    for at, each in enumerate(policy.pod_expressions):
        keys.append((f"{path}.pod_expressions[{at}].key", each.key))
    for where, key in keys:
        if not in_identity(key):
            got = f"{key} is no part of a pod's identity in Cilium, so it matches no pod"
            fix = "select by a label of your own, such as app"
            yield Problem(where, got, "a label Cilium keeps", fix, "label-not-in-identity")


def _check_destinations(egress: Egress, path: str, policy: EgressPolicy) -> Iterator[Problem]:
    if not policy.destinations:
        got, fix = "no destination: nobody would be let out", "name networks, or remove the policy"
        yield Problem(f"{path}.destinations", got, "a network", fix, "policy-destinations")
    yield from check_networks(path, policy.destinations, policy.excluded)
    within = [("pod_cidrs", n) for n in egress.pod_cidrs]
    within += [("service_cidrs", n) for n in egress.service_cidrs]
    for at, network in enumerate(policy.destinations):
        for field, own in within:
            if inside(network, own):
                got = f"{network} is within the cluster's {field} {own}"
                fix = "remove it: traffic in the cluster never goes through a gateway"
                where = f"{path}.destinations[{at}]"
                yield Problem(where, got, "networks outside", fix, "destination-inside")


def _check_addresses(
    egress: Egress, path: str, policy: EgressPolicy, addresses: tuple[Address, ...], *, pools: bool
) -> Iterator[Problem]:
    """In: `pools`: all that are written parsed; else nobody knows what is owned."""
    for family in policy.families:
        held = [address for address in addresses if address.version == family]
        if not held:
            got = f"IPv{family} destinations without an IPv{family} address"
            fix = "add one, or leave those destinations to another policy"
            yield Problem(path, got, f"an IPv{family} address", fix, "family-without-address")
        if len(held) > 1:
            got = f"{len(held)} IPv{family} addresses: {', '.join(map(str, held))}"
            fix = "keep one; several addresses need a gateway each"
            yield Problem(path, got, "one per family", fix, "address-several")
    for at, address in enumerate(addresses):
        where = f"{path}[{at}]"
        if address.version not in policy.families:
            got = f"{address} without an IPv{address.version} destination"
            fix = "remove it, or add destinations of its family"
            yield Problem(where, got, "an address in use", fix, "family-mixed")
        if pools:
            yield from _check_owned(egress, where, policy, address)


def _check_owned(
    egress: Egress, path: str, policy: EgressPolicy, address: Address
) -> Iterator[Problem]:
    own = next((name for name, n in egress.nodes.items() if address in n.addresses), None)
    if own is not None:
        got = f"{address} is {own}'s own: a leak by it would look declared"
        fix = "take an address of a pool"
        yield Problem(path, got, "an address apart", fix, "address-of-node")
        return
    found = owner_of(egress.pools, address)
    if found is None:
        got = f"{address} is allocated in no pool"
        fix = f"take one of the tenant's, or write it under pools.NAME.allocations.{policy.tenant}"
        yield Problem(path, got, "an address that is ours", fix, "address-not-owned")
    elif found[1] != policy.tenant:
        got = f"{address} is allocated to {found[1]} in {found[0]}"
        fix = "take one of the tenant's own: by it others know who calls"
        yield Problem(path, got, f"an address of {policy.tenant}", fix, "address-of-other-tenant")


def _check_overlaps(egress: Egress) -> Iterator[Problem]:
    audiences = {name: policy.audience for name, policy in egress.policies.items()}
    for (one, first), (other, second) in combinations(egress.policies.items(), 2):
        if not may_meet(audiences[one], audiences[other]):
            continue
        path = f"policies.{other}"
        if egress.backend == "kube-vip":
            got = f"a pod may be meant by {one} as well: two translations for one address"
            fix = "select pods that the other does not"
            yield Problem(path, got, "pods of its own", fix, "overlap-pods")
            continue
        yield from check_shared(_ends(one, first), _ends(other, second))


def _ends(name: str, policy: EgressPolicy) -> Ends:
    return Ends(name, f"policies.{name}", policy.destinations, policy.excluded)


def _check_accepted(egress: Egress) -> Iterator[Problem]:
    for at, each in enumerate(egress.accepted):
        if not each.namespaces:
            got, fix = "no namespace", "name the namespaces whose risk is taken"
            yield Problem(f"accepted[{at}].namespaces", got, "one", fix, "selector-missing")
