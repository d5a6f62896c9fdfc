"""The fleet as a picture, drawn from the topology value: the same topology gives the same bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from loopback_iac.lab.topology import ANYCAST4, ANYCAST6, CORE, Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from loopback_iac.lab.topology import Host, Topology

WIDTH, BOX, TALL = 1000, 128, 46
ROW_CLIENT, ROW_UPSTREAM, ROW_POP, ROW_CORE, ROW_LOW = 60, 150, 252, 374, 500
ASIDE = 36  # cables leave a box beside the tunnels
EDGE_X = 90  # upstreams stand at the sides, so that no cable crosses a PoP
FILL = {
    Role.CLIENT: "#eceff4",
    Role.UPSTREAM: "#dbe7f6",
    Role.CORE: "#eef1f5",
    Role.POP: "#ffe3c4",
    Role.WORKER: "#d9f0dd",
    Role.SERVICE: "#f3ecd8",
    Role.WORKSTATION: "#f3ecd8",
    Role.PROVIDER: "#e7e0f5",
    Role.SERVER: "#e7e0f5",
}
CABLE, SESSION, TUNNEL, INK, SOFT = "#8a94a3", "#2b62b5", "#2f8f4e", "#1c2430", "#5b6675"


@dataclass(frozen=True)
class _Place:
    x: float
    y: float
    width: float = BOX

    @property
    def top(self) -> float:
        return self.y - TALL / 2

    @property
    def bottom(self) -> float:
        return self.y + TALL / 2


def draw_fleet(topology: Topology, path: Path) -> None:
    """Write the picture of a topology to `path` as SVG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_fleet(topology))


def render_fleet(topology: Topology) -> str:
    """Out: SVG text with every host, cable, BGP session and tunnel of the topology."""
    places = _place(topology)
    parts = [
        *_cables(topology, places),
        *_tunnels(topology, places),
        *(part for host in topology.hosts for part in _host(topology, host, places[host.name])),
        *_titles(topology),
    ]
    body = "\n".join(f"  {part}" for part in parts)
    size = f'width="{WIDTH}" height="600" viewBox="0 0 {WIDTH} 600"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" '
        'font-family="Helvetica, Arial, sans-serif">\n'
        f"  <title>Loopback lab, topology {escape(topology.name)}</title>\n"
        f'  <rect width="{WIDTH}" height="600" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _place(topology: Topology) -> dict[str, _Place]:
    places = {CORE: _Place(WIDTH / 2, ROW_CORE, WIDTH - 40)}
    upstreams = topology.having(Role.UPSTREAM)
    for host, x in zip(upstreams, _spread(len(upstreams), EDGE_X, WIDTH - EDGE_X), strict=True):
        places[host.name] = _Place(x, ROW_UPSTREAM)
        for client in topology.having(Role.CLIENT):
            if any(link.joins(client.name) for link in topology.links_of(host.name)):
                places[client.name] = _Place(x, ROW_CLIENT)
    pops = topology.having(Role.POP)
    inner = 300 if len(pops) <= 2 else 240
    for host, x in zip(pops, _spread(len(pops), inner, WIDTH - inner), strict=True):
        places[host.name] = _Place(x, ROW_POP)
    low = topology.having(Role.WORKER, Role.SERVICE, Role.WORKSTATION, Role.PROVIDER)
    width = min(BOX, (WIDTH - 40) / len(low) - 10)
    xs = _spread(len(low), 20 + width / 2, WIDTH - 20 - width / 2)
    for host, x in zip(low, xs, strict=True):
        places[host.name] = _Place(x, ROW_LOW, width)
    return places


def _spread(count: int, first: float, last: float) -> Sequence[float]:
    if count == 1:
        return [(first + last) / 2]
    return [first + n * (last - first) / (count - 1) for n in range(count)]


