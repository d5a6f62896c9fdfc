"""Prefixes and AS numbers no upstream has any business sending, minus the fleet's own world."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network

from loopback_iac.model.fields import Network

BOGONS: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # RFC 791 3.2
        "10.0.0.0/8",  # RFC 1918
        "100.64.0.0/10",  # RFC 6598
        "127.0.0.0/8",  # RFC 1122 3.2.1.3
        "169.254.0.0/16",  # RFC 3927
        "172.16.0.0/12",  # RFC 1918
        "192.0.0.0/24",  # RFC 6890
        "192.0.2.0/24",  # RFC 5737
        "192.168.0.0/16",  # RFC 1918
        "198.18.0.0/15",  # RFC 2544
        "198.51.100.0/24",  # RFC 5737
        "203.0.113.0/24",  # RFC 5737
        "224.0.0.0/3",  # RFC 1112, RFC 5771
        "2001:db8::/32",  # RFC 3849
        "2002::/16",  # RFC 7526
        "3fff::/20",  # RFC 9637
    )
)
BOGON_ASNS = (
    (0, 0),  # RFC 7607
    (23456, 23456),  # RFC 6793
    (64496, 131071),  # RFC 5398, RFC 6996, RFC 7300, IANA reserved
    (4200000000, 4294967295),  # RFC 6996, RFC 7300
)


def bogon_networks(family: int, own: Iterable[Network]) -> tuple[Network, ...]:
    """Bogons of one family without the fleet's own prefixes, sorted."""
    left: list[Network] = [network for network in BOGONS if network.version == family]
    for network in own:
        left = [part for bogon in left for part in _without(bogon, network)]
    return tuple(sorted(left, key=lambda n: (n.network_address.packed, n.prefixlen)))


def _without(bogon: Network, network: Network) -> list[Network]:
    if isinstance(bogon, IPv4Network) and isinstance(network, IPv4Network):
        if network.subnet_of(bogon):
            return list(bogon.address_exclude(network))
        return [] if bogon.subnet_of(network) else [bogon]
    if isinstance(bogon, IPv6Network) and isinstance(network, IPv6Network):
        if network.subnet_of(bogon):
            return list(bogon.address_exclude(network))
        return [] if bogon.subnet_of(network) else [bogon]
    return [bogon]


def bogon_asns(known: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Ranges of AS numbers to refuse, without those the fleet knows."""
    ranges = list(BOGON_ASNS)
    for asn in sorted(set(known)):
        ranges = [part for low, high in ranges for part in _split(low, high, asn)]
    return tuple(ranges)


def _split(low: int, high: int, asn: int) -> list[tuple[int, int]]:
    if not low <= asn <= high:
        return [(low, high)]
    return [(a, b) for a, b in ((low, asn - 1), (asn + 1, high)) if a <= b]
