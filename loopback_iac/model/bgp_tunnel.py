"""A WireGuard tunnel from a PoP to a router that speaks BGP, where the hoster sells no session.

The outer packets follow the host's main routing table. What BGP teaches goes to a table that only
own prefixes look into, so a default route learnt in the tunnel never carries the tunnel itself.
"""

from ipaddress import IPv4Address, IPv4Interface, IPv6Interface, ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from loopback_iac.model.fields import (
    Address,
    AnyAddress,
    Int,
    Network,
    Port,
    Value,
    reaches_nobody,
    refuse,
)
from loopback_iac.model.key_epochs import Epoch
from loopback_iac.model.wireguard import OVERHEAD_BYTES, PublicKey

# Worker id 0, which no worker has: no tunnel to a worker listens there, and an ordered PoP's
# provider lets it in together with those.
FREE_PORT = 51820
INTERFACE_PREFIX = "up-"
LONGEST_NAME = 15 - len(INTERFACE_PREFIX)  # Linux IFNAMSIZ
SHORTEST = {4: 24, 6: 64}  # a link between two ends needs no more
LEAST_MTU_BYTES = {4: 576, 6: 1280}  # RFC 791 3.1 (what every host takes), RFC 8200 section 5
HEADERS_BYTES = {4: 40, 6: 60}  # IP and TCP without options


def _unicast(address: Address) -> Address:
    if reaches_nobody(address):
        refuse(
            "tunnel-endpoint",
            f"{address} reaches no router elsewhere",
            "the address at which the router takes the tunnel",
            "copy it from the router's operator",
        )
    return address


class BgpTunnel(Value):
    """How the router is reached and what the path to it carries."""

    endpoint: Annotated[AnyAddress, AfterValidator(_unicast)]
    endpoint_port: Port
    public_key: PublicKey
    router: Literal["carrier", "own"] = "carrier"
    listen_port: Port = FREE_PORT
    path_mtu_bytes: Int = Field(1500, ge=LEAST_MTU_BYTES[4] + OVERHEAD_BYTES, le=9000)
    persistent_keepalive_s: Int = Field(25, ge=1, le=300)
    key_epoch: Epoch = 1

    @property
    def mtu_bytes(self) -> int:
        """What fits into the tunnel."""
        return self.path_mtu_bytes - OVERHEAD_BYTES

    def segment_bytes(self, family: int) -> int:
        """Largest TCP segment that fits: the MSS of connections through it."""
        return self.mtu_bytes - HEADERS_BYTES[family]


def inner_network(local: Address, neighbor: Address) -> Network | None:
    """The smallest network that holds both ends, each as an address a host may have.

    Out: None when even the largest sensible one does not.
    Sources: RFC 3021 (/31), RFC 6164 (/127), RFC 4291 2.6.1 (a subnet's first address).
    """
    last = local.max_prefixlen - 1
    for length in range(last, SHORTEST[local.version] - 1, -1):
        network = ip_network((local, length), strict=False)
        kept = () if length == last else _kept(network)
        if neighbor in network and local not in kept and neighbor not in kept:
            return network
    return None


def _kept(network: Network) -> tuple[Address, ...]:
    """Addresses that mean the network itself or everybody on it."""
    if network.version == 4:
        return network.network_address, network.broadcast_address
    return (network.network_address,)


def inner_interface(local: Address, network: Network) -> IPv4Interface | IPv6Interface:
    """Our end with the length of the inner network."""
    if isinstance(local, IPv4Address):
        return IPv4Interface((local, network.prefixlen))
    return IPv6Interface((local, network.prefixlen))
