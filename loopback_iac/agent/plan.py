"""From changed files to what has to be reloaded: pure, so that every mix of changes can be tested.

The order is the order of dependence: users before files that belong to them, units before services,
tunnels before
what goes through them, the firewall before anything is offered, HAProxy before BIRD invites
traffic, the watch last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .allowed import parse_place, tunnel_of, unit_of
from .zones import head_of, top_of, zone_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .bundle import SetFile

ONE_SHOTS = {
    "sysctl": "loopback-sysctl",
    "nftables": "loopback-nftables",
    "routes": "loopback-routes",
}
DAEMONS = {
    "haproxy": "haproxy",
    "bird": "bird",
    "egress": "loopback-egress",
    "watch": "loopback-watch",
    "arbiter": "loopback-arbiter",
    "hold": "loopback-hold",
    "gateway": "loopback-gateway",
    "logs": "loopback-logs",
}
CARRYING = ("haproxy.service", "bird.service")
_RESTARTED = {kind: DAEMONS[kind] for kind in ("watch", "arbiter", "hold", "gateway", "logs")} | {
    "chrony": "chrony"
}
# whoever put addresses on is stopped before they are taken off
_ADDRESSES = ("hold", "gateway")
_COUNTING = ("loopback-metrics.service", "loopback-names.service")
_OWN_STEPS = ("chrony", "sshd", "blackholes")
# what is read before the swap, and by nobody afterwards; what a timer's next run reads
_STEPLESS = ("ended", "look")
# keys and certificates are read at the start
_TLS = {"knot-tls": "knot-restart", "nsd-tls": "nsd"}
_LESSER = {
    "haproxy-restart": "haproxy", "bird-restart": "bird", "tunnel-restart": "tunnel-peers",
    "knot-restart": "knot", "egress-restart": "egress",
}  # fmt: skip
_ORDER = (
    "sysusers", "units", "tmpfiles", "tunnel-restart", "tunnel-peers", "sysctl", "nftables",
    "routes", "apt", "backup",
    "exporter", "logs", "chrony", "sshd", "haproxy", "haproxy-restart", "bird", "bird-restart",
    "egress", "egress-restart",
    "blackholes", "knot", "knot-restart", "nsd", "tops", "new-zones", "zones",
    "watch", "arbiter", "hold", "gateway",
)  # fmt: skip


class Step(NamedTuple):
    """One thing to do after the swap."""

    kind: str
    name: str = ""


def plan_steps(
    changed: Iterable[str],
    old: Mapping[str, SetFile],
    new: Mapping[str, SetFile],
    role: str,
) -> list[Step]:
    """What to reload.

    In:  paths that changed (a path missing in `new` was removed); the files before and after.
    Out: steps in the order in which they are done, each once; all zones are one, all that are new
         another, and one that goes is in the configuration no more: nothing is left to load.
    """
    zones: list[str] = []
    others: list[str] = []
    for path in changed:
        (zones if zone_of(path) else others).append(path)
    steps = _zone_steps(zones, old, new)
    for path in others:
        kind = parse_place(path, role).kind
        tunnel = tunnel_of(path)
        unit = unit_of(path)
        if kind in ("unit", "drop-in"):
            steps.add(Step("units"))
            steps |= _unit_steps(path, unit or "", new)
        elif tunnel and path in new:
            steps.add(Step(_tunnel_step(old.get(path), new[path]), tunnel))
        elif kind == "exporter" and path in new:
            steps.add(Step(kind, path.rsplit("/", 1)[1]))
        elif kind == "knot":
            steps |= _knot_steps(path, old, new)
        elif kind in _TLS and path in new:
            steps.add(Step(_TLS[kind]))
        elif kind in _OWN_STEPS or (path in new and not tunnel and kind not in _STEPLESS):
            steps.add(Step(kind))
    for step in tuple(steps):  # a restart takes everything in that a reload would
        steps -= {Step(_LESSER.get(step.kind, ""), step.name)}
    return sorted(steps, key=lambda step: (_ORDER.index(step.kind), step.name))


def _zone_steps(
    changed: Iterable[str], old: Mapping[str, SetFile], new: Mapping[str, SetFile]
) -> set[Step]:
    """One wait for all zones that are new, one for all others: it ends before the apply's own.

    A zone that was one of updates until now has been there already.
    """
    known = {zone_of(path) for path in old}
    zones: dict[str, list[str]] = {}
    for path in changed:
        zone = zone_of(path) or ""
        if path not in new:
            continue
        declared = "zones" if zone in known else "new-zones"
        word = "tops" if top_of(path) else declared
        zones.setdefault(word, []).append(zone)
    return {Step(word, " ".join(sorted(found))) for word, found in zones.items()}


def _unit_steps(path: str, unit: str, new: Mapping[str, SetFile]) -> set[Step]:
    """A changed unit or drop-in takes hold by restarting what it describes.

    For HAProxy, BIRD and tunnels that cuts flows, so these count as data plane: drained before.
    """
    if path not in new:
        return set()
    if unit.startswith("wg-quick@"):
        return {Step("tunnel-restart", unit.removeprefix("wg-quick@").removesuffix(".service"))}
    if unit in CARRYING:
        return {Step(f"{unit.removesuffix('.service')}-restart")}
    for kind, service in {**ONE_SHOTS, **_RESTARTED, "egress-restart": DAEMONS["egress"]}.items():
        if unit == f"{service}.service":
            return {Step(kind)}
    if unit.startswith("prometheus-") or unit in _COUNTING:
        return {Step("exporter", unit.removesuffix(".service"))}
    return set()


def _knot_steps(path: str, old: Mapping[str, SetFile], new: Mapping[str, SetFile]) -> set[Step]:
    if path not in new:
        return set()
    before = old.get(path)
    known = before is not None and head_of(before.text) == head_of(new[path].text)
    return {Step("knot" if known else "knot-restart")}


def _tunnel_step(old: SetFile | None, new: SetFile) -> str:
    """`tunnel-peers` when a running tunnel can take the change without going down."""
    if old is None or old.mode != new.mode:
        return "tunnel-restart"
    return "tunnel-peers" if _frame(old.text) == _frame(new.text) else "tunnel-restart"


def _frame(text: str) -> list[str]:
    """What only a restart applies: [Interface], and the peers' routes."""
    kept, section = [], ""
    for raw in text.splitlines():
        line = raw.split("#", 1)[0].strip()
        if line.startswith("["):
            section = line.lower()
        if section == "[interface]" or line.lower().startswith("allowedips"):
            kept.append(line)
    return kept


