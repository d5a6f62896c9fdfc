"""One machine of your own, ready to be a PoP or a worker."""

import pulumi

from loopback_iac.components import BareMetalHost

config = pulumi.Config()
KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIGm3O6QVKcmWbx9fGxPnNqJtPBkYpU1Gxq1SVN5jyjyc"

metal = BareMetalHost(
    "fra1",
    {
        "ipv4": "198.18.1.11",
        "ipv6": "2001:db8:1::11",
        "host_key": f"ssh-ed25519 {KEY}",
        "instance_id": "serial-0815",
        "ssh_private_key": config.require_secret("sshPrivateKey"),
        "provider": "own-metal",
        "legal_owner": "Example Edge GmbH",
        "country": "DE",
        "site": "fra-example-1",
        "failure_domains": ["rack-12", "feed-a"],
    },
)
pulumi.export("host", metal.host)
