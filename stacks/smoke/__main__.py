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
    smallest = {"location": "de/txl", "cores": 1, "ram_mb": 1024, "disk_gb": 10}
    host = IonosHost(NAME, {**smallest, **EVERY}).host
pulumi.export("host", host)
