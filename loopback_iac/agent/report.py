"""What is on this host, as facts: read only, except that an apply that was cut off is healed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import subprocess
import time
from typing import TYPE_CHECKING, Any

from .backup import report_backups
from .echo import peer_address, read_pairs, round_trip_ms
from .files import read_on_disk
from .gates import BirdError, read_positions, read_reasons, tell_bird
from .gatewaystatus import report_gateway
from .handover import report_arbiter
from .haproxy import read_servers, read_workers
from .holes import report_holes
from .limits import report_limits
from .listeners import read_listeners
from .programs import memory_kib, run
from .recover import recover_locked
from .refusal import RefusedError
from .sets import read_set
from .sockets import count_connections
from .state import AGENT, alone, read_enrolled, read_state, standing
from .watchfile import Watch, read_watch
from .zones import report_zones

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

_VERSIONS = {
    "bird": ("bird", "--version"),
    "haproxy": ("haproxy", "-v"),
    "nft": ("nft", "--version"),
    "wg": ("wg", "--version"),
    "kernel": ("uname", "-r"),
}
_NUMBER = re.compile(r"\d+(?:\.\d+)+\S*")


def report() -> dict[str, Any]:
    """All facts of this host.

    Out: one JSON value with the same keys every time; null where a daemon gave no answer.
    Units: rtt_ms in milliseconds, ages in seconds, memory in kibibytes.
    """
    host, role = read_enrolled()
    healed = _heal()
    state, watch = read_state(), read_watch()
    return {
        "format": 1,
        "host": host,
        "role": role,
        "agent": _own_digest(),
        "standing": standing(),
        "healed": healed,
        "active": state["active"],
        "pending": _pending(state["pending"]),
        "rolled_back": state["rolled_back"],
        "drain": sorted(who for who, wish in state["drain"].items() if wish),
        "files": _files(state),
        "listening": sorted(f"{address} {port}" for address, port in read_listeners()),
        "bgp": _sessions(watch),
        "tunnels": _tunnels(watch.tunnels) if watch else {},
        "upstream_tunnels": _upstream_tunnels(watch.upstream_tunnels) if watch else {},
        "workers": read_workers(watch.haproxy_socket) if watch and watch.services else None,
        "servers": read_servers(watch.haproxy_socket) if watch and watch.services else None,
        "gates": _gates(watch),
        "limits": report_limits(watch),
        "blackholes": report_holes(watch),
        "arbiter": report_arbiter(),
        "gateway": report_gateway(),
        "zones": report_zones(read_set(state["active"])),
        "time": _time(),
        "backups": report_backups(),
        "memory_kib": memory_kib(),
        "versions": {name: _version(*argv) for name, argv in sorted(_VERSIONS.items())},
    }


def _time() -> dict[str, Any] | None:
    """Whether chrony is in step, and with which source; None where it does not run."""
    try:
        words = run("chronyc", "-n", "-c", "tracking", timeout_s=5).out.strip().split(",")
    except RefusedError:
        return None
    # chronyc(1): the reference is the 2nd field, the leap status the last one
    return {"in_step": words[-1] == "Normal", "source": words[1]} if len(words) > 13 else None


def _heal() -> str | None:
    """Finish the way back of an apply that died; one that runs holds the lock and is left alone."""
    with contextlib.suppress(RefusedError), alone():
        return recover_locked()
    return None


def _own_digest() -> str | None:
    found = read_on_disk(os.path.realpath(AGENT))
    return found.sha256 if found else None


def _pending(pending: dict[str, Any] | None) -> dict[str, Any] | None:
    return pending and {name: pending[name] for name in ("digest", "phase", "changed")}


def _files(state: dict[str, Any]) -> dict[str, str]:
    """Every file of the active set: `as applied`, or what is wrong with it."""
    pending = state["pending"]
    kept = read_set(pending["digest"] if pending else state["active"])
    told = {}
    for path, file in sorted(kept.files.items()) if kept else ():
        try:
            found = read_on_disk(path)
        except RefusedError as strange:
            told[path] = strange.what
            continue
        if found is None:
            told[path] = "missing"
        elif found.sha256 != hashlib.sha256(file.content).hexdigest():
            told[path] = "changed by somebody else"
        else:
            told[path] = "as applied" if found.mode == file.mode else f"mode {found.mode:04o}"
    return told


def _sessions(watch: Watch | None) -> dict[str, str] | None:
    try:
        lines = tell_bird(watch.bird_socket if watch else "/run/bird/bird.ctl", "show protocols")
    except BirdError:
        return None
    rows = (line[5:].split() if line[:4].isdigit() else line.split() for line in lines)
    return {
        row[0]: " ".join([row[3], *row[5:]]) for row in rows if len(row) > 3 and row[1] == "BGP"
    }


def _tunnels(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Through each tunnel: age of the last handshake, round trip, connections that are open."""
    pairs, open_to = read_pairs(), count_connections()
    found = _standing_tunnels(names)
    for name, seen in found.items():
        seen["rtt_ms"] = round_trip_ms(pairs.get(name, ())) if seen["present"] else None
        seen["connections"] = _count(open_to, peer_address(pairs.get(name, ())))
    return found


def _count(open_to: Counter[str] | None, peer: str | None) -> int | None:
    return None if open_to is None or peer is None else open_to[peer]


def _upstream_tunnels(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What the operator of the router wants to know: our key, and when the ends last met.

    Whether it carries is told by the sessions over it; a router need not answer an echo.
    """
    found = _standing_tunnels(names)
    for name, seen in found.items():
        key = run("wg", "show", name, "public-key").out.strip() if seen["present"] else None
        seen["public_key"] = key
    return found


def _standing_tunnels(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Whether each interface is there, and how long ago its ends last met."""
    shaken = _handshakes() if names else {}
    now = int(time.time())
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        present = os.path.exists(f"/sys/class/net/{name}")
        last = shaken.get(name, 0) if present else 0
        found[name] = {"present": present, "handshake_age_s": now - last if last else None}
    return found


def _handshakes() -> dict[str, int]:
    """Interface -> when its last handshake was, in seconds since 1970; 0 for never."""
    lines = run("wg", "show", "all", "latest-handshakes").out.splitlines()
    rows = [line.split() for line in lines]
    return {row[0]: int(row[2]) for row in rows if len(row) == 3}


def _gates(watch: Watch | None) -> dict[str, dict[str, str | None]]:
    reasons = read_reasons()
    found = read_positions(watch) if watch else {}
    return {
        name: {"position": position, "reason": reasons.get(name)}
        for name, position in found.items()
    }


def _version(*argv: str) -> str | None:
    try:
        outcome = run(*argv, timeout_s=5)
    except (RefusedError, subprocess.SubprocessError):
        return None
    found = _NUMBER.search(outcome.out + outcome.err)
    return found.group() if found else None
