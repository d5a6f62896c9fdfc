"""IngressController: standard ingress behind the edge, which learns from it whom to believe."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from loopback_iac.components.artifact import read_artifact
from loopback_iac.components.boundary import Sealed, refuse_as_pulumi
from loopback_iac.components.ingress_args import IngressControllerArgs
from loopback_iac.components.manifests import child_name, declare_manifest
from loopback_iac.kube import (
    Behind,
    Ingress,
    ingress_base,
    ingress_pods,
    merged_values,
    parse_behind,
    parse_ingress,
)
from loopback_iac.kube.manifests import Manifest

CHART_OWN = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "IngressClass")
"""What Traefik's chart brings itself."""


class IngressController(pulumi.ComponentResource):
    """Traefik, or F5 NGINX, on the workers of a pool of the edge."""

    class_name: pulumi.Output[str]
    """What an Ingress writes as ingressClassName."""
    namespace: pulumi.Output[str]
    """Where it runs."""
    address: pulumi.Output[str]
    """What Ingresses show as theirs: an address of the VIP."""
    trusted: pulumi.Output[Mapping[str, Sequence[str]]]
    """By worker: from whom a PROXY header is believed. Of a chart, and NGINX: on every worker."""

    def __init__(
        self, name: str, args: IngressControllerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Check what is written, then what the edge says; declare rights, configuration, pods."""
        ingress = refuse_as_pulumi(lambda: parse_ingress(name, args))
        chart = ingress.controller.chart
        if chart is not None:
            refuse_as_pulumi(lambda: read_artifact(name, "controller.chart", chart))
        facts = {"ingress": _facts(ingress)}
        super().__init__("loopback-iac:index:IngressController", name, facts, opts)
        behind = pulumi.Output.from_input(args["edge"]).apply(
            lambda told: Sealed(refuse_as_pulumi(lambda: parse_behind(name, ingress, told)))
        )
        if chart is None:
            self._apply(name, ingress, behind)
        else:
            self._render_chart(name, ingress, chart.path, behind)
        self.class_name = pulumi.Output.from_input(ingress.class_name)
        self.namespace = pulumi.Output.from_input(ingress.space)
        self.address = behind.apply(lambda b: str(b.value.address or ""))
        self.trusted = behind.apply(lambda b: _trusted(b.value))
        outputs = ("class_name", "namespace", "address", "trusted")
        self.register_outputs(facts | {output: getattr(self, output) for output in outputs})

    def _apply(self, name: str, ingress: Ingress, behind: "pulumi.Output[Sealed[Behind]]") -> None:
        before = self._base(name, ingress_base(ingress))
        for at, shape in enumerate(_shapes(ingress)):
            late = behind.apply(lambda b, at=at: ingress_pods(b.value)[at])  # type: ignore[misc]
            fields = {key: late[key] for key in shape if key not in ("apiVersion", "kind")}
            found = {**shape, **fields, "metadata": shape["metadata"]}
            made = declare_manifest(child_name(name, shape), found, self._after(before))
            before = [*before, made]

    def _base(self, name: str, manifests: Sequence[Manifest]) -> list[pulumi.Resource]:
        """The namespace first: everything else is in it, or speaks of it."""
        space = declare_manifest(child_name(name, manifests[0]), manifests[0], self._after([]))
        rest = [
            declare_manifest(child_name(name, each), each, self._after([space]))
            for each in manifests[1:]
        ]
        return [space, *rest]

    def _render_chart(
        self, name: str, ingress: Ingress, path: str, behind: "pulumi.Output[Sealed[Behind]]"
    ) -> None:
        from pulumi_kubernetes.helm.v4 import Chart  # noqa: PLC0415  # where a chart is used

        own = [each for each in ingress_base(ingress) if each["kind"] not in CHART_OWN]
        before = self._base(name, own)
        Chart(
            f"{name}-chart",
            chart=path,
            name=ingress.named,
            namespace=ingress.space,
            values=behind.apply(lambda b: merged_values(b.value)),
            opts=self._after(before),
        )

    def _after(self, before: Sequence[pulumi.Resource]) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(before))


def _shapes(ingress: Ingress) -> list[Manifest]:
    """What is there whatever the edge says: kind, name, and which fields come late."""
    return ingress_pods(Behind.of_nobody(ingress))


def _trusted(behind: Behind) -> dict[str, list[str]]:
    everywhere = behind.ingress.one_file_for_all
    return {
        worker: list(behind.edge.trusted) if everywhere else [str(end) for end in sorted(ends)]
        for worker, ends in behind.edge.workers.items()
    }


def _facts(ingress: Ingress) -> dict[str, Any]:
    """What policies and the state see; all of it is known in a plan."""
    controller = ingress.controller
    return {
        "kind": controller.kind,
        "class": ingress.class_name,
        "namespace": ingress.space,
        "source": "manifests" if controller.chart is None else "chart",
        "digest": controller.chart.sha256 if controller.chart else controller.image,
        "exposure": "load-balancer" if ingress.exposure.load_balancer else "host-ports",
        "host_network": ingress.on_host_network,
        "tls_least": "1.2",
        "access_log": ingress.access_log,
    }
