"""Two servers at Hetzner that stand in for each other; the arbiter stands at IONOS."""

import pulumi
import pulumi_hcloud as hcloud

from loopback_iac.components import HetznerHost, IonosHost, ProviderFailoverVip

config = pulumi.Config()
deploy = hcloud.SshKey("deploy", name="deploy", public_key=config.require("deployKey"))
common = {
    "role": "other",
    "admin_sources": config.require_object("adminSources"),
    "fleet_secret": config.require_secret("fleetSecret"),
    "ssh_private_key": config.require_secret("sshPrivateKey"),
    "protection": False,
}
served = {"ports": "8080", "sources": ["0.0.0.0/0", "::/0"], "because": "the service"}


def member(name: str) -> dict:
    """A server that may hold the address."""
    size = {"location": "fsn1", "server_type": "cx23", "ssh_key": deploy.id, "inbound": [served]}
    return {"name": name, "host": HetznerHost(name, {**common, **size}).host}


arbiter = IonosHost("arb", {**common, "location": "de/txl", "cores": 1, "ram_mb": 1024})
vip = ProviderFailoverVip(
    "www",
    {
        "provider": "hetzner",
        "location": "fsn1",
        "hosts": [member("m1"), member("m2")],
        "arbiter": arbiter.host,
        "check": {"port": 8080, "interval_ms": 300, "timeout_ms": 300, "rise": 2},
        "token": config.require_secret("arbiterToken"),
        "admin_sources": config.require_object("adminSources"),
        "protection": False,
        "endpoint": config.require("endpoint"),
        "ca_certificate": config.require("authority"),
    },
)
pulumi.export("address", vip.address)
pulumi.export("hosts", vip.hosts)
