"""Traefik on two workers of the edge; it believes both PoPs, and nobody else, about clients."""

import pulumi
import pulumi_kubernetes

from loopback_iac.components import EdgePoolRef, IngressController

config = pulumi.Config()
cluster = pulumi_kubernetes.Provider(
    "prod", kubeconfig=config.require_secret("kubeconfig"), enable_config_map_mutable=True
)

# what `edge.pools["web"]` of an AnycastEdge says; from another stack: its output `pools`
web: EdgePoolRef = {
    "fleet": "edge",
    "pool": "web",
    "pops": ["fra1", "par1"],
    "vips": {"www": ["203.0.113.10", "2001:db8:100::10"]},
    "services": {
        "http": {"vip": "www", "port": 80, "worker_port": 8080},
        "https": {"vip": "www", "port": 443, "worker_port": 8443},
    },
    "workers": {
        "w1": ["10.88.8.2", "10.88.16.2"],
        "w2": ["10.88.8.4", "10.88.16.4"],
    },
    "noticed_after_ms": 110,
    "ready_port": 8082,
    "ready_path": "/ping",
}

ingress = IngressController(
    "ingress",
    {
        "controller": {
            "kind": "traefik",
            "image": "docker.io/library/traefik@sha256:" + "0123456789abcdef" * 4,
        },
        "edge": web,
        "node_selector": {"node-role.kubernetes.io/ingress": ""},
    },
    opts=pulumi.ResourceOptions(providers=[cluster]),
)
pulumi.export("class", ingress.class_name)
pulumi.export("address", ingress.address)
pulumi.export("trusted", ingress.trusted)
