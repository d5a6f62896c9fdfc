"""Two zones on two name servers of one's own; the host that signs them is seen by nobody."""

import pulumi

from loopback_iac.components import BareMetalHost, HiddenPrimary

config = pulumi.Config()
KEYS = {
    "sign": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm3O6QVKcmWbx9fGxPnNqJtPBkYpU1Gxq1SVN5jyjyc",
    "fra1": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICGTFvcC4XjT8rvrbKe6BAgc6rmhJQxjyIpGqe0m4TLK",
    "par1": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH0xJq0VQ2xk4z5Z0kq8E2cB6W8nTz2vQyW1hDk6m3aR",
}


def metal(name: str, ipv4: str) -> pulumi.Output:
    """A machine that already runs Debian 13."""
    key = config.require_secret("sshPrivateKey")
    order = {"ipv4": ipv4, "host_key": KEYS[name], "ssh_private_key": key}
    return BareMetalHost(name, order).host


dns = HiddenPrimary(
    "dns",
    {
        "host": metal("sign", "198.51.100.53"),
        "admin_sources": ["198.51.100.0/28"],
        "transfer_secret": config.require_secret("transferSecret"),
        "servers": {
            "fra1": {"host": metal("fra1", "192.0.2.53")},
            "par1": {"host": metal("par1", "203.0.113.53"), "software": "nsd"},
        },
        "zones": {
            "example.net": {
                "records": {
                    "@": {"NS": ["ns1", "ns2"], "TXT": ["v=spf1 -all"]},
                    "ns1": {"A": ["192.0.2.53"]},
                    "ns2": {"A": ["203.0.113.53"]},
                    "www": {"A": ["203.0.113.10"]},
                }
            },
            "example.org": {
                "text": "@ NS ns1.example.net.\n@ NS ns2.example.net.\nwww 300 A 203.0.113.10\n"
            },
        },
    },
)
pulumi.export("zones", dns.zones)
pulumi.export("hosts", dns.hosts)
