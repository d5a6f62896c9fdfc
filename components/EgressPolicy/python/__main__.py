"""Invoices leave a cluster by one address, and reports by another; nothing else leaves."""

import pulumi
import pulumi_kubernetes as kubernetes

from loopback_iac.components import EgressPolicy

config = pulumi.Config()
cluster = kubernetes.Provider("prod", kubeconfig=config.require_secret("kubeconfig"))

egress = EgressPolicy(
    "egress",
    {
        "format": 1,
        "cluster": "prod",
        "backend": "cilium",
        "cilium": {"version": "1.20.1", "values": {"k8sServiceHost": "api.prod.example.net"}},
        "pod_cidrs": ["10.244.0.0/16"],
        "service_cidrs": ["10.96.0.0/16"],
        "nodes": {
            "w1": {
                "addresses": ["198.51.100.11"],
                "labels": {"egress": "partners"},
                "carries": ["203.0.113.20", "203.0.113.21"],
            },
            "w2": {"addresses": ["198.51.100.12"]},
        },
        "gateways": {"partners": {"labels": {"egress": "partners"}}},
        "pools": {
            "partners": {
                "kind": "own-prefix",
                "addresses": ["203.0.113.16/28"],
                "evidence": "RIPE database, inetnum 203.0.113.0 - 203.0.113.255",
                "seen_on": "2026-11-20",
                "allocations": {"shop": ["203.0.113.20"], "bank": ["203.0.113.21"]},
            }
        },
        "policies": {
            "billing-to-bank": {
                "tenant": "shop",
                "owner": "team-billing@example.net",
                "because": "the bank lets in one address",
                "namespaces": ["billing"],
                "pod_labels": {"app": "invoicer"},
                "destinations": ["192.0.2.0/24"],
                "ports": ["tcp:443"],
                "gateways": {"partners": ["203.0.113.20"]},
            },
            "reports-out": {
                "tenant": "bank",
                "owner": "team-reports@example.net",
                "namespaces": ["reports"],
                "destinations": ["0.0.0.0/0"],
                "gateways": {"partners": ["203.0.113.21"]},
                "default_deny": "everything",
            },
        },
    },
    pulumi.ResourceOptions(provider=cluster),
)
pulumi.export("allocations", egress.allocations)
pulumi.export("values", egress.values)
