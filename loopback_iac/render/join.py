"""What a machine behind NAT is told before any host of the fleet has heard of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import collapse_addresses

from loopback_iac.model.fields import Address
from loopback_iac.model.tunnel import TUNNEL_V4, pair_tunnel
from loopback_iac.render.site import Link
from loopback_iac.render.wireguard import render_wireguard


@dataclass(frozen=True)
class Door:
    """The PoP that a machine dials: all of it is public."""

    fleet: str
    pop: str
    node_id: int
    address: Address
    public_keys: Mapping[int, str]
    """By key epoch; every declared one."""


@dataclass(frozen=True)
class Joining:
    """The machine, as the stack will know it."""

    worker: str
    node_id: int
    path_mtu_bytes: int
    deploy_key: str
    """Public half of the key that the fleet logs in with."""


def render_join(door: Door, joining: Joining) -> dict[str, object]:
    """The request of agent/join.py: tunnels to one PoP, and who may come in through them.

    Out: plain JSON. Tunnels are what the first `up` renders, so that it changes none of them.
    """
    worker: dict[str, object] = {
        "node_id": joining.node_id,
        "behind_nat": True,
        "managed_through": door.pop,
        "join_keys": {str(epoch): None for epoch in sorted(door.public_keys)},
    }
    if joining.path_mtu_bytes != 1500:
        worker["path_mtu_bytes"] = joining.path_mtu_bytes
    links = [_link(door, joining, epoch) for epoch in sorted(door.public_keys)]
    return {
        "host": joining.worker,
        "deploy_key": joining.deploy_key,
        "sources": [str(network) for network in collapse_addresses(TUNNEL_V4)],
        "endpoint": str(door.address),
        "tunnels": {link.interface: render_wireguard(link) for link in links},
        "worker": worker,
    }


def _link(door: Door, joining: Joining, key_epoch: int) -> Link:
    pair = pair_tunnel(
        door.fleet,
        (door.pop, door.node_id),
        (joining.worker, joining.node_id),
        key_epoch,
        path_mtu_bytes=joining.path_mtu_bytes,
        behind_nat=True,
    )
    return Link(
        tunnel=pair,
        interface=pair.worker_interface,
        peer=door.pop,
        port=pair.worker_port,
        own_v4=pair.worker_v4,
        own_v6=pair.worker_v6,
        peer_v4=pair.pop_v4,
        peer_v6=pair.pop_v6,
        peer_port=pair.pop_port,
        peer_outer=door.address,
        own_family=door.address.version,
        peer_key=door.public_keys[key_epoch],
        dials=True,
        keepalive=True,
        manages=True,
        worker_ssh_port=22,
    )
