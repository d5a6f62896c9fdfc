"""An anycast HTTPS service on two PoPs and two bare-metal workers."""

import pulumi

from loopback_iac.components import AnycastEdge, BareMetalHost

config = pulumi.Config()
machines = config.require_object(
    "machines"
)  # name -> addresses, host key, country, site, legal owner
links = config.require_object("links")  # pop -> upstream -> BGP facts from the carrier's order form


def metal(name: str) -> BareMetalHost:
    """A machine in our own rack, reached with the fleet's deploy key."""
    return BareMetalHost(
        name, {**machines[name], "ssh_private_key": config.require_secret("sshPrivateKey")}
    )


def pop(name: str, node_id: int) -> dict:
    """A PoP and its upstreams; one TCP-MD5 password per PoP."""
    md5 = config.require_secret(f"md5-{name}")
    return {
        "host": metal(name).host,
        "node_id": node_id,
        "upstreams": {up: {**facts, "md5": md5} for up, facts in links[name].items()},
    }


edge = AnycastEdge(
    "edge",
    {
        "asn": 64500,
        "admin_sources": config.require_object("adminSources"),
        "roll": config.get_object("roll") or {},  # drain_s, return_hold_s
        "tunnels": config.get_object("tunnels") or {},  # key_epochs
        "prefixes": {"v4": {"cidr": "203.0.113.0/24"}, "v6": {"cidr": "2001:db8:100::/48"}},
        "vips": {"www": {"addresses": ["203.0.113.10", "2001:db8:100::10"]}},
        "pops": {"fra1": pop("fra1", 1), "par1": pop("par1", 2)},
        "pools": {
            "web": {
                "workers": {
                    "w1": {"host": metal("w1").host, "node_id": 1},
                    "w2": {"host": metal("w2").host, "node_id": 2},
                }
            }
        },
        "services": {"https": {"vip": "www", "port": 443, "pool": "web", "worker_port": 8443}},
    },
)
pulumi.export("vips", edge.vips)
pulumi.export("pops", edge.pops)
pulumi.export("hosts", edge.hosts)
