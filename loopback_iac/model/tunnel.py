"""Addresses, ports and names of the tunnels between one PoP and one worker; pure arithmetic.

Everything follows from the two node ids, so adding a PoP moves no existing tunnel. PoP ids take
8 bits and worker ids 10: 2**18 pairs fill the /31s of a /13 exactly. A pair has one tunnel per key
epoch; odd and even epochs have spaces of their own, so that two of them that follow each other
stand side by side while keys are rotated.
"""

import hashlib
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from loopback_iac.model.fields import Value
from loopback_iac.model.fleet import Fleet
from loopback_iac.model.wireguard import OVERHEAD_BYTES

# by parity of the key epoch: even, odd
TUNNEL_V4 = (IPv4Network("10.80.0.0/13"), IPv4Network("10.88.0.0/13"))
FIRST_PORT = (51820 + 1024, 51820)
INTERFACE_PREFIX = ("lc-", "lb-")
SUBNET_V6 = (1 << 8, 0)


class Tunnel(Value):
    """One WireGuard link: the PoP has the even address, the worker the odd one."""

    pop: str
    worker: str
    key_epoch: int
    pop_v4: IPv4Address
    worker_v4: IPv4Address
    pop_v6: IPv6Address
    worker_v6: IPv6Address
    pop_port: int
    worker_port: int
    mtu_bytes: int
    behind_nat: bool

    @property
    def pop_interface(self) -> str:
        """Interface on the PoP."""
        return INTERFACE_PREFIX[self.key_epoch % 2] + self.worker

    @property
    def worker_interface(self) -> str:
        """Interface on the worker."""
        return INTERFACE_PREFIX[self.key_epoch % 2] + self.pop

    @property
    def net_v4(self) -> IPv4Network:
        """The pair's /31 (RFC 3021)."""
        return IPv4Network((self.pop_v4, 31))

    @property
    def net_v6(self) -> IPv6Network:
        """The pair's /127 (RFC 6164)."""
        return IPv6Network((self.pop_v6, 127))


def tunnel_net_v6(fleet: str) -> IPv6Network:
    """The fleet's own ULA /48; the 40-bit global id is drawn from its name (RFC 4193 3.2)."""
    drawn = hashlib.sha256(f"loopback-iac tunnel {fleet}".encode()).digest()[:5]
    return IPv6Network((b"\xfd" + drawn + bytes(10), 48))


def pair_v4(pop_id: int, worker_id: int, key_epoch: int = 1) -> IPv4Network:
    """The /31 of a pair of node ids."""
    return IPv4Network((TUNNEL_V4[key_epoch % 2][((pop_id << 10) + worker_id) * 2], 31))


def pair_v6(fleet: str, pop_id: int, worker_id: int, key_epoch: int = 1) -> IPv6Network:
    """The /127 of a pair of node ids: subnet by PoP and parity, address by worker."""
    base = int(tunnel_net_v6(fleet).network_address)
    subnet = SUBNET_V6[key_epoch % 2] + pop_id
    return IPv6Network((base + (subnet << 64) + worker_id * 2, 127))


def pop_ports(worker_id: int, key_epoch: int) -> tuple[int, int]:
    """First and last port of tunnels at a PoP, up to a worker id."""
    first = FIRST_PORT[key_epoch % 2]
    return first, first + worker_id


def router_id(pop_id: int) -> IPv4Address:
    """BGP identifier of a PoP: the address of worker id 0, which no worker has, in any epoch."""
    return pair_v4(pop_id, 0).network_address


def tunnels(fleet: Fleet, pop: str, worker: str) -> tuple[Tunnel, ...]:
    """Every tunnel of one pair of a fleet, by key epoch; one of them carries traffic."""
    return tuple(_tunnel(fleet, pop, worker, epoch) for epoch in sorted(fleet.tunnels.key_epochs))


def tunnel(fleet: Fleet, pop: str, worker: str) -> Tunnel:
    """The tunnel of one pair that carries traffic."""
    return _tunnel(fleet, pop, worker, fleet.tunnels.traffic_epoch)


@lru_cache(maxsize=1 << 16)
def _ends(
    fleet: str, pop_id: int, worker_id: int, key_epoch: int
) -> tuple[tuple[IPv4Address, IPv4Address], tuple[IPv6Address, IPv6Address]]:
    """Addresses of a pair, the PoP's first; both hosts and each service of a pair ask for them."""
    v4, v6 = pair_v4(pop_id, worker_id, key_epoch), pair_v6(fleet, pop_id, worker_id, key_epoch)
    return (v4[0], v4[1]), (v6[0], v6[1])


def _tunnel(fleet: Fleet, pop: str, worker: str, key_epoch: int) -> Tunnel:
    member = fleet.workers[worker]
    return pair_tunnel(
        fleet.name,
        (pop, fleet.pops[pop].node_id),
        (worker, member.node_id),
        key_epoch,
        path_mtu_bytes=member.path_mtu_bytes,
        behind_nat=member.behind_nat,
    )


def pair_tunnel(
    fleet: str,
    pop: tuple[str, int],
    worker: tuple[str, int],
    key_epoch: int,
    *,
    path_mtu_bytes: int,
    behind_nat: bool,
) -> Tunnel:
    """The tunnel of one pair, without a fleet at hand.

    In: the fleet's name; name and node id of both ends.
    """
    (pop_name, pop_id), (worker_name, worker_id) = pop, worker
    v4, v6 = _ends(fleet, pop_id, worker_id, key_epoch)
    first_port = FIRST_PORT[key_epoch % 2]
    return Tunnel(
        pop=pop_name,
        worker=worker_name,
        key_epoch=key_epoch,
        pop_v4=v4[0],
        worker_v4=v4[1],
        pop_v6=v6[0],
        worker_v6=v6[1],
        pop_port=first_port + worker_id,
        worker_port=first_port + pop_id,
        mtu_bytes=path_mtu_bytes - OVERHEAD_BYTES,
        behind_nat=behind_nat,
    )
