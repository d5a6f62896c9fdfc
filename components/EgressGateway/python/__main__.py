"""Two nodes that stand in for each other, and one that has an address for good."""

from pathlib import Path

import pulumi

from loopback_iac.components import EgressGateway

config = pulumi.Config()
# what stands in certificate-authority-data of your kubeconfig, decoded
CA = (Path(__file__).parent / "ca.pem").read_text()


def host(number: int, key: str) -> dict:
    """A node that runs already; output `host` of a HetznerHost will do as well."""
    found = {"ipv4": f"198.51.100.{number}", "host_key": f"ssh-ed25519 {key}"}
    return {"host": {**found, "ssh_private_key": config.require_secret("sshPrivateKey")}}


gateways = EgressGateway(
    "gateways",
    {
        "nodes": {
            "w1": host(21, "AAAAC3NzaC1lZDI1NTE5AAAAIGm3O6QVKcmWbx9fGxPnNqJtPBkYpU1Gxq1SVN5jyjyc"),
            "w2": host(22, "AAAAC3NzaC1lZDI1NTE5AAAAICGTFvcC4XjT8rvrbKe6BAgc6rmhJQxjyIpGqe0m4TLK"),
        },
        "groups": {
            "partners": {
                "addresses": ["203.0.113.20", "2001:db8:100::20"],
                "nodes": ["w1", "w2"],
                "policies": ["partners-v4", "partners-v6"],
            },
            "reports": {"addresses": ["203.0.113.21"], "nodes": ["w2"]},
        },
        "cluster": {
            "server": "https://198.51.100.10:6443",
            "ca_certificate": CA,
            "credential": config.require_secret("gatewayToken"),
        },
        "admin_sources": ["198.51.100.0/28"],
    },
)
pulumi.export("standing", gateways.standing)
