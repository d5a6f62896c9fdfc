"""The network as it is declared: a picture and tables, made from facts and never drawn by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from loopback_iac.evidence.summary import cell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopback_iac.evidence.snapshot import Snapshot
    from loopback_iac.proof import Stack as Places

Tree = Mapping[str, Any]


def render_network(snapshot: Snapshot) -> str:
    """
    Markdown with a Mermaid picture per fleet: carriers, PoPs, workers and what joins them.

    Out: nothing but a title where the stack has no fleet.
    """
    lines = [f"# Network of {snapshot.project}, stack {snapshot.stack}"]
    for name, fleet in snapshot.places.fleets.items():
        lines += ["", f"## Fleet {name}, AS{int(fleet.get('asn') or 0)}", "", "```mermaid"]
        lines += ["flowchart LR", *_picture(fleet, snapshot.places), "```", ""]
        lines += [*_sessions(fleet), "", *_prefixes(fleet), "", *_services(fleet)]
    return "\n".join(lines) + "\n"


def _picture(fleet: Tree, places: Places) -> Iterator[str]:
    """Identifiers are numbered: names of things may mean something to Mermaid."""
    workers = {
        worker: f"w{number}"
        for number, worker in enumerate(
            worker for pool in fleet.get("pools", {}).values() for worker in pool["workers"]
        )
    }
    carriers: dict[str, str] = {}
    for number, (pop, told) in enumerate(fleet.get("pops", {}).items()):
        yield f'  p{number}["PoP {_label(pop, places)}"]'
        for up in told.get("upstreams", {}).values():
            carrier = f"AS{int(up['asn'])}"
            if carrier not in carriers:
                carriers[carrier] = f"a{len(carriers)}"
                yield f'  {carriers[carrier]}(["{carrier}"])'
            how = "BGP in WireGuard" if up.get("tunnel") else "BGP"
            yield f'  {carriers[carrier]} ---|"{how}"| p{number}'
        yield from (f'  p{number} ---|"WireGuard"| {ident}' for ident in workers.values())
    for worker, ident in workers.items():
        yield f'  {ident}["worker {_label(worker, places)}"]'


def _label(name: str, places: Places) -> str:
    """A name and where it stands, without what would end a label."""
    at = places.places.get(name)
    where = [at.provider, at.site, at.country] if at else []
    text = ", ".join([name, *filter(None, where)])
    return text.replace('"', "'").replace("#", "").replace("\n", " ")


def _sessions(fleet: Tree) -> Iterator[str]:
    yield "| PoP | upstream | AS | families | password | TTL security | BFD |"
    yield "|---|---|---|---|---|---|---|"
    for pop, told in fleet.get("pops", {}).items():
        for name, up in told.get("upstreams", {}).items():
            families = ", ".join(f"IPv{int(family)}" for family in up.get("families", ()))
            password = _or_why(up.get("md5"), up.get("md5_waived_because"))
            bfd = _or_why(up.get("bfd"), up.get("bfd_waived_because"))
            ttl = "yes" if up.get("ttl_security") else "no"
            cells = (pop, name, f"AS{int(up['asn'])}", families, password, ttl, bfd)
            yield f"| {' | '.join(cell(each) for each in cells)} |"


def _or_why(there: object, reason: object) -> str:
    if there is True:
        return "yes"
    return f"no: {reason}" if reason else "no"


def _prefixes(fleet: Tree) -> Iterator[str]:
    yield "| prefix | gated by |"
    yield "|---|---|"
    for told in fleet.get("prefixes", {}).values():
        yield f"| {cell(told['cidr'])} | {cell(', '.join(told.get('services') or ()))} |"


def _services(fleet: Tree) -> Iterator[str]:
    yield "| service | addresses | port | pool |"
    yield "|---|---|---|---|"
    vips = fleet.get("vips", {})
    for name, told in fleet.get("services", {}).items():
        addresses = ", ".join(vips.get(told.get("vip")) or ())
        cells = (name, addresses, str(int(told.get("port") or 0)), str(told.get("pool") or ""))
        yield f"| {' | '.join(cell(each) for each in cells)} |"