def plan_retired(old: Mapping[str, SetFile], new: Mapping[str, SetFile], role: str) -> list[Step]:
    """What has to stop because its file is no longer part of the set.

    Out: steps (kind, unit or tunnel), routes and firewall late: they guard the rest until it is
         gone; a failover address after the unit that would take it again.
    """
    gone = []
    for path in old:
        if path in new:
            continue
        kind = parse_place(path, role).kind
        tunnel, unit = tunnel_of(path), unit_of(path)
        if tunnel:
            gone.append(Step("tunnel", tunnel))
        elif kind == "unit":
            gone.append(Step("unit", unit or ""))
        elif kind == "exporter":
            gone.append(Step(kind, path.rsplit("/", 1)[1]))
        elif kind in ("watch", "haproxy", "bird", "routes", "nftables", *_ADDRESSES, "knot", "nsd"):
            gone.append(Step(kind))
    order = (
        "watch",
        "bird",
        "haproxy",
        "knot",
        "nsd",
        "exporter",
        "tunnel",
        "routes",
        "nftables",
        "unit",
        *_ADDRESSES,
    )
    return sorted(gone, key=lambda step: (order.index(step.kind), step.name))


def services_of(files: Mapping[str, SetFile], role: str) -> list[str]:
    """Units that run when this set stands, sorted; what a timer starts is no part of it."""
    units = set()
    timed = {path.removesuffix(".timer") for path in files if path.endswith(".timer")}
    for path in files:
        kind = parse_place(path, role).kind
        tunnel, unit = tunnel_of(path), unit_of(path)
        if tunnel:
            units.add(f"wg-quick@{tunnel}")
        elif kind == "unit" and unit and unit.endswith(".service"):
            if path.removesuffix(".service") not in timed:
                units.add(unit.removesuffix(".service"))
        elif kind == "unit" and unit and unit.endswith(".timer"):
            units.add(unit)
        elif kind in ("haproxy", "bird", "chrony", "knot", "nsd"):
            units.add(kind)
        elif kind == "exporter":
            units.add(path.rsplit("/", 1)[1])
    return sorted(units)
