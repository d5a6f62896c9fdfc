"""A floating address of Hetzner Cloud; loaded only where one is declared."""

from collections.abc import Sequence

import pulumi
import pulumi_hcloud as hcloud

from loopback_iac.model import FailoverVip


def declare_address(
    parent: pulumi.ComponentResource, name: str, vip: FailoverVip
) -> hcloud.FloatingIp:
    """The floating IP; it outlives every server."""
    return hcloud.FloatingIp(
        f"{name}-ipv4",
        name=f"{name}-ipv4",
        type="ipv4",
        home_location=vip.location,
        description="moved by the arbiter",
        delete_protection=vip.protection,
        labels=vip.labels.by_name() | {"role": "failover"},
        opts=pulumi.ResourceOptions(
            parent=parent,
            protect=vip.protection,
            # who holds it is nobody's input: the arbiter moves it
            ignore_changes=["serverId"],
        ),
    )


def declare_assignment(
    parent: pulumi.ComponentResource,
    name: str,
    address: hcloud.FloatingIp,
    server: pulumi.Output[int],
    after: Sequence[pulumi.Resource],
) -> hcloud.FloatingIpAssignment:
    """Who holds the address at first; from then on the arbiter says, and an `up` does not.

    In: the number of the first member's server; what has to stand before traffic comes.
    """
    return hcloud.FloatingIpAssignment(
        f"{name}-ipv4-assignment",
        floating_ip_id=address.id.apply(int),
        server_id=server,
        opts=pulumi.ResourceOptions(
            parent=parent, ignore_changes=["serverId"], depends_on=list(after)
        ),
    )
