"""Whether flows may be disturbed by a change: a PoP that announces is drained first then, which
hands its clients to the next PoP and ends what it carries.

Three changes leave flows alone: other limits; a worker that comes, or takes another share; one that
takes no connection and goes. nftables swaps its rules in one transaction, HAProxy's old process
keeps the connections it has, and a tunnel of its own carries nobody else.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from .allowed import DATA_PLANE, parse_place, tunnel_of, unit_of
from .plan import CARRYING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .bundle import SetFile

HAPROXY = "/etc/haproxy/haproxy.cfg"
_SECTIONS = re.compile(
    r"^\s*# (limits|workers): begin\b.*?^\s*# \1: end\n", re.MULTILINE | re.DOTALL
)
_SECTIONED = ("/etc/loopback/nftables.conf", "/etc/loopback/sysctl.conf", HAPROXY)
_BACKEND = re.compile(r"^backend (\S+)$")
_SERVER = re.compile(r"^  server (\S+) (.*?) weight (\d+)$")
# for connections to come; it follows from the farthest worker
_PATIENCE = re.compile(r"^  timeout (?:connect|check) \d+ms$")
_LAST_RESORT = ".last"  # without checks, for the moment when every worker looks dead
_NOTHING: Mapping[str, SetFile] = MappingProxyType({})


class _Server(NamedTuple):
    """What HAProxy does with one worker in one backend."""

    words: str
    weight: int


def touches_data_plane(
    changed: Iterable[str],
    role: str,
    standing: Mapping[str, str] = MappingProxyType({}),
    new: Mapping[str, SetFile] = _NOTHING,
    old: Mapping[str, SetFile] = _NOTHING,
) -> bool:
    """Whether flows may be disturbed by these changes.

    In:  changed paths; the texts that stand on the host, which somebody else may have changed;
         the files to come, and those of the set before.
    """
    idle = _idle_workers(standing.get(HAPROXY, ""))
    return any(
        _carries(path, role)
        and not _only_sections(path, standing, new)
        and not _keeps_tunnels(path, standing, new, old, idle)
        for path in changed
    )


def _carries(path: str, role: str) -> bool:
    return (
        parse_place(path, role).kind in DATA_PLANE
        or _tunnel(path) is not None
        or unit_of(path) in CARRYING
    )


def _tunnel(path: str) -> str | None:
    """The tunnel that a WireGuard file or a drop-in belongs to."""
    unit = unit_of(path) or ""
    if unit.startswith("wg-quick@"):
        return unit.removeprefix("wg-quick@").removesuffix(".service")
    return tunnel_of(path)


def _only_sections(path: str, standing: Mapping[str, str], new: Mapping[str, SetFile]) -> bool:
    if path not in _SECTIONED or path not in standing or path not in new:
        return False
    before, after = (_SECTIONS.sub("", text) for text in (standing[path], new[path].text))
    return before == after or (path == HAPROXY and _keeps_servers(before, after))


def _keeps_servers(before: str, after: str) -> bool:
    """Nothing but servers differs, and none that takes connections goes or is another one."""
    rest, servers = _split_servers(before)
    new_rest, new_servers = _split_servers(after)
    return rest == new_rest and all(
        server.weight == 0 or (key in new_servers and new_servers[key].words == server.words)
        for key, server in servers.items()
        if not key[0].endswith(_LAST_RESORT)
    )


def _split_servers(text: str) -> tuple[list[str], dict[tuple[str, str], _Server]]:
    """Every other line; and servers by backend and name."""
    rest: list[str] = []
    servers: dict[tuple[str, str], _Server] = {}
    backend = ""
    for line in text.splitlines():
        if found := _BACKEND.match(line):
            backend = found.group(1)
        if found := _SERVER.match(line):
            servers[backend, found.group(1)] = _Server(found.group(2), int(found.group(3)))
        elif not _PATIENCE.match(line):
            rest.append(line)
    return rest, servers


def _idle_workers(text: str) -> set[str]:
    """Workers that the HAProxy of this host knows and gives no connection to."""
    _, servers = _split_servers(text)
    known = {(name, s.weight) for (_, name), s in servers.items()}
    return {name for name, _ in known} - {name for name, weight in known if weight}


def _keeps_tunnels(
    path: str,
    standing: Mapping[str, str],
    new: Mapping[str, SetFile],
    old: Mapping[str, SetFile],
    idle: set[str],
) -> bool:
    """Whether a tunnel's file comes with its tunnel, or goes with a worker that is idle."""
    tunnel = _tunnel(path)
    if tunnel is None:
        return False
    if path in new:
        return path not in old and path not in standing
    kind, _, peer = tunnel.partition("-")
    return kind != "up" and peer in idle  # what ends at a router carries everybody
