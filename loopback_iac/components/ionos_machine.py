"""The resources of one server of IONOS Cloud; loaded only where one is declared."""

import base64
from collections.abc import Iterator
from ipaddress import IPv6Network
from typing import Any, NamedTuple, cast

import pulumi
from pulumi.output import UNKNOWN
from pulumi_ionoscloud import compute

from loopback_iac.components import ordered
from loopback_iac.components.cloud_args import CardRef, IonosHostArgs
from loopback_iac.model import HostKey, IonosHost, Opening, openings
from loopback_iac.render import OwnAddresses, private_mac

# The public card's /80 in the LAN's /64, and the machine's address in it, as the examples of
# terraform-provider-ionoscloud docs/resources/server.md number them; chosen here, they outlive the
# server. What the API chose would be another with each card.
_CARD, _HOST = 1, 10
# What a private LAN of IONOS has: `ipv4_cidr_block` of a LAN
_PRIVATE_LENGTH = 24
# A rule that names no address passes IPv4 alone (model_firewallrule_properties.go of the API's SDK,
# ipVersion), so "from anywhere" has to name IPv6: all of what the Internet uses (RFC 4291 2.4)
_ANYBODY6 = "2000::/3"
# neighbours and the router's advertisements (RFC 4861 4.2, 4.3)
_LINK6 = "fe80::/10"


class Machine(NamedTuple):
    """What was declared."""

    server: compute.Server
    block: compute.IPBlock
    ipv6: pulumi.Output[str] | None
    """Its address, when it has one."""
    cards: list[compute.Nic]
    """Cards beside the one that came with the server."""
    card: pulumi.Output[CardRef]
    """The one that came with it, for who stands in for others."""


class Order(NamedTuple):
    """What the parts of a machine are made from."""

    parent: pulumi.ComponentResource
    name: str
    args: IonosHostArgs
    declared: IonosHost

    def options(self, **more: Any) -> pulumi.ResourceOptions:  # noqa: ANN401  # Pulumi's own
        """A child of the component."""
        return pulumi.ResourceOptions(parent=self.parent, **more)


class Place(NamedTuple):
    """Where the server's own card is plugged in."""

    centre: pulumi.Input[str]
    lan: pulumi.Input[str]
    block: compute.IPBlock
    shared: pulumi.Input[str] | None
    """The failover address that it carries beside its own."""
    card6: pulumi.Output[str] | None
    """Its IPv6 network, a /80."""
    ipv6: pulumi.Output[str] | None


def declare_machine(order: Order, key: pulumi.Output[HostKey]) -> Machine:
    """Data centre, LAN, reserved address, server and its card in a private LAN."""
    host = order.declared
    block = compute.IPBlock(
        f"{order.name}-ipv4",
        name=f"{order.name}-ipv4",
        location=host.location,
        size=1,
        opts=order.options(protect=host.protection),
    )
    place = _declare_place(order, block)
    server = _declare_server(order, key, place)
    cards = _declare_private_card(order, place.centre, server)
    return Machine(server, block, place.ipv6, cards, _card(order, place, server))


def _declare_place(order: Order, block: compute.IPBlock) -> Place:
    host, centre, shared = order.declared, _datacenter_id(order), _shared_address(order)
    given = order.args.get("lan_id")
    if given is not None:
        return Place(centre, given, block, shared, None, None)
    lan = compute.Lan(
        f"{order.name}-lan",
        name=f"{order.name}-lan",
        datacenter_id=centre,
        public=True,
        ipv6_cidr_block="AUTO" if host.ipv6 else None,
        opts=order.options(),
    )
    card6 = _card_network(lan) if host.ipv6 else None
    ipv6 = None if card6 is None else card6.apply(lambda text: str(IPv6Network(text)[_HOST]))
    return Place(centre, lan.id, block, shared, card6, ipv6)


def _shared_address(order: Order) -> pulumi.Input[str] | None:
    """The failover address on the card: one that it reserves, or that another host did."""
    if not order.declared.failover:
        return order.args.get("failover_ipv4")
    return compute.IPBlock(
        f"{order.name}-failover-ipv4",
        name=f"{order.name}-failover-ipv4",
        location=order.declared.location,
        size=1,
        opts=order.options(protect=order.declared.protection),
    ).ips[0]


def _card(order: Order, place: Place, server: compute.Server) -> pulumi.Output[CardRef]:
    """The card, once it may be told of.

    IONOS takes the address on a second card only after the group names the first one: whoever takes
    it from here comes after the group, and goes before it.
    """
    card = {"datacenter_id": place.centre, "lan_id": place.lan, "nic_id": server.primary_nic}
    if place.shared is not None:
        card["failover_ipv4"] = place.shared
    if order.declared.failover and place.shared is not None:
        group = compute.IPFailover(
            f"{order.name}-failover",
            datacenter_id=place.centre,
            lan_id=place.lan,
            ip=place.shared,
            nicuuid=server.primary_nic,
            # whom the group names later is nobody's input: the arbiter moves it
            opts=order.options(ignore_changes=["nicuuid"]),
        )
        card["failover_ipv4"] = pulumi.Output.all(ip=group.ip, urn=group.urn).apply(
            lambda got: str(got["ip"])
        )
    return cast("pulumi.Output[CardRef]", pulumi.Output.from_input(card))


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


