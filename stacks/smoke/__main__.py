"""The smallest host that a cloud sells; run.py orders it, looks at it and removes it."""

import pulumi

from loopback_iac.components import HetznerHost, IonosHost

config = pulumi.Config()
EVERY = {
    "role": "worker",
    "admin_sources": config.require_object("adminSources"),
    "fleet_secret": config.require_secret("fleetSecret"),
    "ssh_private_key": config.require_secret("sshPrivateKey"),
    "protection": False,
    "labels": {"service": "loopback-smoke"},
    **(config.get_object("more") or {}),
}
NAME = "loopback-smoke"

if config.require("cloud") == "hetzner":
    smallest = {"location": "nbg1", "server_type": "cx23"}
    host = HetznerHost(NAME, {**smallest, **EVERY}).host
else:
    from pulumi_ionoscloud import compute  # the SDK of a cloud loads only where it is used

    centre = compute.Datacenter(NAME, name=NAME, location="de/txl")
    lan = compute.Lan(f"{NAME}-inside", name=f"{NAME}-inside", datacenter_id=centre.id)
    smallest = {
        "location": "de/txl",
        "cores": 1,
        "ram_mb": 1024,
        "disk_gb": 10,
        "ipv6": True,
        "datacenter_id": centre.id,
        "private_network": {"lan_id": lan.id, "ip": config.require("private")},
    }
    host = IonosHost(NAME, {**smallest, **EVERY}).host
pulumi.export("host", host)
