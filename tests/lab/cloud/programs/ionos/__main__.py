"""Servers at IONOS with a reserved address and rules on their card, from the configuration."""

import base64

import pulumi
from pulumi_ionoscloud import compute

config = pulumi.Config()
servers = {}


def firewalls(ports: list[str]) -> list[compute.ServerNicFirewallArgs]:
    """One rule per port and source."""
    return [
        compute.ServerNicFirewallArgs(
            name=f"{port}",
            protocol="TCP",
            port_range_start=int(port.partition("-")[0]),
            port_range_end=int(port.rpartition("-")[2]),
            source_ip=source,
            type="INGRESS",
        )
        for port in ports
        for source in config.require_object("sources")
        if ":" not in source
    ]


if config.get_bool("centre"):
    centre = compute.Datacenter(
        "centre", name="centre", location=config.get("location") or "de/txl"
    )
    lan = compute.Lan("public", name="public", datacenter_id=centre.id, public=True)
    for name, args in config.require_object("servers").items():
        block = compute.IPBlock(
            f"{name}-ip", name=f"{name}-ip", location=centre.location, size=args.get("ips", 1)
        )
        data = config.require_secret(f"userData-{args.get('data', 'first')}")
        servers[name] = compute.Server(
            name,
            name=name,
            hostname=name,
            datacenter_id=centre.id,
            type="VCPU",
            cores=args.get("cores", 2),
            ram=args.get("ram", 2048),
            image_name=args.get("image", "debian-13"),
            ssh_keys=[config.require("sshPublicKey")],
            allow_replace=args.get("replace", True),
            volume=compute.ServerVolumeArgs(
                name=f"{name}-disk",
                disk_type=args.get("disk", "SSD Standard"),
                size=20,
                user_data=data.apply(lambda text: base64.b64encode(text.encode()).decode()),
            ),
            nic=compute.ServerNicArgs(
                name="public",
                lan=lan.id.apply(int),
                dhcp=True,
                ips=[args["steal"]] if "steal" in args else block.ips,
                firewall_active=True,
                firewall_type="INGRESS",
                firewalls=firewalls(config.require_object("ports")),
            ),
        )
    pulumi.export("ids", {name: server.id for name, server in servers.items()})
    pulumi.export("ipv4", {name: server.primary_ip for name, server in servers.items()})
    pulumi.export("nics", {name: server.primary_nic for name, server in servers.items()})
    spare = config.get_object("spare")
    if spare:
        # the address that both cards have, and whose card the group names
        compute.IPFailover(
            "shared",
            datacenter_id=centre.id,
            lan_id=lan.id,
            ip=spare["ip"],
            nicuuid=servers[spare["at"]].primary_nic,
        )
