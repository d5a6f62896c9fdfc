"""One PoP with one upstream, one worker, HTTPS on one anycast address per family."""

import pulumi

from loopback_iac.components import AnycastEdge, BareMetalHost

config = pulumi.Config()


def metal(name: str, ipv4: str, key: str) -> BareMetalHost:
    """A machine that answers SSH; its host key is pinned."""
    return BareMetalHost(
        name,
        {
            "ipv4": ipv4,
            "host_key": f"ssh-ed25519 {key}",
            "ssh_private_key": config.require_secret("sshPrivateKey"),
        },
    )


fra1 = metal(
    "fra1", "198.18.1.11", "AAAAC3NzaC1lZDI1NTE5AAAAIGm3O6QVKcmWbx9fGxPnNqJtPBkYpU1Gxq1SVN5jyjyc"
)
w1 = metal(
    "w1", "198.18.11.21", "AAAAC3NzaC1lZDI1NTE5AAAAILfb8PPGsFlMtyR7MZhR1vrXBYU+UqJr1zaAkmHhFGQd"
)

edge = AnycastEdge(
    "edge",
    {
        "asn": 64500,
        "admin_sources": ["198.18.251.2/32"],
        "prefixes": {"v4": {"cidr": "203.0.113.0/24"}, "v6": {"cidr": "2001:db8:100::/48"}},
        "vips": {"www": {"addresses": ["203.0.113.10", "2001:db8:100::10"]}},
        "pops": {
            "fra1": {
                "host": fra1.host,
                "node_id": 1,
                "upstreams": {
                    "t1": {
                        "asn": 64496,
                        "interface": "eth1",
                        "local_v4": "192.0.2.1",
                        "neighbor_v4": "192.0.2.0",
                        "local_v6": "2001:db8:ff::1",
                        "neighbor_v6": "2001:db8:ff::",
                        "md5": config.require_secret("md5-fra1-t1"),
                    }
                },
            }
        },
        "pools": {"web": {"workers": {"w1": {"host": w1.host, "node_id": 1}}}},
        "services": {"https": {"vip": "www", "port": 443, "pool": "web", "worker_port": 8443}},
    },
)
pulumi.export("vips", edge.vips)
pulumi.export("hosts", edge.hosts)