def _line(ends: tuple[float, float, float, float], colour: str, *, dashed: bool = False) -> str:
    x1, y1, x2, y2 = (f"{v:g}" for v in ends)
    style = ' stroke-dasharray="5 4"' if dashed else ""
    return (
        f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}" '
        f'stroke-width="1.6"{style}/>'
    )


def _text(x: float, y: float, words: str, size: int, colour: str = INK, *, weight: str = "") -> str:
    bold = f' font-weight="{weight}"' if weight else ""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}"{bold} '
        f'text-anchor="middle">{escape(words)}</text>'
    )


def _cables(topology: Topology, places: dict[str, _Place]) -> Iterable[str]:
    for link in topology.links:
        names = (link.left.host, link.right.host)
        roles = {topology.host(n).role for n in names}
        upper, lower = sorted((places[n] for n in names), key=lambda p: p.y)
        if Role.CORE in roles:
            leaf = next(n for n in names if n != CORE)
            aside = 0 if topology.host(leaf).role is Role.UPSTREAM else ASIDE
            x = places[leaf].x - aside
            yield _line((x, upper.bottom, x, lower.top), CABLE)
        elif Role.POP in roles:
            side = BOX / 2 if upper.x < lower.x else -BOX / 2
            ends = (upper.x + side, upper.y, lower.x - side / 4, lower.top)
            yield _line(ends, SESSION)
        else:
            yield _line((upper.x, upper.bottom, lower.x, lower.top), CABLE)


def _tunnels(topology: Topology, places: dict[str, _Place]) -> Iterable[str]:
    for pop in topology.having(Role.POP):
        for worker in topology.having(Role.WORKER):
            start, end = places[pop.name], places[worker.name]
            yield _line((start.x, start.bottom, end.x, end.top), TUNNEL, dashed=True)


def _host(topology: Topology, host: Host, place: _Place) -> Iterable[str]:
    colour = FILL[host.role]
    left = place.x - place.width / 2
    yield (
        f'<rect x="{left:g}" y="{place.top:g}" width="{place.width:g}" height="{TALL}" rx="6" '
        f'fill="{colour}" stroke="{INK}" stroke-width="1"/>'
    )
    name = host.name + (f"  AS{host.asn}" if host.asn else "")
    if host.role is Role.CORE:
        name += "  carries the hosters' networks: "
        name += ", ".join(net.name.removeprefix("net-") for net in topology.nets_of(CORE))
    yield _text(place.x, place.y - 6, name, 13, weight="bold")
    yield _text(place.x, place.y + 11, _address(topology, host), 10, SOFT)


def _address(topology: Topology, host: Host) -> str:
    if host.role is Role.CORE:
        return "nothing but routing: the tunnels' outer packets and SSH cross it"
    if host.role is Role.UPSTREAM:
        return "BIRD, BFD, MD5, GTSM"
    end = topology.uplink(host.name)
    return str(end.v4.ip) if end.v4 else str(end.v6.ip) if end.v6 else ""


def _titles(topology: Topology) -> Iterable[str]:
    yield _text(WIDTH / 2, 34, f"{ANYCAST4}   and   {ANYCAST6}", 17, weight="bold")
    yield _text(WIDTH / 2, 54, "announced by every PoP, to every upstream, by BGP", 12, SOFT)
    machines = f"{len(topology.having(Role.POP))} PoPs, {len(topology.having(Role.WORKER))} workers"
    booted = sum(h.booted for h in topology.hosts)
    yield _text(
        WIDTH / 2,
        92,
        f"{machines}; {booted} Debian hosts and a workstation on one machine",
        12,
        SOFT,
    )
    for x, colour, dashed, words in (
        (190, SESSION, False, "cable with eBGP and BFD"),
        (430, TUNNEL, True, "WireGuard tunnel, PROXY protocol inside"),
        (730, CABLE, False, "cable"),
    ):
        yield _line((x, 566, x + 36, 566), colour, dashed=dashed)
        yield _text(x + 48 + 3 * len(words), 570, words, 12)
