"""One anycast service on as many PoPs and workers as the configuration lists."""

import pulumi

from loopback_iac.components import AnycastEdge, BareMetalHost

config = pulumi.Config()
machines, links = config.require_object("machines"), config.require_object("links")
pops = list(links)[: config.get_int("pops")]
# what could be ordered at a cloud has a kind
workers = [name for name, told in machines.items() if name not in links and "kind" not in told]


def metal(name: str) -> BareMetalHost:
    """A machine of the lab."""
    return BareMetalHost(
        name, {**machines[name], "ssh_private_key": config.require_secret("sshPrivateKey")}
    )


def pop(number: int, name: str) -> dict:
    """A PoP at the lab's two upstreams."""
    md5 = config.require_secret(f"md5-{name}")
    ups = {up: {**facts, "md5": md5} for up, facts in links[name].items()}
    return {"host": metal(name).host, "node_id": number, "upstreams": ups}


service = {"vip": "www", "port": 443, "pool": "web", "worker_port": 8443}
if many := config.get_int("perClient"):
    service["limits"] = {"concurrent_per_client": many}
edge = AnycastEdge(
    "edge",
    {
        "asn": 64500,
        "admin_sources": config.require_object("adminSources"),
        "prefixes": {"v4": {"cidr": "203.0.113.0/24"}, "v6": {"cidr": "2001:db8:100::/48"}},
        "vips": {"www": {"addresses": ["203.0.113.10", "2001:db8:100::10"]}},
        "pops": {name: pop(number, name) for number, name in enumerate(pops, 1)},
        "pools": {
            "web": {
                "workers": {
                    name: {"host": metal(name).host, "node_id": number}
                    for number, name in enumerate(workers, 1)
                }
            }
        },
        "services": {"https": service},
        # peers neither drain nor wait: what is measured is the work, not the waiting
        "roll": {"drain_s": 0, "return_hold_s": 0},
    },
)
pulumi.export("hosts", edge.hosts)
