"""Two servers of IONOS Cloud in different availability zones, ready to be workers."""

import pulumi
from pulumi_ionoscloud import compute

from loopback_iac.components import IonosHost

config = pulumi.Config()

# zones keep servers apart within one data centre only
centre = compute.Datacenter("workers", name="workers", location="de/txl")


def worker(name: str, zone: str) -> IonosHost:
    """A server that is closed but for SSH from the operators and tunnels."""
    return IonosHost(
        name,
        {
            "location": "de/txl",
            "datacenter_id": centre.id,
            "availability_zone": zone,
            "cores": 2,
            "ram_mb": 4096,
            "role": "worker",
            "admin_sources": ["198.51.100.0/28"],
            "fleet_secret": config.require_secret("fleetSecret"),
            "ssh_private_key": config.require_secret("sshPrivateKey"),
            "labels": {"owner": "team-edge", "environment": "prod", "criticality": "high"},
            "legal_owner": "Example Edge GmbH",
            "allowed_countries": ["DE", "FR"],
        },
    )


zones = {"i1": "ZONE_1", "i2": "ZONE_2"}
pulumi.export("hosts", {name: worker(name, zone).host for name, zone in zones.items()})
