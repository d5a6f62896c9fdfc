"""An address at Hetzner that two servers stand in for; the arbiter stands at IONOS."""

import pulumi
import pulumi_hcloud as hcloud

from loopback_iac.components import HetznerHost, IonosHost, ProviderFailoverVip

config = pulumi.Config()
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm3O6QVKcmWbx9fGxPnNqJtPBkYpU1Gxq1SVN5jyjyc"
ADMINS = ["198.51.100.0/28"]

deploy = hcloud.SshKey("deploy", name="deploy", public_key=KEY)
spread = hcloud.PlacementGroup("members", name="members", type="spread")
common = {
    "role": "other",
    "admin_sources": ADMINS,
    "fleet_secret": config.require_secret("fleetSecret"),
    "ssh_private_key": config.require_secret("sshPrivateKey"),
}
https = {"ports": "443", "sources": ["0.0.0.0/0"], "because": "the service, and the arbiter"}


def member(name: str) -> dict:
    """A server with your own HAProxy or Traefik on it, which listens on all addresses."""
    order = {"location": "fsn1", "server_type": "cx33", "inbound": [https]}
    order |= {"ssh_key": deploy.id, "placement_group_id": spread.id}
    return {"name": name, "host": HetznerHost(name, {**common, **order}).host}


arbiter = IonosHost("arbiter", {**common, "location": "de/txl", "cores": 1, "ram_mb": 1024})
vip = ProviderFailoverVip(
    "www",
    {
        "provider": "hetzner",
        "location": "fsn1",
        "hosts": [member("h1"), member("h2")],
        "arbiter": arbiter.host,
        "check": {"port": 443},
        "token": config.require_secret("arbiterToken"),
        "admin_sources": ADMINS,
        "labels": {"owner": "team-web", "environment": "prod"},
    },
)
pulumi.export("address", vip.address)
pulumi.export("hosts", vip.hosts)
