"""The resources of one server of Hetzner Cloud; loaded only where one is declared."""

from typing import Any, NamedTuple

import pulumi
import pulumi_hcloud as hcloud

from loopback_iac.components import ordered
from loopback_iac.components.cloud_args import HetznerHostArgs
from loopback_iac.model import HetznerHost, HostKey, openings

# In place, both would switch the machine off in mid-traffic; replaced, it is drained first.
REPLACED_BY = ["serverType", "publicNets"]


class Machine(NamedTuple):
    """What was declared."""

    server: hcloud.Server
    addresses: dict[str, hcloud.PrimaryIp]
    """By family: `ipv4`, `ipv6`."""


class Order(NamedTuple):
    """What the parts of a machine are made from."""

    parent: pulumi.ComponentResource
    name: str
    args: HetznerHostArgs
    declared: HetznerHost

    @property
    def labels(self) -> dict[str, str]:
        """The operator's, and what the machine is for."""
        return self.declared.labels.by_name() | {"role": self.declared.role}

    def options(self, **more: Any) -> pulumi.ResourceOptions:  # noqa: ANN401  # Pulumi's own
        """A child of the component."""
        return pulumi.ResourceOptions(parent=self.parent, **more)


def declare_machine(order: Order, key: pulumi.Output[HostKey]) -> Machine:
    """Key, addresses, firewall and server."""
    addresses = _declare_addresses(order)
    return Machine(_declare_server(order, key, addresses), addresses)


def _declare_addresses(order: Order) -> dict[str, hcloud.PrimaryIp]:
    """Addresses stand beside the server and outlive it; another location has others."""
    host = order.declared
    return {
        family: hcloud.PrimaryIp(
            f"{order.name}-{family}",
            name=f"{order.name}-{family}",
            type=family,
            location=host.location,
            auto_delete=False,
            delete_protection=host.protection,
            labels=order.labels,
            # its name is taken while the old one stands
            opts=order.options(protect=host.protection, delete_before_replace=True),
        )
        for family in ("ipv4", "ipv6")
        if getattr(host, family)
    }


def _declare_firewall(order: Order) -> hcloud.Firewall:
    return hcloud.Firewall(
        f"{order.name}-firewall",
        name=f"{order.name}-firewall",
        labels=order.labels,
        rules=[
            hcloud.FirewallRuleArgs(
                direction="in",
                protocol=opening.protocol,
                port=opening.ports or None,
                source_ips=[str(network) for network in opening.sources],
                description=opening.title,
            )
            for opening in openings(order.declared)
        ],
        opts=order.options(),
    )


def _ssh_key(order: Order, deploy: pulumi.Output[str]) -> pulumi.Input[str]:
    """Without a key in the project Hetzner would mail a root password."""
    given = order.args.get("ssh_key")
    if given is not None:
        return given
    return hcloud.SshKey(
        f"{order.name}-ssh-key",
        name=f"{order.name}-deploy",
        public_key=deploy,
        labels=order.labels,
        opts=order.options(delete_before_replace=True),
    ).name


def _declare_server(
    order: Order, key: pulumi.Output[HostKey], addresses: dict[str, hcloud.PrimaryIp]
) -> hcloud.Server:
    host = order.declared
    deploy = ordered.deploy_line(order.args)
    group = order.args.get("placement_group_id")
    return hcloud.Server(
        f"{order.name}-server",
        name=order.name,
        server_type=host.server_type,
        image=host.image,
        location=host.location,
        user_data=ordered.user_data(order.name, key, deploy),
        ssh_keys=[_ssh_key(order, deploy)],
        public_nets=[
            hcloud.ServerPublicNetArgs(
                ipv4_enabled=host.ipv4,
                ipv4=_number(addresses["ipv4"].id) if host.ipv4 else None,
                ipv6_enabled=host.ipv6,
                ipv6=_number(addresses["ipv6"].id) if host.ipv6 else None,
            )
        ],
        networks=_networks(order),
        firewall_ids=[_number(_declare_firewall(order).id)],
        placement_group_id=None if group is None else _number(group),
        labels=order.labels,
        delete_protection=host.protection,
        rebuild_protection=host.protection,
        # no shutdown before deletion: of a protected server it would be all that is done
        opts=order.options(
            protect=host.protection,
            # the old server holds the addresses
            delete_before_replace=True,
            replace_on_changes=REPLACED_BY,
            additional_secret_outputs=["userData"],
        ),
    )


def _networks(order: Order) -> list[hcloud.ServerNetworkArgs] | None:
    network = order.declared.private_network
    if network is None:
        return None
    subnet = order.args["private_network"]["subnet_id"]
    ip = None if network.ip is None else str(network.ip)
    # without aliases the provider would attach it anew at each run
    return [hcloud.ServerNetworkArgs(subnet_id=subnet, ip=ip, alias_ips=[])]


def _number(identity: pulumi.Input[str]) -> pulumi.Output[int]:
    """Ids are strings in Pulumi and numbers at Hetzner."""
    return pulumi.Output.from_input(identity).apply(int)