def _card_network(lan: compute.Lan) -> pulumi.Output[str]:
    """A /80 of the LAN's /64, once IONOS has said which that is."""

    def pick(got: list[Any]) -> Any:  # noqa: ANN401  # a text, or what Pulumi has for unknown
        # a plan that turns IPv6 on shows what was asked for, not what will be given
        if got[1] in (None, "", "AUTO"):
            return UNKNOWN
        base = int(IPv6Network(got[1]).network_address)
        return str(IPv6Network((base + (_CARD << 48), 80)))

    return pulumi.Output.all(lan.id, lan.ipv6_cidr_block).apply(pick)


def _declare_server(order: Order, key: pulumi.Output[HostKey], place: Place) -> compute.Server:
    host = order.declared
    deploy = ordered.deploy_line(order.args)
    labels = host.labels.by_name() | {"role": host.role}
    told = ordered.user_data(order.name, key, deploy, _own_addresses(order, place))
    return compute.Server(
        f"{order.name}-server",
        name=order.name,
        hostname=order.name,
        datacenter_id=place.centre,
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
        nic=_public_card(order, place),
        labels=[compute.ServerLabelArgs(key=k, value=v) for k, v in sorted(labels.items())],
        opts=order.options(
            protect=host.protection,
            # the old server holds the addresses
            delete_before_replace=True,
            additional_secret_outputs=["volume"],
        ),
    )


def _own_addresses(order: Order, place: Place) -> pulumi.Output[OwnAddresses]:
    lan = order.declared.private_network
    private = None if lan is None else f"{lan.ip}/{_PRIVATE_LENGTH}"
    return pulumi.Output.from_input(place.ipv6).apply(lambda ipv6: OwnAddresses(ipv6, private))


def _public_card(order: Order, place: Place) -> compute.ServerNicArgs:
    ways_in = openings(order.declared)
    rules = [rule for opening in ways_in for rule in _rules(opening)]
    if order.declared.ipv6:
        rules += [rule for opening in ways_in for rule in _rules6(opening)]
    return compute.ServerNicArgs(
        name=f"{order.name}-public",
        lan=pulumi.Output.from_input(place.lan).apply(int),
        dhcp=True,
        # its own first: DHCP hands out one
        ips=place.block.ips if place.shared is None else [place.block.ips[0], place.shared],
        # the machine sets it itself: a lease would have to come in through its own firewall
        dhcpv6=False if place.ipv6 is not None else None,
        ipv6_cidr_block=place.card6,
        ipv6_ips=None if place.ipv6 is None else [place.ipv6],
        firewall_active=True,
        firewall_type="INGRESS",
        firewalls=rules,
    )


def _declare_private_card(
    order: Order, centre: pulumi.Input[str], server: compute.Server
) -> list[compute.Nic]:
    lan = order.declared.private_network
    if lan is None:
        return []
    given = pulumi.Output.from_input(order.args["private_network"]["lan_id"])
    return [
        compute.Nic(
            f"{order.name}-private",
            name=f"{order.name}-private",
            datacenter_id=centre,
            server_id=server.id,
            lan=given.apply(int),
            mac=private_mac(order.name),
            # the machine sets it itself
            dhcp=False,
            ips=[str(lan.ip)],
            # as at Hetzner, whose firewalls do not see private networks; the host's own does
            firewall_active=False,
            opts=order.options(delete_before_replace=True),
        )
    ]


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


def _rules6(opening: Opening) -> Iterator[compute.ServerNicFirewallArgs]:
    """A rule per IPv6 network; every one names its source."""
    icmp = opening.protocol == "icmp"
    networks = [network for network in opening.sources if network.version == 6]
    sources = [_ANYBODY6 if n.prefixlen == 0 else _source(str(n)) for n in networks]
    for number, source in enumerate([*sources, *([_LINK6] if icmp else [])], 1):
        yield compute.ServerNicFirewallArgs(
            name=f"{opening.title} ipv6 {number}",
            protocol="ICMPv6" if icmp else opening.protocol.upper(),
            port_range_start=opening.first_port,
            port_range_end=opening.last_port,
            source_ip=source,
            type="INGRESS",
        )


def _source(network: str) -> str:
    """One address bare, as the API's examples have it; a network with its length."""
    return network.removesuffix("/32") if "." in network else network.removesuffix("/128")
