"""The resources of one server of IONOS Cloud; loaded only where one is declared."""

import base64
from typing import Any, NamedTuple

import pulumi
from pulumi_ionoscloud import compute

from loopback_iac.components import ordered
from loopback_iac.components.cloud_args import IonosHostArgs
from loopback_iac.model import HostKey, IonosHost, Opening, openings


class Machine(NamedTuple):
    """What was declared."""

    server: compute.Server
    block: compute.IPBlock


class Order(NamedTuple):
    """What the parts of a machine are made from."""

    parent: pulumi.ComponentResource
    name: str
    args: IonosHostArgs
    declared: IonosHost

    def options(self, **more: Any) -> pulumi.ResourceOptions:  # noqa: ANN401  # Pulumi's own
        """A child of the component."""
        return pulumi.ResourceOptions(parent=self.parent, **more)


def declare_machine(order: Order, key: pulumi.Output[HostKey]) -> Machine:
    """Data centre, LAN, reserved address and server."""
    host = order.declared
    block = compute.IPBlock(
        f"{order.name}-ipv4",
        name=f"{order.name}-ipv4",
        location=host.location,
        size=1,
        opts=order.options(protect=host.protection),
    )
    centre = _datacenter_id(order)
    lan = compute.Lan(
        f"{order.name}-lan",
        name=f"{order.name}-lan",
        datacenter_id=centre,
        public=True,
        opts=order.options(),
    )
    return Machine(_declare_server(order, key, centre, lan, block), block)


def _datacenter_id(order: Order) -> pulumi.Input[str]:
    given = order.args.get("datacenter_id")
    if given is not None:
        return given
    return compute.Datacenter(
        f"{order.name}-datacenter",
        name=order.name,
        location=order.declared.location,
        description=f"{order.declared.role} {order.name}",
        # whoever deletes it deletes what stands in it
        opts=order.options(protect=order.declared.protection),
    ).id


def _declare_server(
    order: Order,
    key: pulumi.Output[HostKey],
    centre: pulumi.Input[str],
    lan: compute.Lan,
    block: compute.IPBlock,
) -> compute.Server:
    host = order.declared
    deploy = ordered.deploy_line(order.args)
    labels = host.labels.by_name() | {"role": host.role}
    told = ordered.user_data(order.name, key, deploy)
    return compute.Server(
        f"{order.name}-server",
        name=order.name,
        hostname=order.name,
        datacenter_id=centre,
        type=host.server_type,
        cores=host.cores,
        ram=host.ram_mb,
        availability_zone=host.availability_zone,
        image_name=host.image,
        ssh_keys=[deploy],
        # without it the provider refuses to replace a server at all
        allow_replace=True,
        volume=compute.ServerVolumeArgs(
            name=f"{order.name}-disk",
            disk_type=host.disk_type,
            size=host.disk_gb,
            user_data=told.apply(lambda text: base64.b64encode(text.encode()).decode()),
        ),
        nic=compute.ServerNicArgs(
            name=f"{order.name}-public",
            lan=lan.id.apply(int),
            dhcp=True,
            ips=block.ips,
            firewall_active=True,
            firewall_type="INGRESS",
            firewalls=[rule for opening in openings(host) for rule in _rules(opening)],
        ),
        labels=[compute.ServerLabelArgs(key=k, value=v) for k, v in sorted(labels.items())],
        opts=order.options(
            protect=host.protection,
            # the old server holds the address
            delete_before_replace=True,
            additional_secret_outputs=["volume"],
        ),
    )


def _rules(opening: Opening) -> list[compute.ServerNicFirewallArgs]:
    """A rule per IPv4 network, as a rule takes one source; from anywhere it takes none."""
    sources = [network for network in opening.sources if network.version == 4]
    return [
        compute.ServerNicFirewallArgs(
            name=opening.title if len(sources) == 1 else f"{opening.title} {number}",
            protocol=opening.protocol.upper(),
            port_range_start=opening.first_port,
            port_range_end=opening.last_port,
            source_ip=None if network.prefixlen == 0 else _source(str(network)),
            type="INGRESS",
        )
        for number, network in enumerate(sources, 1)
    ]


def _source(network: str) -> str:
    """One address bare, as the API's examples have it; a network with its length."""
    return network.removesuffix("/32")
