"""What egress backends can and cannot do, as data with a source per line; policies held to it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import takewhile
from typing import Literal

import yaml

from loopback_iac.kube.policy import Egress, EgressPolicy
from loopback_iac.kube.pool import owner_of
from loopback_iac.kube.selectors import may_meet
from loopback_iac.model.fields import Line, Several, Value
from loopback_iac.model.problem import Problem

TABLE = "backends.yaml"
ROUTED = ("hetzner-floating", "hetzner-primary")
"""Kinds of addresses that stay with one server until the provider's API is asked."""
CILIUM_IPV6 = (1, 20)
"""The first whose egressIP may be of IPv6 (its CRD before: format ipv4)."""
FIELDS = {
    "ipv4": "destinations",
    "ipv6": "destinations",
    "both-families": "destinations",
    "every-pod": "every_pod",
    "namespaces-several": "namespaces",
    "namespace-labels": "namespace_labels",
    "pod-expressions": "pod_expressions",
    "excluded": "excluded",
    "ports": "ports",
    "gateways-several": "gateways",
    "default-deny": "default_deny",
    "pods-overlap": "pod_labels",
}
"""Of each ability: the field of a policy that asks for it."""
FIXES = {
    "every-pod": "write every_pod: false where one pod at a time is enough",
    "both-families": "make a policy per family",
    "namespaces-several": "make a policy per namespace",
    "namespace-labels": "name the namespace",
    "pod-expressions": "give the pods a label of their own",
    "gateways-several": "keep one",
    "pods-overlap": "select pods that the other does not",
}


class Claim(Value):
    """Something that is said of a backend, and where it is from."""

    says: Line
    mark: Literal["read", "measured"]
    source: Line


class Ability(Claim):
    """Whether a backend holds what a policy may ask for."""

    holds: bool


class Backend(Value):
    """One backend."""

    needs: Mapping[str, Claim]
    can: Mapping[str, Ability]
    cannot: Several[Claim]


@dataclass(frozen=True)
class Fit:
    """A backend beside an egress file: what of the file it cannot hold, by policy."""

    backend: str
    unmet: tuple[tuple[str, str], ...]
    """(policy, ability)."""

    @property
    def fits(self) -> bool:
        """Whether it holds all of it."""
        return not self.unmet


@cache
def backends() -> Mapping[str, Backend]:
    """The table."""
    tree = yaml.safe_load(files(__package__).joinpath(TABLE).read_text())
    return {name: Backend.model_validate(part) for name, part in tree.items()}


def asked_of(egress: Egress, name: str) -> Iterator[str]:
    """Abilities that one policy asks for."""
    policy = egress.policies[name]
    wants = {
        "ipv4": 4 in policy.families,
        "ipv6": 6 in policy.families,
        "both-families": len(policy.families) > 1,
        "every-pod": policy.every_pod,
        "namespaces-several": len(policy.namespaces) > 1,
        "namespace-labels": bool(policy.namespace_labels),
        "pod-expressions": bool(policy.pod_expressions),
        "excluded": bool(policy.excluded),
        "ports": bool(policy.ports),
        "gateways-several": len(policy.gateways) > 1,
        "default-deny": policy.default_deny != "none",
        "pods-overlap": _shares_pods(egress, name),
    }
    yield from (ability for ability, wanted in wants.items() if wanted)


def _shares_pods(egress: Egress, name: str) -> bool:
    """Told at the later of two, as every problem between two policies is."""
    mine = egress.policies[name].audience
    earlier = takewhile(lambda other: other != name, egress.policies)
    return any(may_meet(egress.policies[other].audience, mine) for other in earlier)


def fit(egress: Egress, backend: str) -> Fit:
    """What a backend cannot hold of an egress file."""
    unmet = tuple(
        (name, ability)
        for name in egress.policies
        for ability in asked_of(egress, name)
        if not _holds(egress, backend, ability)
    )
    return Fit(backend, unmet)


def _holds(egress: Egress, backend: str, ability: str) -> bool:
    """As the table has it, of the version that runs."""
    if backend == "cilium" and ability == "ipv6" and egress.cilium is not None:
        return tuple(map(int, egress.cilium.version.split("."))) >= CILIUM_IPV6
    return backends()[backend].can[ability].holds


