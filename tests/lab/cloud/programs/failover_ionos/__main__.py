"""Two servers at IONOS that stand in for each other; the arbiter stands at Hetzner."""

import pulumi
from pulumi_ionoscloud import compute

from loopback_iac.components import HetznerHost, IonosHost, ProviderFailoverVip

config = pulumi.Config()
common = {
    "role": "other",
    "admin_sources": config.require_object("adminSources"),
    "fleet_secret": config.require_secret("fleetSecret"),
    "ssh_private_key": config.require_secret("sshPrivateKey"),
    "protection": False,
}
served = {"ports": "8080", "sources": ["0.0.0.0/0"], "because": "the service"}
told = {"ports": "8474", "sources": ["0.0.0.0/0"], "because": "the arbiter says who holds it"}
centre = compute.Datacenter("www", name="www", location="de/txl")
lan = compute.Lan("www", name="www", datacenter_id=centre.id, public=True)
size = {"location": "de/txl", "cores": 1, "ram_mb": 1024, "inbound": [served, told]}
size |= {"datacenter_id": centre.id, "lan_id": lan.id}
first = IonosHost("m1", {**common, **size, "availability_zone": "ZONE_1", "failover": True})
shared = {"availability_zone": "ZONE_2", "failover_ipv4": first.card["failover_ipv4"]}
second = IonosHost("m2", {**common, **size, **shared})
arbiter = HetznerHost("arb", {**common, "location": "fsn1", "server_type": "cx23"})
vip = ProviderFailoverVip(
    "www",
    {
        "provider": "ionos",
        "location": "de/txl",
        "hosts": [
            {"name": "m1", "host": first.host, "card": first.card},
            {"name": "m2", "host": second.host, "card": second.card},
        ],
        "arbiter": arbiter.host,
        "check": {"port": 8080, "interval_ms": 300, "timeout_ms": 300, "rise": 2},
        "token": config.require_secret("arbiterToken"),
        "admin_sources": config.require_object("adminSources"),
        "endpoint": config.require("endpoint"),
        "ca_certificate": config.require("authority"),
    },
)
pulumi.export("address", vip.address)
pulumi.export("hosts", vip.hosts)
