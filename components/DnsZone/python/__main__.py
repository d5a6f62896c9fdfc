"""A zone that a hidden primary signs, held by Hetzner, by IONOS and by one's own name server."""

import pulumi

from loopback_iac.components import BareMetalHost, DnsZone, HiddenPrimary

config = pulumi.Config()
KEYS = {
    "sign": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm3O6QVKcmWbx9fGxPnNqJtPBkYpU1Gxq1SVN5jyjyc",
    "fra1": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICGTFvcC4XjT8rvrbKe6BAgc6rmhJQxjyIpGqe0m4TLK",
}
RECORDS = {
    "@": {
        "NS": [
            "ns1",
            "hydrogen.ns.hetzner.com.",
            *(f"nscs.ui-dns.{tld}." for tld in ("com", "de", "org", "biz")),
        ]
    },
    "ns1": {"A": ["192.0.2.53"]},
    "www": {"A": ["203.0.113.10"]},
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
        "servers": {"fra1": {"host": metal("fra1", "192.0.2.53")}},
        # where their transfers come from is in their documents; these are documentation addresses
        "operators": {
            "hetzner": {"addresses": ["192.0.2.101"]},
            "ionos": {
                "addresses": ["192.0.2.102"],
                "tsig_waived_because": "IONOS' secondary zones have no key",
            },
        },
        "zones": {"example.net": {"records": RECORDS}},
    },
)
zone = DnsZone(
    "example-net",
    {
        "zone": "example.net",
        "records": RECORDS,
        "transfers": dns.transfers,
        "operators": {
            "own-anycast": {},
            "hetzner": {},
            "ionos": {"token": config.require_secret("ionosToken")},
        },
        "parent": {"addresses": ["192.0.2.200"]},
    },
)
pulumi.export("name_servers", zone.name_servers)
