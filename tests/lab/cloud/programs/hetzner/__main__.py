"""Servers at Hetzner behind a firewall, from the stack's configuration."""

import pulumi
import pulumi_hcloud as hcloud

config = pulumi.Config()
key = hcloud.SshKey("ops", name="ops", public_key=config.require("sshPublicKey"))
admin = hcloud.Firewall(
    "admin",
    name="admin",
    rules=[
        hcloud.FirewallRuleArgs(
            direction="in", protocol="tcp", port=port, source_ips=config.require_object("sources")
        )
        for port in config.require_object("ports")
    ],
)
servers = {}
office = config.get_object("office") or {}
if office:
    network = hcloud.Network("office", name="office", ip_range="10.5.0.0/16")
    subnet = hcloud.NetworkSubnet(
        "office",
        network_id=network.id.apply(int),
        type="cloud",
        network_zone="eu-central",
        ip_range="10.5.1.0/24",
    )
stolen = {name: int(ip) for name, ip in (config.get_object("stolen") or {}).items()}
for name, args in config.require_object("servers").items():
    ip = hcloud.PrimaryIp(
        f"{name}-v4", name=f"{name}-v4", type="ipv4", location=args.get("location", "nbg1")
    )
    net = hcloud.PrimaryIp(
        f"{name}-v6", name=f"{name}-v6", type="ipv6", location=args.get("location", "nbg1")
    )
    servers[name] = hcloud.Server(
        name,
        name=name,
        server_type=args.get("type", "cx23"),
        image=args.get("image", "debian-13"),
        location=args.get("location", "nbg1"),
        ssh_keys=[key.name],
        user_data=config.require_secret(f"userData-{args.get('data', 'first')}"),
        public_nets=[
            hcloud.ServerPublicNetArgs(ipv4_enabled=False, ipv6=net.id.apply(int))
            if args.get("only_v6")
            else hcloud.ServerPublicNetArgs(
                ipv4=stolen.get(name) or ip.id.apply(int), ipv6=net.id.apply(int)
            )
        ],
        networks=[hcloud.ServerNetworkArgs(subnet_id=subnet.id, ip=office[name], alias_ips=[])]
        if name in office
        else None,
        firewall_ids=[admin.id.apply(int)],
        labels=args.get("labels", {"owner": "edge-team"}),
    )
if config.get_bool("volume"):
    hcloud.Volume("disk", size=10, location="nbg1")
floating = config.get("floating")
if floating:
    shared = hcloud.FloatingIp("shared", name="shared", type="ipv4", home_location="nbg1")
    hcloud.FloatingIpAssignment(
        "shared", floating_ip_id=shared.id.apply(int), server_id=servers[floating].id.apply(int)
    )
    pulumi.export("floating", shared.ip_address)
pulumi.export("ids", {name: server.id for name, server in servers.items()})
pulumi.export("ipv4", {name: server.ipv4_address for name, server in servers.items()})
pulumi.export("ipv6", {name: server.ipv6_address for name, server in servers.items()})
