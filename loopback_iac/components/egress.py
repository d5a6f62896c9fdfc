"""EgressPolicy: all egress of a cluster, declared once, checked whole, applied in a safe order.

What denies comes first, then the labels of gateway nodes, then who is translated to which address:
an address that comes after its policy is not noticed by Cilium, and all it is for is dropped.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pulumi

from loopback_iac.components.boundary import refuse_as_pulumi
from loopback_iac.components.egress_args import EgressPolicyArgs
from loopback_iac.components.manifests import Applied, child_name, declare_manifest, find_object
from loopback_iac.kube import (
    Egress,
    allocation_rows,
    gateway_groups,
    parse_egress_tree,
    render_cilium,
    render_kube_vip,
    render_values,
)
from loopback_iac.kube.cegp import KIND
from loopback_iac.kube.facts import egress_facts
from loopback_iac.kube.groups import check_standing, standing_text
from loopback_iac.kube.manifests import PREFIX, Manifest
from loopback_iac.model import InputRejected

STANDING = f"{PREFIX}standing"
UNAWAITED = {"pulumi.com/skipAwait": "true"}
"""A Service of kube-vip has an address as soon as a pod is ready, which is not ours to wait for."""
FORCED = {"pulumi.com/patchForce": "true"}
"""A name that a keeper left in the list is taken out, though it is another field manager's."""


class EgressPolicy(pulumi.ComponentResource):
    """Who leaves a cluster, where to, and by which address."""

    manifests: pulumi.Output[Sequence[str]]
    """What was made in the cluster, as kind, namespace and name."""
    allocations: pulumi.Output[Sequence[Mapping[str, str]]]
    """Who has which address: pool, address, tenant, kind; by pool and address."""
    values: pulumi.Output[Mapping[str, Any]]
    """Values for Cilium's chart: yours, what egress needs, and defaults. Empty with kube-vip."""

    def __init__(
        self, name: str, args: EgressPolicyArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Check everything at once, then declare it."""
        egress = refuse_as_pulumi(lambda: parse_egress_tree(name, _plain(args)))
        facts = {"egress": egress_facts(egress)}
        super().__init__("loopback-iac:index:EgressPolicy", name, facts, opts)
        self._standing = _standing(name, egress, args)
        made = render_cilium(egress) if egress.backend == "cilium" else render_kube_vip(egress)
        self._declare(name, egress, made)
        self.manifests = pulumi.Output.from_input([_title(each) for each in made])
        self.allocations = pulumi.Output.from_input(allocation_rows(egress.pools))
        wanted = render_values(egress) if egress.backend == "cilium" else {}
        self.values = pulumi.Output.from_input(wanted)
        outputs = ("manifests", "allocations", "values")
        self.register_outputs(facts | {output: getattr(self, output) for output in outputs})

    def _declare(self, name: str, egress: Egress, made: Sequence[Manifest]) -> None:
        """In this order; taken away, the other way round."""
        first = [each for each in made if each["kind"] not in (KIND, "Service")]
        last = [each for each in made if each["kind"] in (KIND, "Service")]
        before: list[pulumi.Resource] = [self._apply(name, each, []) for each in first]
        labelled: list[pulumi.Resource] = [
            self._label(f"{name}-{title}-label", gateway, node, egress, before)
            for gateway in egress.gateways
            for title, node in _labelled(egress, gateway)
        ]
        for each in last:
            self._apply(name, each, [*before, *labelled])

    def _apply(self, name: str, manifest: Manifest, after: Sequence[pulumi.Resource]) -> Applied:
        about, kind = manifest["metadata"], manifest["kind"]
        notes: dict[str, Any] = dict(about.get("annotations", {}))
        if kind == KIND and self._standing is not None:
            # with it the policy comes after the addresses, and is touched when they change
            notes[STANDING] = self._standing
        if kind == KIND and "egressGateways" in manifest["spec"]:
            notes |= FORCED
        if kind == "Service":
            notes |= UNAWAITED
        found = {**manifest, "metadata": {**about, **({"annotations": notes} if notes else {})}}
        return declare_manifest(child_name(name, manifest), found, self._options(after))

    def _label(
        self,
        title: str,
        gateway: str,
        node: str,
        egress: Egress,
        after: Sequence[pulumi.Resource],
    ) -> Applied:
        """A gateway's labels on a node, and nothing else of it.

        Moved, they are taken from the old node first: of two Cilium takes the first by name. The
        node is looked for before, because a patch of what is not there would make it.
        """
        labels = dict(egress.gateways[gateway].labels)
        found = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node, "labels": labels}}
        first = pulumi.ResourceOptions(delete_before_replace=True)
        there = find_object(f"{title}-on-{node}", ("v1", "Node"), node, self._options([]))
        opts = pulumi.ResourceOptions.merge(self._options([*after, there]), first)
        return declare_manifest(title, found, opts, patch=True)

    def _options(self, after: Sequence[pulumi.Resource]) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(after))


def egress_groups(name: str, args: EgressPolicyArgs) -> dict[str, dict[str, Any]]:
    """Groups for an EgressGateway, as the gateways of these policies need them.

    In: `name`, for messages; args as EgressPolicy takes them.
    Raises: RejectedInputs with every problem at once.
    """
    egress = refuse_as_pulumi(lambda: parse_egress_tree(name, _plain(args)))
    return {
        gateway: {
            "addresses": [str(address) for address in group.addresses],
            "nodes": list(group.nodes),
            "policies": list(group.policies),
        }
        for gateway, group in gateway_groups(egress).items()
    }


def _plain(args: EgressPolicyArgs) -> dict[str, object]:
    return {key: value for key, value in args.items() if key != "standing"}


def _labelled(egress: Egress, gateway: str) -> Iterator[tuple[str, str]]:
    """Names of resources, and nodes: Cilium's one node keeps its resource when it is another."""
    for node in egress.nodes_of(gateway):
        yield (gateway if egress.backend == "cilium" else f"{gateway}-{node}"), node


def _standing(name: str, egress: Egress, args: EgressPolicyArgs) -> pulumi.Output[str] | None:
    """What stands on gateways, as a text that changes with it."""
    if "standing" not in args:
        return None

    def checked(told: Mapping[str, Sequence[str]]) -> str:
        def check() -> str:
            if problems := tuple(check_standing(egress, told)):
                raise InputRejected(name, problems)
            return standing_text(told)

        return refuse_as_pulumi(check)

    return pulumi.Output.from_input(args["standing"]).apply(checked)


def _title(manifest: Manifest) -> str:
    about = manifest["metadata"]
    place = "/".join(part for part in (about.get("namespace"), about["name"]) if part)
    return f"{manifest['kind']} {place}"
