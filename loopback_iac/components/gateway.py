"""EgressGateway: addresses on nodes of a cluster, and a keeper beside Cilium that moves them."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from loopback_iac.components.boundary import refuse_as_pulumi
from loopback_iac.components.converge import ConvergedHost, Delivery, describe_host, seal
from loopback_iac.components.gateway_args import EgressGatewayArgs
from loopback_iac.components.hosts import public_facts
from loopback_iac.components.manifests import child_name, declare_manifest
from loopback_iac.kube.gateway import render_gateway_access
from loopback_iac.model.egress_gateway import (
    EgressGateways,
    parse_egress_gateways,
    parse_gateway_hosts,
)
from loopback_iac.model.host import Host
from loopback_iac.render.gateway import CREDENTIAL_MARK, GATEWAY, render_gateway


class GatewayHost(ConvergedHost):
    """A node that holds egress addresses, for good or in turn."""

    kind = GATEWAY


class EgressGateway(pulumi.ComponentResource):
    """Egress addresses on nodes: of one node for good, of several on one at a time."""

    standing: pulumi.Output[Mapping[str, Sequence[str]]]
    """By group: addresses that its nodes hold; known once they do. EgressPolicy takes it."""
    manifests: pulumi.Output[Sequence[Mapping[str, Any]]]
    """A Lease per group that moves, and what its keeper may write; they are made here."""
    hosts: pulumi.Output[Mapping[str, Any]]
    """By node: role, address, SSH port, user and host key, and the digest it was converged to."""

    def __init__(
        self, name: str, args: EgressGatewayArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Check everything at once, then bring every node to it."""
        found = refuse_as_pulumi(lambda: parse_egress_gateways(name, args))
        super().__init__("loopback-iac:index:EgressGateway", name, {"gateway": _facts(found)}, opts)
        child = pulumi.ResourceOptions(parent=self)
        kept = args.get("baseline")
        self.node = {
            node: GatewayHost(
                *(f"{name}-{node}", node, args["nodes"][node]["host"], [], child), baseline=kept
            )
            for node in found.nodes
        }
        access = render_gateway_access(found)
        may = [declare_manifest(child_name(name, each), each, child) for each in access]
        done = self._converge(name, found, args, may)
        held = {group: [str(a) for a in each.addresses] for group, each in found.groups.items()}
        self.standing = pulumi.Output.all(*(each.stdout for each in done)).apply(lambda _: held)
        self.manifests = pulumi.Output.from_input(access)
        self.hosts = pulumi.Output.all(**{n: describe_host(h) for n, h in self.node.items()})
        outputs = ("standing", "manifests", "hosts")
        self.register_outputs({output: getattr(self, output) for output in outputs})

    def _converge(
        self,
        name: str,
        found: EgressGateways,
        args: EgressGatewayArgs,
        may: Sequence[pulumi.Resource],
    ) -> list[Any]:
        """One node after the other: a change restarts the keeper, and two at once would be seen.

        The preferred ones come first: one that had a group for itself learns that it moves before
        the next one may take it.
        """
        late = {node: public_facts(each["host"]) for node, each in args["nodes"].items()}

        def parse(got: Mapping[str, Any]) -> dict[str, Host]:
            return refuse_as_pulumi(lambda: parse_gateway_hosts(name, found, got))

        hosts = pulumi.Output.all(**late).apply(parse)
        done: list[Any] = []
        for node in found.in_order:
            host = self.node[node]
            files = hosts.apply(functools.partial(render_gateway, found, node))
            values: dict[str, pulumi.Input[str]] = {}
            if any(group.moves for group in found.groups_of(node).values()):
                values[CREDENTIAL_MARK] = pulumi.Output.secret(args["cluster"]["credential"])
            delivery: Delivery = {
                "files": files,
                "values": [seal(values)],
                "admin_sources": [str(network) for network in found.admin_sources],
                "drain_s": 0,
            }
            done.append(host.converge(delivery, done[-1:] or may))
        return done


def _facts(found: EgressGateways) -> dict[str, Any]:
    """What policies and the state see; all of it is known in a plan."""
    return {
        group: {
            "addresses": [str(address) for address in each.addresses],
            "nodes": list(each.nodes),
            "policies": list(each.policies),
            "announced": each.announced,
            "lease_s": each.lease_ms / 1000,
        }
        for group, each in found.groups.items()
    }
