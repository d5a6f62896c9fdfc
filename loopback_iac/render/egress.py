"""Egress through the PoPs: a worker says by BGP which addresses stand on it, a PoP that it has a
default route. Whoever moves an address, the PoPs follow; whichever PoP is lost, the worker does.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from loopback_iac.model import Fleet
from loopback_iac.model.bgp import BFD_TUNNEL_MS
from loopback_iac.model.bgp_tunnel import HEADERS_BYTES
from loopback_iac.model.egress import BGP_PORT
from loopback_iac.model.fields import Address
from loopback_iac.render.files import File
from loopback_iac.render.site import Link, uplinks
from loopback_iac.render.text import render_json, render_text
from loopback_iac.render.wireguard import EVERYWHERE

MOST_PREFERRED = 200  # local preference of the nearest PoP; BGP's own default is 100


@dataclass(frozen=True)
class Exit:
    """A tunnel that egress takes, as its end on this host sees it."""

    link: Link
    addresses: tuple[Address, ...]
    """What the worker may send from through this PoP."""
    segment_bytes: int
    """Longest TCP segment that fits every tunnel on the way."""

    @property
    def symbol(self) -> str:
        """Name of its session in BIRD; names hold no underscore, so two never meet."""
        return f"out_{self.link.peer.replace('-', '_')}_{self.link.tunnel.key_epoch}"


def exits(fleet: Fleet, links: Iterable[Link]) -> tuple[Exit, ...]:
    """Tunnels of a host that egress takes, in the order of its tunnels; of every key epoch."""
    found = []
    for link in links:
        pair = link.tunnel
        addresses = fleet.may_leave_by(pair.worker, pair.pop)
        if not addresses:
            continue
        fitting = [uplink.tunnel.segment_bytes(4) for uplink in uplinks(fleet, pair.pop)]
        fitting.append(pair.mtu_bytes - HEADERS_BYTES[4])
        found.append(Exit(link, addresses, min(fitting)))
    return tuple(found)


def render_egress(fleet: Fleet, worker: str, ways: tuple[Exit, ...]) -> dict[str, File]:
    """Files of a worker that may have egress addresses; nothing on others.

    Out: the nearest PoP is preferred, by the declared round trip.
    Units: seconds; BFD in milliseconds.
    Sources: RFC 4271, 5082, 5880; BIRD 2.17 user's guide.
    """
    if not ways:
        return {}
    member = fleet.workers[worker]
    near = sorted({way.link.peer for way in ways}, key=lambda p: (member.rtt_ms_of(p), p))
    text = render_text(
        "egress.conf",
        worker=worker,
        asn=fleet.asn,
        router_id=ways[0].link.own_v4,
        addresses=fleet.may_leave_by(worker),
        ways=[(way, MOST_PREFERRED - near.index(way.link.peer)) for way in ways],
        bfd_ms=BFD_TUNNEL_MS,
        port=BGP_PORT,
    )
    return {
        "/etc/loopback/egress.conf": File(text),
        "/etc/loopback/routes.json": File(_routes(fleet, worker)),
    }


def _routes(fleet: Fleet, worker: str) -> str:
    """routes.json of a worker: what has an egress address leaves by the PoPs or not at all."""
    return render_json(
        {
            "format": 1,
            "prefixes": [f"{address}/32" for address in fleet.may_leave_by(worker)],
            "vips": [str(address) for address in fleet.leaves_by(worker)],
        }
    )


def beyond(link: Link, ways: Iterable[Exit], *, at_pop: bool) -> tuple[str, ...]:
    """What else than the pair's ends may come out of a tunnel: its AllowedIPs.

    Out: of a worker its egress addresses; of a PoP whatever answers them.
    """
    way = next((way for way in ways if way.link == link), None)
    if way is None:
        return ()
    return tuple(f"{address}/32" for address in way.addresses) if at_pop else (EVERYWHERE,)
