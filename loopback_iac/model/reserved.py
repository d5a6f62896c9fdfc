"""Address space that is in nobody's name, so that no ROA can speak of it."""

from collections.abc import Iterable
from ipaddress import ip_network

from loopback_iac.model.fields import Network


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


# RFC 5737, RFC 3849, RFC 9637 (documentation), RFC 2544 (benchmarks)
DOCUMENTATION = _networks(
    "192.0.2.0/24",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "198.18.0.0/15",
    "2001:db8::/32",
    "3fff::/20",
)
# RFC 1918, RFC 6598, RFC 4193
PRIVATE = _networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")


def lies_in(network: Network, blocks: Iterable[Network]) -> bool:
    """Whether one of the blocks holds all of a network."""
    return any(
        network.version == block.version
        and network.prefixlen >= block.prefixlen
        and network.network_address in block
        for block in blocks
    )
