"""BIRD 2.17: announce own prefixes behind the health gate, learn a default or a checked table.

Everything is denied unless written (RFC 8212). The gate is an include file that the agent writes;
without it nothing is announced. Routes live in tables of their own, never in the host's main one.
"""

from dataclasses import dataclass

from loopback_iac.model import Fleet
from loopback_iac.model.bgp import BFD_TUNNEL_MS, Upstream
from loopback_iac.model.fields import Network
from loopback_iac.model.tunnel import router_id
from loopback_iac.render.bogons import bogon_asns, bogon_networks
from loopback_iac.render.egress import Exit
from loopback_iac.render.files import secret_mark
from loopback_iac.render.site import Session, announced, own, sessions
from loopback_iac.render.text import render_text

LOCATION = 1  # large community (our AS, 1, node id): which PoP a route came from
NO_EXPORT = "65535:65281"  # RFC 1997
DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}


@dataclass(frozen=True)
class Family:
    """What BIRD needs once per address family."""

    number: int
    own: tuple[Network, ...]
    never_learned: tuple[Network, ...]
    bogons: tuple[Network, ...]
    full: bool
    gateways: tuple[str, ...]

    @property
    def default(self) -> str:
        """The default route of the family."""
        return DEFAULT[self.number]

    @property
    def host_length(self) -> int:
        """Length of a single address."""
        return 32 if self.number == 4 else 128


def render_bird(fleet: Fleet, pop: str, out: tuple[Exit, ...]) -> str:
    """bird.conf of a PoP.

    In: tunnels that egress comes by.

    Out: sessions sorted by upstream and family; TCP-MD5 passwords as marks.
    Units: seconds; BFD in milliseconds.
    Sources: RFC 4271, 5082, 5880, 7999, 8212, 8326, 9234, 9687; BIRD 2.17 user's guide.
    """
    spoken = sessions(fleet, pop)
    families = tuple(
        _family(fleet, pop, number, spoken) for number in (4, 6) if announced(fleet, pop, number)
    )
    known = [fleet.asn, *(s.upstream.asn for p in fleet.pops for s in sessions(fleet, p))]
    return render_text(
        "bird.conf",
        pop=pop,
        asn=fleet.asn,
        router_id=router_id(fleet.pops[pop].node_id),
        node_id=fleet.pops[pop].node_id,
        location=LOCATION,
        families=families,
        sessions=[_session(fleet, pop, session, families) for session in spoken],
        bfd=bool(out) or any(s.upstream.bfd for s in spoken),
        exits=out,
        bfd_ms=BFD_TUNNEL_MS,
        caches=fleet.rpki if any(f.full for f in families) else (),
        bogon_asns=bogon_asns(known),
    )


def _family(fleet: Fleet, pop: str, number: int, spoken: tuple[Session, ...]) -> Family:
    every = own(fleet, number)
    here = [s for s in spoken if s.family == number]
    gateways = {getattr(s.upstream, f"gateway_v{number}") for s in here if s.upstream.multihop}
    return Family(
        number=number,
        own=announced(fleet, pop, number),
        never_learned=every,
        bogons=bogon_networks(number, every),
        full=any(s.upstream.routes == "full" for s in here),
        gateways=tuple(sorted(map(str, gateways))),
    )


def _session(
    fleet: Fleet, pop: str, session: Session, families: tuple[Family, ...]
) -> dict[str, object]:
    up = session.upstream
    gateways = next(f.gateways for f in families if f.number == session.family)
    gateway = str(getattr(up, f"gateway_v{session.family}"))
    full_limit = up.limits.import_v4 if session.family == 4 else up.limits.import_v6
    return {
        "symbol": session.symbol,
        "name": session.name,
        "family": session.family,
        "local": session.local,
        "neighbor": session.neighbor,
        "up": up,
        "password": secret_mark(f"md5-{pop}-{session.name}") if up.md5 else None,
        "interface": session.interface,
        "role": "customer" if up.carrier else None,
        "direct": up.multihop is None,
        "send_hold_s": 2 * up.hold_time_s + 2,
        "announce": [_community(value) for value in up.communities_for("announce")],
        "drain": [_community(value) for value in up.communities_for("drain")],
        "bound": _bound(fleet, pop, session),
        "blackhole": [_community(value) for value in _dropping(up)],
        "import_filter": f"from_{up.routes}{session.family}",
        "import_limit": full_limit if up.routes == "full" else 1,
        "export_limit": len(announced(fleet, pop, session.family))
        + (up.limits.blackholes if up.communities_for("blackhole") else 0),
        "igp_table": f"nexthop{session.family}_{gateways.index(gateway) + 1}"
        if up.multihop
        else None,
    }


def _bound(fleet: Fleet, pop: str, session: Session) -> list[dict[str, object]]:
    """Communities that go with one prefix only."""
    found: list[dict[str, object]] = []
    for a in fleet.announcements_at(pop):
        words = {
            use: [_community(v) for v in session.upstream.communities_for(use, a.name)]
            for use in ("announce", "drain")
        }
        if a.prefix.family == session.family and any(words.values()):
            found.append({"network": a.prefix.cidr, **words})
    return found


def _dropping(up: Upstream) -> tuple[str, ...]:
    """Communities of a blackhole; none where the upstream takes none.

    It ends with the carrier (RFC 7999 3.2), but a router of our own has to hand it on to its own.
    """
    values = up.communities_for("blackhole")
    return (*values, NO_EXPORT) if values and up.carrier else values


def _community(value: str) -> str:
    """BIRD's words that add one community."""
    parts = value.split(":")
    kind = "bgp_community" if len(parts) == 2 else "bgp_large_community"
    return f"{kind}.add(({', '.join(parts)}))"
