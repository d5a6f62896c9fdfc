"""IPv6 at IONOS: a /56 per data centre, a /64 per LAN that asks for one, a /80 per card in it.

Sources: ionos-cloud/sdk-go v6 model_datacenter_properties.go, model_lan_properties.go,
model_nic_properties.go (texts of the API on ipv6CidrBlock, ipv6Ips, dhcpv6).
"""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network
from typing import TYPE_CHECKING

from loopback_iac.lab.cloud.ionos.words import refuse
from loopback_iac.lab.cloud.kinds import AUTO
from loopback_iac.lab.topology import CLOUDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loopback_iac.engine.values import Values
    from loopback_iac.lab.cloud.book import Book, Thing

CLOUD = CLOUDS[1]
CENTRE, LAN, CARD = 56, 64, 80
MOST_ADDRESSES = 50


def free_network(inside: IPv6Network, length: int, taken: Iterable[str]) -> str:
    """The lowest network of that length that nobody has; the first one is left out."""
    used, step = set(taken), 1 << (128 - length)
    base = int(inside.network_address)
    numbered = (str(IPv6Network((base + n * step, length))) for n in range(1, 1 << 16))
    return next(net for net in numbered if net not in used)


def centre_network(book: Book) -> str:
    """What a new data centre gets, unasked and for good."""
    taken = [centre.get("ipv6CidrBlock", "") for centre in book.of("datacenter").values()]
    return free_network(CLOUD.v6, CENTRE, taken)


def lan_network(book: Book, centre: str, before: str, wanted: str | None) -> str:
    """
    What a LAN has once it was asked for.

    In: before, what it had; wanted, nothing (it stays), AUTO (any, unless it has one) or a network.
    Raises: ApiError when the data centre has no IPv6, or the network is not to be had.
    """
    if not wanted or (wanted == AUTO and before):
        return before
    whole = book.of("datacenter")[centre].get("ipv6CidrBlock")
    if not whole:
        raise refuse(422, "the virtual data center has no IPv6 CIDR block")
    lans = [lan for lan in book.of("lan").values() if lan["datacenterId"] == centre]
    taken = {lan["ipv6CidrBlock"] for lan in lans if lan.get("ipv6CidrBlock")} - {before}
    if wanted == AUTO:
        return free_network(IPv6Network(whole), LAN, taken)
    return _checked(wanted, LAN, whole, taken)


def card_addresses(book: Book, ident: str, nic: Thing, network: str, wanted: Values) -> Values:
    """
    What a card has of a LAN's network once it was asked for.

    In: nic, as it was until now; network, of its LAN, empty where that has none.
    Out: `ipv6CidrBlock` and `ipv6Ips`; empty where the LAN has none.
    Raises: ApiError when the program asks for what the LAN does not have.
    """
    if not network:
        # "can be set to 'true' or 'false' only if this NIC is connected to an IPv6 enabled LAN"
        asked = [key for key in ("ipv6CidrBlock", "ipv6Ips") if wanted.get(key)]
        asked += ["dhcpv6"] if wanted.get("dhcpv6") is not None else []
        if asked:
            raise refuse(422, f"{', '.join(asked)}: LAN {nic['lan']} is not IPv6 enabled")
        return {"ipv6CidrBlock": "", "ipv6Ips": []}
    others = [other for key, other in book.of("nic").items() if key != ident]
    taken = {other["ipv6CidrBlock"] for other in others if other.get("ipv6CidrBlock")}
    had = nic.get("ipv6CidrBlock", "")
    stays = had and IPv6Network(had).subnet_of(IPv6Network(network))
    if block := wanted.get("ipv6CidrBlock"):
        block = _checked(block, CARD, network, taken)
    else:
        block = had if stays else free_network(IPv6Network(network), CARD, taken)
    ips = list(wanted.get("ipv6Ips") or (nic.get("ipv6Ips") if block == had else ()) or ())
    ips = ips or [str(IPv6Network(block)[1])]
    if len(ips) > MOST_ADDRESSES:
        raise refuse(422, f"a NIC has at most {MOST_ADDRESSES} IPv6 addresses")
    for ip in ips:
        if IPv6Address(ip) not in IPv6Network(block):
            raise refuse(422, f"{ip} is not inside the IPv6 CIDR block of the NIC, {block}")
    return {"ipv6CidrBlock": block, "ipv6Ips": ips}


def _checked(wanted: str, length: int, inside: str, taken: set[str]) -> str:
    try:
        network = IPv6Network(wanted)
    except ValueError:
        raise refuse(422, f"ipv6CidrBlock {wanted} is no IPv6 network", "100") from None
    if network.prefixlen != length or not network.subnet_of(IPv6Network(inside)):
        raise refuse(422, f"ipv6CidrBlock {wanted} is no /{length} inside {inside}", "100")
    if str(network) in taken:
        raise refuse(422, f"ipv6CidrBlock {wanted} is in use")
    return str(network)
