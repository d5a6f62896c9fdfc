"""Both ends of a cluster: requests come in by the edge, pods leave by addresses of one's own."""

from pathlib import Path

import pulumi
import pulumi_kubernetes as kubernetes
import yaml

from loopback_iac.components import (
    BareMetalHost,
    CertificateIssuer,
    EgressGateway,
    EgressIpPool,
    EgressPolicy,
    IngressController,
    egress_groups,
)

config = pulumi.Config()
ingress = config.require_object("ingress")  # as IngressController takes it, without `edge`
issuer = config.get_object("issuer")  # as CertificateIssuer takes it, without what is known here
gateways = config.get_object("gateways")  # nodes that egress leaves by, and how they are reached
egress_file = Path(__file__).parent / (config.get("egress") or "egress.yaml")
egress = yaml.safe_load(egress_file.read_text())
cluster = kubernetes.Provider(
    "cluster", kubeconfig=config.require_secret("kubeconfig"), enable_config_map_mutable=True
)
inside = pulumi.ResourceOptions(providers=[cluster])


def edge_pool() -> pulumi.Input:
    """What the edge says of the pool that this cluster stands in: its stack, or written down."""
    told = config.get_object("edge")
    if told is not None:
        return told
    stack = pulumi.StackReference(config.require("edgeStack"))
    return stack.require_output("pools").apply(lambda pools: pools[config.get("pool") or "web"])


def challenges(told: dict) -> dict:
    """Names that are proved by DNS: the zone of challenges and its key are of stacks/dns."""
    updater = told.pop("updater")
    stack = pulumi.StackReference(config.require("dnsStack"))
    return {**told, "update": stack.require_output("updates").apply(lambda by: by[updater])}


def node(name: str) -> dict:
    """A machine that is a node of the cluster and holds egress addresses."""
    machine = {**gateways["nodes"][name], "ssh_private_key": config.require_secret("sshPrivateKey")}
    return {"host": BareMetalHost(name, machine).host}


def keepers() -> dict:
    """Addresses stand on gateways before a policy leads there; without `gateways` that is yours."""
    if gateways is None:
        return {}
    moved = egress_groups("egress", egress)
    more = gateways.get("groups") or {}  # announced, interface, lease_ms by gateway
    args = {
        "nodes": {name: node(name) for name in gateways["nodes"]},
        # what is written for a gateway that egress.yaml does not have is refused there
        "groups": {n: {**moved.get(n, {}), **more.get(n, {})} for n in {**moved, **more}},
        "admin_sources": config.require_object("adminSources"),
    }
    if "api" in gateways:
        secret = config.require_secret("gatewayCredential")
        args["cluster"] = {**gateways["api"], "credential": secret}
    made = EgressGateway("gateways", args, inside)
    pulumi.export("gateways", made.hosts)
    return {"standing": made.standing}


web = edge_pool()
controller = IngressController("ingress", {**ingress, "edge": web}, inside)
pulumi.export("ingress", {"class": controller.class_name, "address": controller.address})
if issuer is not None:
    if issuer.pop("by_edge", True):
        here = {"edge": web, "class_name": ingress.get("class_name", "edge")}
        issuer["http01"] = {**issuer.get("http01", {}), **here}
    if "dns01" in issuer:
        issuer["dns01"] = challenges(issuer["dns01"])
    pulumi.export("issuer", CertificateIssuer("issuer", issuer, inside).name)

orders = config.get_object("orders") or {}  # pool -> orders, giving_back, labels
told = egress.get("pools") or {}
pools = {
    name: EgressIpPool(name, {**told.get(name, {}), **orders.get(name, {})})
    for name in {**told, **orders}
}
left = EgressPolicy("egress", {**egress, **keepers()}, inside)
pulumi.export("ordered", {name: pool.ordered for name, pool in pools.items()})
pulumi.export("allocations", left.allocations)
pulumi.export("cilium", left.values)
