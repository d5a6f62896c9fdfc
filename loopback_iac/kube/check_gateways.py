"""Gateways held to the nodes they are on: one at a time, with the addresses there before."""

from collections.abc import Iterator
from itertools import combinations

from loopback_iac.kube.policy import Egress
from loopback_iac.model.problem import Problem

FEWEST = 2


def check_gateways(egress: Egress) -> Iterator[Problem]:
    """Cilium's: who is labelled, who has the addresses, who stands in for whom."""
    yield from _check_nodes(egress)
    yield from _check_carried(egress)
    for name in egress.gateways:
        yield from _check_candidates(egress, name)


def _check_nodes(egress: Egress) -> Iterator[Problem]:
    """Cilium takes the first of several nodes by name, dead or not, and drops without any."""
    for name, gateway in egress.gateways.items():
        nodes = egress.nodes_of(name)
        path = f"gateways.{name}.labels"
        if gateway.candidates:
            if nodes:
                got = f"{', '.join(nodes)} has them, and would be selected while nobody is named"
                fix = "remove them from the node: its controller names candidates by their hostname"
                yield Problem(path, got, "labels of a gateway alone", fix, "candidate-labelled")
            continue
        if not nodes:
            got, fix = "no node has them: all it is for would be dropped", "label a node"
            yield Problem(path, got, "one node", fix, "gateway-nowhere")
        if len(nodes) > 1:
            got = f"{len(nodes)} nodes have them: {', '.join(nodes)}"
            fix = "give each gateway a label of its own; the first by name is taken, dead or not"
            yield Problem(path, got, "one node", fix, "gateway-several")
    for name, policy in egress.policies.items():
        known = [gateway for gateway in policy.gateways if gateway in egress.gateways]
        for one, other in combinations(known, 2):
            both = sorted({*egress.nodes_of(one)} & {*egress.nodes_of(other)})
            if both:
                path, got = f"policies.{name}.gateways.{other}", f"{one} is {both[0]} as well"
                yield Problem(path, got, "another node", "keep one of them", "gateway-same-node")


def _check_candidates(egress: Egress, name: str) -> Iterator[Problem]:
    """Addresses of nodes that stand in for each other are their controller's alone."""
    gateway, path = egress.gateways[name], f"gateways.{name}.candidates"
    if not gateway.candidates:
        return
    for title, policy in egress.policies.items():
        if name in policy.gateways and len(policy.gateways) > 1:
            # the list of gateways is one value to the API: controller and `up` would both own it
            where, got = f"policies.{title}.gateways.{name}", f"is one of {len(policy.gateways)}"
            fix = "make a policy of its own for it, or leave its candidates out"
            yield Problem(where, got, "alone, with candidates", fix, "candidate-alone")
    if len(gateway.candidates) < FEWEST:
        got, fix = f"{gateway.candidates[0]} alone", "name a second node, or leave candidates out"
        yield Problem(path, got, "two nodes or more", fix, "candidates-few")
    addresses = {a for p in egress.policies.values() for a in p.gateways.get(name, ())}
    for at, candidate in enumerate(gateway.candidates):
        where = f"{path}[{at}]"
        if candidate in gateway.candidates[:at]:
            yield Problem(where, f"{candidate} is named twice", "", "remove it", "candidate-twice")
            continue
        if candidate not in egress.nodes:
            got, known = f"there is no node {candidate!r}", ", ".join(egress.nodes)
            yield Problem(where, got, known, "declare it under nodes", "candidate-known")
            continue
        for address in sorted(addresses & {*egress.nodes[candidate].carries}, key=str):
            got = f"{candidate} carries {address} for good, and so would who takes over"
            fix = f"remove it from nodes.{candidate}.carries: the controller puts it there"
            yield Problem(where, got, "an address that moves", fix, "candidate-carries")


def check_runners(egress: Egress) -> Iterator[Problem]:
    """kube-vip runs once on a node: two would answer at one port and clean each other's rules."""
    for name, gateway in egress.gateways.items():
        if gateway.candidates:
            got, fix = "with kube-vip: it elects one of the nodes itself", "label the nodes instead"
            path = f"gateways.{name}.candidates"
            yield Problem(path, got, "", fix, "backend-candidates")
        if not egress.nodes_of(name):
            got, fix = "no node has them: kube-vip would run nowhere", "label nodes"
            yield Problem(f"gateways.{name}.labels", got, "a node", fix, "gateway-nowhere")
    for one, other in combinations(egress.gateways, 2):
        both = sorted({*egress.nodes_of(one)} & {*egress.nodes_of(other)})
        if both:
            got, fix = f"{', '.join(both)} would be of {one} as well", "give each nodes of its own"
            path = f"gateways.{other}.labels"
            yield Problem(path, got, "nodes of its own", fix, "gateway-same-node")


def _check_carried(egress: Egress) -> Iterator[Problem]:
    """An address that comes after the policy is not noticed: traffic is dropped until a touch."""
    for name, policy in egress.policies.items():
        for gateway, addresses in policy.gateways.items():
            nodes = egress.nodes_of(gateway) if gateway in egress.gateways else ()
            if len(nodes) != 1:
                continue
            for at, address in enumerate(addresses):
                if address not in egress.nodes[nodes[0]].carries:
                    yield Problem(
                        f"policies.{name}.gateways.{gateway}[{at}]",
                        f"{address} is not among what {nodes[0]} carries",
                        "an address that is there before the policy",
                        f"put it on {nodes[0]} so that it outlives a reboot, then add it to"
                        f" nodes.{nodes[0]}.carries",
                        "address-not-on-gateway",
                    )
