"""Routers of the lab's Internet: their sessions as values, their bird.conf as text."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from loopback_iac.lab.templating import render
from loopback_iac.lab.topology import (
    ANYCAST4,
    ANYCAST6,
    CACHES,
    CLOUDS,
    CORE,
    NAMES4,
    NAMES6,
    ROUTERS,
    Host,
    Role,
)

if TYPE_CHECKING:
    from loopback_iac.lab.topology import Topology

# IANA: rpki-rtr (RFC 8210 section 11)
RTR_PORT = 323
NEAR, FAR = 200, 150
# A network one upstream originates although the ROA names another AS: RPKI-invalid on purpose.
INVALID4 = ip_network("198.18.64.0/24")
INVALID_ORIGIN = "t2"
INVALID_ROA_ASN = 64511


@dataclass(frozen=True)
class Session:
    """One BGP session of a router of the lab; `preference` and `password` only towards PoPs."""

    name: str
    peer: str
    family: int
    interface: str
    asn: int
    local: str
    neighbor: str
    preference: int = 100
    password: str = ""


def router_sessions(topology: Topology, router: Host, md5: dict[str, str]) -> list[Session]:
    """
    BGP sessions of one router, an IPv4 and an IPv6 one per neighbor.

    In: md5, TCP-MD5 password by PoP.
    Out: sessions named `<peer>_4` and `<peer>_6`.
    """
    sessions = []
    for link in topology.links_of(router.name):
        ours, theirs = link.end(router.name), link.other(router.name)
        peer = topology.host(theirs.host)
        if peer.role is not Role.POP and peer.role not in ROUTERS:
            continue
        for family, local, neighbor in ((4, ours.v4, theirs.v4), (6, ours.v6, theirs.v6)):
            if local is None or neighbor is None:
                continue
            sessions.append(
                Session(
                    name=f"{peer.name}_{family}".replace("-", "_"),
                    peer=peer.name,
                    family=family,
                    interface=ours.interface,
                    asn=peer.asn,
                    local=str(local.ip),
                    neighbor=str(neighbor.ip),
                    preference=NEAR if peer.near == router.name else FAR,
                    password=md5.get(peer.name, ""),
                )
            )
    return sessions


def render_bird(topology: Topology, router: Host, md5: dict[str, str]) -> str:
    """A router's bird.conf."""
    address = topology.link(CORE, _a_neighbor(topology, router)).end(router.name).v4
    own4 = [f"{INVALID4} unreachable"] if router.name == INVALID_ORIGIN else []
    own6: list[str] = []
    if router.role is Role.CORE:
        ends = [(cloud, topology.link(CORE, cloud.name).end(cloud.name)) for cloud in CLOUDS]
        own4 += [f"{cloud.v4} via {end.v4.ip}" for cloud, end in ends if end.v4]
        own6 += [f"{cloud.v6} via {end.v6.ip}" for cloud, end in ends if end.v6]
    ours4, ours6 = [ANYCAST4, NAMES4], [ANYCAST6, NAMES6]
    families: list[dict[str, Any]] = [
        {"number": 4, "bits": 32, "default": "0.0.0.0/0", "anycast": ours4, "own": own4},
        {"number": 6, "bits": 128, "default": "::/0", "anycast": ours6, "own": own6},
    ]
    caches = [
        {"name": cache, "address": end.v4.ip, "port": RTR_PORT}
        for cache in CACHES
        if (end := topology.uplink(cache)).v4
    ]
    return render(
        "bird.conf.j2",
        host=router.name,
        asn=router.asn,
        router_id=address.ip if address else "",
        caches=caches,
        families=families,
        sessions=router_sessions(topology, router, md5),
    )


def render_roas() -> dict[str, Any]:
    """What the RPKI caches serve, in the JSON that rpki-client writes and stayrtr reads."""
    return {
        "metadata": {"generated": 0, "valid": "2099-01-01T00:00:00Z"},
        "roas": [
            _roa(str(ANYCAST4), 24, 64500),
            _roa(str(ANYCAST6), 48, 64500),
            _roa(str(NAMES4), 24, 64500),
            _roa(str(NAMES6), 48, 64500),
            _roa(str(INVALID4), 24, INVALID_ROA_ASN),
        ],
    }


def _roa(prefix: str, max_length: int, asn: int) -> dict[str, Any]:
    return {"prefix": prefix, "maxLength": max_length, "asn": f"AS{asn}", "ta": "lab"}


def _a_neighbor(topology: Topology, router: Host) -> str:
    """The router whose link with the core gives the router id."""
    return topology.having(Role.UPSTREAM)[0].name if router.name == CORE else router.name