def masquerades(egress: Egress) -> bool:
    """Whether Cilium is said to translate addresses itself."""
    bpf = egress.cilium.values.get("bpf") if egress.cilium is not None else None
    return isinstance(bpf, Mapping) and bpf.get("masquerade") is True


def check_backend(egress: Egress) -> Iterator[Problem]:
    """Fields that the chosen backend cannot hold, by name, and what it needs beside itself."""
    name = egress.backend
    can = backends()[name].can
    for policy, ability in fit(egress, name).unmet:
        if ability == "pods-overlap":
            continue  # the check of overlaps says with whom
        path = f"policies.{policy}.{FIELDS[ability]}"
        version = f" {egress.cilium.version}" if name == "cilium" and egress.cilium else ""
        got = f"{name}{version} cannot: {can[ability].says}"
        others = [each for each in backends() if _holds(egress, each, ability)]
        fix = " or ".join((FIXES.get(ability, "leave it out"), *(f"take {o}" for o in others)))
        source = f" (source: {can[ability].source})"
        yield Problem(path, got, "", fix + source, f"backend-{ability}")
    if name == "cilium":
        yield from _check_cilium(egress)
    else:
        yield from _check_kube_vip(egress)


def _check_cilium(egress: Egress) -> Iterator[Problem]:
    if egress.cilium is None:
        got, fix = "is missing", "add cilium: {version: ...}"
        yield Problem("cilium", got, "its version", fix, "field-missing")
        return
    for name, policy in egress.policies.items():
        yield from _check_ports(name, policy)
    for name, gateway in egress.gateways.items():
        if gateway.interface is not None:
            got = "an interface beside addresses: the agent ignores such a policy, and says nothing"
            fix = "remove it: the interface follows from the address"
            path = f"gateways.{name}.interface"
            yield Problem(path, got, "addresses alone", fix, "interface-and-address")


def _check_ports(name: str, policy: EgressPolicy) -> Iterator[Problem]:
    if policy.ports and policy.default_deny == "none":
        got = "ports without a default deny: every port would be let out and translated"
        fix = "write default_deny: outside"
        yield Problem(f"policies.{name}.ports", got, "a default deny", fix, "backend-ports")


def _check_kube_vip(egress: Egress) -> Iterator[Problem]:
    if egress.kube_vip is None:
        got, fix = "is missing", "add kube_vip: {image: ..., interface: ...}"
        yield Problem("kube_vip", got, "image and interface", fix, "field-missing")
    if masquerades(egress):
        got = "true, with kube-vip: Cilium translates before nftables sees the packet"
        fix = "take backend cilium, or set it to false"
        path = "cilium.values.bpf.masquerade"
        yield Problem(path, got, "false", fix, "backend-bpf-masquerade")
    for field in ("pod_cidrs", "service_cidrs"):
        if not getattr(egress, field):
            got = "no network: kube-vip would guess 10.0.0.0/16 and 10.96.0.0/12"
            fix = "write what the cluster uses"
            yield Problem(field, got, "the cluster's networks", fix, "backend-cidrs")
    for name, policy in egress.policies.items():
        if not policy.pod_labels:
            got = "no label: a Service without a selector has no pod"
            path = f"policies.{name}.pod_labels"
            yield Problem(path, got, "a label", "select by a label", "backend-selector")
        yield from _check_moves(egress, name)


def _check_moves(egress: Egress, name: str) -> Iterator[Problem]:
    """ARP moves an address between nodes only where the network hears it."""
    for gateway, addresses in egress.policies[name].gateways.items():
        nodes = egress.nodes_of(gateway) if gateway in egress.gateways else ()
        for at, address in enumerate(addresses):
            found = owner_of(egress.pools, address)
            kind = egress.pools[found[0]].kind if found else ""
            if kind in ROUTED and len(nodes) > 1:
                got = f"{address} is {kind}: ARP does not move it between {', '.join(nodes)}"
                fix = "leave one node in the gateway, or take an address of another kind"
                path = f"policies.{name}.gateways.{gateway}[{at}]"
                yield Problem(path, got, "an address that ARP moves", fix, "backend-arp")
