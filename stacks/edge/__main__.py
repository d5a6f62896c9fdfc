"""An anycast HTTPS service on PoPs and workers at Hetzner, at IONOS and on own metal."""

from functools import cache

import pulumi

from loopback_iac.components import AnycastEdge, BareMetalHost, HetznerHost, HostBaseline, IonosHost

config = pulumi.Config()
machines = config.require_object("machines")  # name -> kind: metal, hetzner, ionos; what it takes
links = config.require_object("links")  # pop -> upstream -> BGP facts from the carrier's order form
pops = config.require_object("pops")  # name -> node_id
workers = config.require_object("workers")  # name -> node_id, weight, drained
HTTPS = {"vip": "www", "port": 443, "pool": "web", "worker_port": 8443}


@cache
def deploy_key() -> pulumi.Output[str]:
    """The deploy key in the project at Hetzner, which takes each key once."""
    import pulumi_hcloud as hcloud  # noqa: PLC0415 - a fleet without Hetzner does not load it

    return hcloud.SshKey("deploy", public_key=config.require("deployKey")).id


def host(name: str, role: str) -> pulumi.Output:
    """A machine; its output `host` does not say who sold it."""
    given = dict(machines[name])
    kind = given.pop("kind", "metal")
    given["ssh_private_key"] = config.require_secret("sshPrivateKey")
    if kind == "metal":
        return BareMetalHost(name, given).host
    given |= {
        "role": role,
        "admin_sources": config.require_object("adminSources"),
        "fleet_secret": config.require_secret("fleetSecret"),
    }
    if kind == "ionos":
        return IonosHost(name, given).host
    return HetznerHost(name, {**given, "ssh_key": deploy_key()}).host


def session(pop: str, facts: dict) -> dict:
    """A BGP session; one TCP-MD5 password per PoP, unless the form says why there is none."""
    if "md5_waived_because" in facts:
        return facts
    return {**facts, "md5": config.require_secret(f"md5-{pop}")}


def pop(name: str) -> dict:
    """A PoP and its upstreams."""
    ups = {up: session(name, facts) for up, facts in links[name].items()}
    return {**pops[name], "host": host(name, "pop"), "upstreams": ups}


def kept() -> dict:
    """What every host keeps beside its work, where the configuration has it."""
    told = config.get_object("baseline")
    if told is None:
        return {}
    for sink in told["logs"]["sinks"].values():
        if "client_certificate" in sink:
            sink["client_key"] = config.require_secret("logKey")
    return {"baseline": HostBaseline("baseline", told).baseline}


edge = AnycastEdge(
    "edge",
    {
        "asn": 64500,
        "admin_sources": config.require_object("adminSources"),
        "roll": config.get_object("roll") or {},  # drain_s, return_hold_s
        "tunnels": config.get_object("tunnels") or {},  # key_epochs
        "prefixes": {"v4": {"cidr": "203.0.113.0/24"}, "v6": {"cidr": "2001:db8:100::/48"}},
        "vips": {"www": {"addresses": ["203.0.113.10", "2001:db8:100::10"]}},
        "pops": {name: pop(name) for name in pops},
        "pools": {
            "web": {"workers": {n: {**w, "host": host(n, "worker")} for n, w in workers.items()}}
        },
        "services": config.get_object("services") or {"https": HTTPS},
        "egress": config.get_object("egress") or {},  # name -> addresses, workers
        **kept(),
    },
)
pulumi.export("vips", edge.vips)
pulumi.export("pops", edge.pops)
pulumi.export("pools", edge.pools)
pulumi.export("standing", edge.standing)
pulumi.export("hosts", edge.hosts)
pulumi.export("bgp_tunnels", edge.bgp_tunnels)
