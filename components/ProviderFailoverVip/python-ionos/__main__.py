"""An address at IONOS that two servers stand in for; the arbiter stands at Hetzner."""

import pulumi
from pulumi_ionoscloud import compute

from loopback_iac.components import HetznerHost, IonosHost, ProviderFailoverVip

config = pulumi.Config()
ADMINS = ["198.51.100.0/28"]
common = {
    "role": "other",
    "admin_sources": ADMINS,
    "fleet_secret": config.require_secret("fleetSecret"),
    "ssh_private_key": config.require_secret("sshPrivateKey"),
}
https = {"ports": "443", "sources": ["0.0.0.0/0"], "because": "the service, and the arbiter"}
told = {"ports": "8474", "sources": ["0.0.0.0/0"], "because": "the arbiter says who holds it"}

# one LAN: an address moves between the cards in it
centre = compute.Datacenter("www", name="www", location="de/txl")
lan = compute.Lan("www", name="www", datacenter_id=centre.id, public=True)


def member(name: str, zone: str, **address: pulumi.Input[object]) -> IonosHost:
    """A server with your own HAProxy or Traefik on it, which listens on all addresses."""
    order = {"location": "de/txl", "datacenter_id": centre.id, "lan_id": lan.id}
    order |= {"cores": 2, "ram_mb": 4096, "availability_zone": zone, "inbound": [https, told]}
    order |= {"ipv6": False}  # a LAN that hosts share has none here
    return IonosHost(name, {**common, **order, **address})


first = member("h1", "ZONE_1", failover=True)
second = member("h2", "ZONE_2", failover_ipv4=first.card["failover_ipv4"])
arbiter = HetznerHost("arbiter", {**common, "location": "fsn1", "server_type": "cx23"})
vip = ProviderFailoverVip(
    "www",
    {
        "provider": "ionos",
        "location": "de/txl",
        "hosts": [
            {"name": "h1", "host": first.host, "card": first.card},
            {"name": "h2", "host": second.host, "card": second.card},
        ],
        "arbiter": arbiter.host,
        "check": {"port": 443},
        "token": config.require_secret("arbiterToken"),
        "admin_sources": ADMINS,
    },
)
pulumi.export("address", vip.address)
pulumi.export("hosts", vip.hosts)
