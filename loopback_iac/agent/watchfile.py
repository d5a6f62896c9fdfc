"""watch.json as values: what the watch looks at and which gate file it owns."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from .bundle import parse_json
from .refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

WATCH = "/etc/loopback/watch.json"
GATE_FOLDER = "/run/loopback/gate/"
_GATE = re.compile(re.escape(GATE_FOLDER) + r"gate[46]-[a-z0-9][a-z0-9-]*\.conf")


class Announcement(NamedTuple):
    """A prefix with the services that gate it and the three texts of its gate file."""

    name: str
    family: int
    gate: str
    texts: dict[str, str]  # open, deprefer, closed
    services: tuple[str, ...]
    mode: str
    names: tuple[str, ...] = ()  # addresses in it whose answers about zones gate it


class Service(NamedTuple):
    """Listeners that have to exist, and the HAProxy backend whose servers are its workers."""

    listeners: tuple[tuple[str, int], ...]
    backend: str
    limits: tuple[str, ...] = ()


class NameService(NamedTuple):
    """The name server of this host: its unit, and the zone that lists its zones."""

    unit: str
    catalog: str
    list_at: str  # where it gives the list of its zones


class Watch(NamedTuple):
    """The whole file."""

    role: str
    announcements: tuple[Announcement, ...]
    services: dict[str, Service]
    tunnels: tuple[str, ...]
    return_hold_s: float
    drain_s: float
    haproxy_socket: str
    bird_socket: str
    blackhole_budget: int = 0
    blackhole_sessions: Mapping[str, int] = MappingProxyType({})  # name in BIRD -> family
    blackhole_refusing: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()  # tunnels that carry no traffic while keys are rotated
    upstream_tunnels: tuple[str, ...] = ()  # to routers that BGP is spoken with
    name_service: NameService | None = None


def parse_watch(content: bytes) -> Watch:
    """Read watch.json.

    Raises: RefusedError naming the entry that does not fit.
    """
    value = parse_json(content, "watch.json")
    try:
        services = {
            name: Service(
                tuple((str(a), int(p)) for a, p in entry["listeners"]),
                str(entry["backend"]),
                tuple(map(str, entry.get("limits", []))),
            )
            for name, entry in sorted(value.get("services", {}).items())
        }
        announcements = tuple(
            _parse_announcement(name, entry, services)
            for name, entry in sorted(value.get("announcements", {}).items())
        )
        names = _parse_name_service(value.get("name_service"))
        for each in announcements:
            if each.names and names is None:
                raise RefusedError(f"watch.json: {each.name} is gated by names, and nobody answers")
        blackhole = value.get("blackhole", {})
        return Watch(
            str(value["role"]),
            announcements,
            services,
            tuple(sorted(map(str, value.get("tunnels", [])))),
            float(value.get("return_hold_s", 10)),
            float(value.get("drain_s", 30)),
            str(value.get("haproxy_socket", "/run/haproxy/loopback.sock")),
            str(value.get("bird_socket", "/run/bird/bird.ctl")),
            int(blackhole.get("budget", 0)),
            {str(n): int(f) for n, f in sorted(blackhole.get("sessions", {}).items())},
            tuple(map(str, blackhole.get("refusing", []))),
            tuple(map(str, value.get("tunnels_beside", []))),
            tuple(map(str, value.get("upstream_tunnels", []))),
            names,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as wrong:
        raise RefusedError(
            f"watch.json does not fit format 1: {type(wrong).__name__} {wrong}"
        ) from wrong


def _parse_name_service(entry: dict[str, Any] | None) -> NameService | None:
    if entry is None:
        return None
    if entry["unit"] not in ("knot", "nsd"):
        raise RefusedError(f"watch.json: the name server {entry['unit']!r}; knot and nsd exist")
    return NameService(
        entry["unit"],
        str(entry["catalog"]),
        str(entry["list_at"]),
    )


def _parse_announcement(
    name: str, entry: dict[str, Any], services: dict[str, Service]
) -> Announcement:
    gate, mode = entry["gate"], entry["mode"]
    if not _GATE.fullmatch(gate):
        raise RefusedError(
            f"watch.json: the gate {gate!r} is not {GATE_FOLDER}gate<4 or 6>-<name>.conf"
        )
    if mode not in ("all", "any"):
        raise RefusedError(f"watch.json: announcement {name} has mode {mode!r}; all and any exist")
    unknown = sorted(set(entry["services"]) - set(services))
    if unknown:
        raise RefusedError(
            f"watch.json: announcement {name} is gated by unknown services {', '.join(unknown)}"
        )
    texts = {position: str(entry[position]) for position in ("open", "deprefer", "closed")}
    return Announcement(
        name,
        int(entry["family"]),
        gate,
        texts,
        tuple(entry["services"]),
        mode,
        tuple(map(str, entry.get("names", []))),
    )


def read_watch(path: str = WATCH) -> Watch | None:
    """The watch file that stands on the host, or None."""
    try:
        with open(path, "rb") as stream:
            return parse_watch(stream.read())
    except FileNotFoundError:
        return None
