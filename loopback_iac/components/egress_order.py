"""Addresses that a provider is asked for; each SDK loads only where one of its own is ordered."""

from collections.abc import Sequence

import pulumi

from loopback_iac.components.boundary import refuse_as_pulumi
from loopback_iac.components.egress_args import AddressOrderArgs
from loopback_iac.kube.pool_order import AddressOrder, KeptPool
from loopback_iac.model import InputRejected, Problem


def order_floating(
    name: str,
    pool: KeptPool,
    order: AddressOrder,
    given: AddressOrderArgs,
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[Sequence[str]]:
    """A floating IP of Hetzner, and where it leads at first.

    Out: its address, or its network of IPv6.
    """
    import pulumi_hcloud as hcloud  # noqa: PLC0415  # as said above

    made = hcloud.FloatingIp(
        name,
        name=name,
        type=order.family,
        home_location=order.location,
        description="egress",
        delete_protection=opts.protect,
        labels=pool.labels.by_name() | {"role": "egress"},
        # who holds it is nobody's input: a failover controller may move it
        opts=pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(ignore_changes=["serverId"])
        ),
    )
    if "server_id" in given:
        hcloud.FloatingIpAssignment(
            f"{name}-assignment",
            floating_ip_id=made.id.apply(int),
            server_id=pulumi.Output.from_input(given["server_id"]).apply(
                lambda text: _number(name, text)
            ),
            opts=pulumi.ResourceOptions(parent=opts.parent, ignore_changes=["serverId"]),
        )
    network = made.ip_network if order.family == "ipv6" else made.ip_address
    return network.apply(lambda address: [address])


def _number(name: str, text: str) -> int:
    """Raises: RejectedInputs for what is no number of a server."""

    def number() -> int:
        if str(text).isdecimal():
            return int(text)
        got, fix = f"{text!r} is no number of a server", "write what Hetzner shows as its ID"
        problem = Problem(f"{name}.server_id", got, "digits", fix, "server-number")
        raise InputRejected(name, (problem,))

    return refuse_as_pulumi(number)


def order_block(
    name: str, order: AddressOrder, opts: pulumi.ResourceOptions
) -> pulumi.Output[Sequence[str]]:
    """A block of IONOS.

    Out: its addresses.
    """
    from pulumi_ionoscloud import compute  # noqa: PLC0415  # as said above

    made = compute.IPBlock(name, name=name, location=order.location, size=order.size, opts=opts)
    return made.ips
