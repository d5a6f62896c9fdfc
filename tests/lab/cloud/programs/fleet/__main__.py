"""A PoP and a worker, each ordered at the cloud that the stack's configuration names."""

import pulumi
import pulumi_hcloud as hcloud

from loopback_iac.components import AnycastEdge, HetznerHost, IonosHost

config = pulumi.Config()
clouds = config.require_object("clouds")  # machine -> hetzner or ionos
more = config.get_object("more") or {}  # machine -> args that differ from those below
deploy = hcloud.SshKey("deploy", name="deploy", public_key=config.require("deployKey"))


def ordered(name: str, role: str) -> pulumi.Output:
    """A machine of one role; its output `host` does not say who sold it."""
    args = {
        "role": role,
        "admin_sources": config.require_object("adminSources"),
        "fleet_secret": config.require_secret("fleetSecret"),
        "ssh_private_key": config.require_secret("sshPrivateKey"),
        "protection": False,
    }
    if clouds[name] == "ionos":
        size = {"location": "de/txl", "cores": 2, "ram_mb": 2048}
        return IonosHost(name, {**args, **size, **more.get(name, {})}).host
    size = {"location": "fsn1", "server_type": "cx23", "ssh_key": deploy.id}
    return HetznerHost(name, {**args, **size, **more.get(name, {})}).host


# no BGP session is sold here: BGP over WireGuard with a router elsewhere
upstream = {
    **config.require_object("upstream"),
    "md5_waived_because": "WireGuard authenticates both ends",
}
edge = AnycastEdge(
    "small",
    {
        "asn": 64500,
        "admin_sources": config.require_object("adminSources"),
        "roll": {"drain_s": 1, "return_hold_s": 1},
        "prefixes": {"v4": {"cidr": "203.0.113.0/24"}, "v6": {"cidr": "2001:db8:100::/48"}},
        "vips": {"www": {"addresses": ["203.0.113.10", "2001:db8:100::10"]}},
        "pops": {"cp": {"host": ordered("cp", "pop"), "node_id": 9, "upstreams": {"t2": upstream}}},
        "pools": {"web": {"workers": {"cw": {"host": ordered("cw", "worker"), "node_id": 9}}}},
        "services": {"https": {"vip": "www", "port": 443, "pool": "web", "worker_port": 8443}},
    },
)
pulumi.export("hosts", edge.hosts)
pulumi.export("bgp_tunnels", edge.bgp_tunnels)
