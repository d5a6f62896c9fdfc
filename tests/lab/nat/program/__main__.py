"""One PoP and workers behind somebody's router; how each is reached stands in the configuration."""

import pulumi

from loopback_iac.components import AnycastEdge, BareMetalHost

config = pulumi.Config()
machines = config.require_object("machines")
workers = config.require_object("workers")


def host(name: str) -> pulumi.Output:
    key = config.require_secret("sshPrivateKey")
    return BareMetalHost(name, {**machines[name], "ssh_private_key": key}).host


upstream = {
    "asn": 64496,
    "interface": "lo",  # no router answers there: the session stays down
    "local_v4": "192.0.2.131",
    "neighbor_v4": "192.0.2.130",
    "md5_waived_because": "no router answers",
    "blackhole_waived_because": "no router answers",
}
roa = {"asn": 8560, "valid_on": "2020-01-01"}
provider = {"asn": 8560, "asn_source": "its page", "announced_by": "provider", "roa": roa}
ours = {"asn": 64500, "roa": {"asn": 64500, "valid_on": "2020-01-01"}}
owned = {"origin": "byoip", "holder": "Example Edge GmbH"}
brought = owned | {"origins": {"provider": provider}}
https = {"port": 443, "pool": "web", "worker_port": 8443}
edge = AnycastEdge(
    "rack",
    {
        "asn": 64500,
        "admin_sources": config.require_object("adminSources"),
        "roll": {"drain_s": 0, "return_hold_s": 0},
        "tunnels": {"key_epochs": config.require_object("epochs")},
        # clients come by the provider's own routes, for which a route of the core stands
        "prefixes": {
            "v4": {"cidr": "203.0.113.0/24", **brought},
            "v6": {"cidr": "2001:db8:100::/48", **brought},
            "own": {"cidr": "203.0.112.0/24", **owned, "origins": {"ours": ours}},
        },
        "vips": {
            "www": {"addresses": ["203.0.113.77", "2001:db8:100::77"]},
            "own": {"addresses": ["203.0.112.77"]},
        },
        "pops": {"x1": {"host": host("x1"), "node_id": 9, "upstreams": {"t9": upstream}}},
        "pools": {"web": {"workers": {n: {**w, "host": host(n)} for n, w in workers.items()}}},
        "services": {"www": {"vip": "www", **https}, "own": {"vip": "own", **https}},
    },
)
pulumi.export("hosts", edge.hosts)
