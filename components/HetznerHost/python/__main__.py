"""Two servers of Hetzner Cloud that stand in for each other, ready to be workers."""

import pulumi
import pulumi_hcloud as hcloud

from loopback_iac.components import HetznerHost

config = pulumi.Config()
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm3O6QVKcmWbx9fGxPnNqJtPBkYpU1Gxq1SVN5jyjyc"

# what several hosts share is declared once and given by id
deploy = hcloud.SshKey("deploy", name="deploy", public_key=KEY)
spread = hcloud.PlacementGroup("workers", name="workers", type="spread")


def worker(name: str) -> HetznerHost:
    """A server that is closed but for SSH from the operators and tunnels."""
    return HetznerHost(
        name,
        {
            "location": "fsn1",
            "server_type": "cx33",
            "role": "worker",
            "admin_sources": ["198.51.100.0/28"],
            "fleet_secret": config.require_secret("fleetSecret"),
            "ssh_private_key": config.require_secret("sshPrivateKey"),
            "ssh_key": deploy.id,
            "placement_group_id": spread.id,
            "labels": {"owner": "team-edge", "environment": "prod", "criticality": "high"},
            "legal_owner": "Example Edge GmbH",
            "allowed_countries": ["DE", "FI"],
        },
    )


pulumi.export("hosts", {name: worker(name).host for name in ("h1", "h2")})
