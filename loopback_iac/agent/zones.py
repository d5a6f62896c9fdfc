"""Zones and the name servers that hold them: what is asked of Knot and NSD, and what they answer.

Knot takes a broken zone file for no reason to stop: it serves the old zone on, and says so in its
log alone. So every file is read by Knot before the swap, and a reload is waited for.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import time
from typing import TYPE_CHECKING

from .programs import run
from .refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .bundle import HostSet

KNOT, NSD = "/etc/knot/knot.conf", "/etc/nsd/nsd.conf"
KNOT_TLS = ("/etc/knot/transport.key", "/etc/knot/transport.pem")
NSD_TLS = "/etc/nsd/transport.pem"
ZONES = "/etc/loopback/zones"
ENDED = f"{ZONES}/ended"
_ZONE = re.compile(re.escape(ZONES) + r"/([a-z0-9_][a-z0-9_.-]*\.)(zone|json)")
_LISTEN = re.compile(r"^ +(?:listen: \[([^]]*)\]|ip-address: (\S+))$", re.MULTILINE)
# signing all zones anew takes as long as that; the apply's own limit lies above it
LOAD_S = 100
MAX_TOLD = 3
# new zones that came by themselves; none for so long, or not all by then: the rest is asked why
STALL_S, AWAIT_S = 3.0, 15.0
PATIENCE_S = 1.0
# RFC 1035 4.1.1: an answer, authoritative, and the code in the last four bits
_QR, _AA, _RCODE = 0x8000, 0x0400, 0x000F
_SOA, _IN = 6, 1


def zone_of(path: str) -> str | None:
    """The zone's name, with its final dot, when `path` is a zone file, or a zone's top."""
    found = _ZONE.fullmatch(path)
    return found.group(1) if found else None


def top_of(path: str) -> str | None:
    """The same of the top of a zone that changes by update alone."""
    return zone_of(path) if path.endswith("json") else None


def zones_of(kept: HostSet) -> list[str]:
    """Zones that a set declares, sorted."""
    return sorted(zone for zone in map(zone_of, kept.files) if zone)


def check_knot(stage: str, staged: HostSet) -> str | None:
    """Have Knot read the staged configuration and every zone of it.

    Out: its complaint, or None.
    """
    copy = f"{stage}/knot.conf"
    with open(copy, "w", encoding="utf-8") as stream:
        stream.write(staged.files[KNOT].text.replace(ZONES, stage + ZONES))
    words = ["conf-check", *(["zone-check"] if zones_of(staged) else [])]
    for word in words:
        outcome = run("knotc", "-c", copy, word, timeout_s=LOAD_S)
        if outcome.code:
            return outcome.complaint.replace(stage, "")
    return None


def head_of(text: str) -> str:
    """What Knot takes in at its start only: all that stands before its keys."""
    return text.partition("\nkey:\n")[0]


def await_zones(zones: Sequence[str]) -> None:
    """Wait until Knot, which has read its configuration, answers for zones that are new in it.

    It loads them by itself, and the list of zones is told behind them: to load each again would
    hold that up for as long. Only what does not come is, for the reason.

    Raises: RefusedError, as `load_zones`.
    """
    with open(KNOT, encoding="utf-8") as stream:
        mine = [address for address in listen_addresses(stream.read()) if _is_own(address)]
    left, last = list(zones), time.monotonic() + AWAIT_S
    end = time.monotonic() + STALL_S
    while left and mine and time.monotonic() < min(end, last):
        found = _unserved(mine[0], left)
        if len(found) < len(left):
            left, end = found, time.monotonic() + STALL_S
        else:
            time.sleep(0.02)
    if left:
        load_zones(left)


def _unserved(address: str, zones: Sequence[str]) -> list[str]:
    """Zones without an answer yet; of the rest, once some have none, it is not asked."""
    missing: list[str] = []
    for at, zone in enumerate(zones):
        if ask_soa(address, zone) != "served":
            missing.append(zone)
        if len(missing) == MAX_TOLD:
            return [*missing, *zones[at + 1 :]]
    return missing


def load_zones(zones: Sequence[str]) -> None:
    """Have Knot read zones again, and wait once until all are signed.

    Knot goes on behind a zone that it refuses, so all that it refuses are told at once.

    Raises: RefusedError; Knot serves zones that it refused as they were.
    """
    words = ("knotc", "-b", "-t", str(LOAD_S), "zone-reload", *zones)
    outcome = run(*words, timeout_s=LOAD_S + 5)
    if not outcome.code:
        return
    refused = [zone for zone in zones if f"[{zone}]" in outcome.complaint]
    last = str(min(40 + 20 * len(zones), 2000))
    lines = run("journalctl", "-u", "knot", "-n", last, "--no-pager", "-o", "cat").out.splitlines()
    said = [line for zone in refused[:MAX_TOLD] for line in lines if f"[{zone}]" in line][-12:]
    raise RefusedError(
        f"knot did not load {_listed(refused or zones)}: {outcome.complaint}\n    "
        + "\n    ".join(said),
        fix="correct the zone; the one before is served on",
    )


def _listed(zones: Sequence[str]) -> str:
    more = f" and {len(zones) - MAX_TOLD} more" if len(zones) > MAX_TOLD else ""
    return ", ".join(zones[:MAX_TOLD]) + more


def check_answers(kept: HostSet) -> list[str]:
    """What the name server of a set does not answer, as sentences.

    A primary has to answer for every zone; others may still wait for theirs.
    """
    text = next(kept.files[path].text for path in (KNOT, NSD) if path in kept.files)
    mine = [address for address in listen_addresses(text) if _is_own(address)]
    missing, zones = [], zones_of(kept)
    for address in mine:
        for zone in zones or ["."]:
            word = ask_soa(address, zone)
            if word is None:
                missing.append(f"an answer at {address} port 53")
                break
            if zones and word != "served":
                missing.append(f"{zone} at {address} ({word})")
    return missing


def listen_addresses(text: str) -> list[str]:
    """Addresses that a configuration of ours binds, in its order."""
    found = []
    for listed, one in _LISTEN.findall(text):
        found += [part.split("@")[0] for part in listed.split(", ")] if listed else [one]
    return found


def _is_own(address: str) -> bool:
    """Whether it stands on the host: others may come later."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def ask_soa(address: str, zone: str, timeout_s: float = PATIENCE_S) -> str | None:
    """Ask one name server for the SOA of one zone, over UDP.

    Out: `served` for an authoritative answer that has it, else what was said; None for silence.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    number = int.from_bytes(os.urandom(2))
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as line:
            line.settimeout(timeout_s)
            line.connect((address, 53))
            line.send(render_question(number, zone))
            return parse_answer(number, line.recv(4096))
    except OSError:
        return None


def render_question(number: int, zone: str) -> bytes:
    """A query for a SOA, RFC 1035 4.1."""
    labels = [label.encode("ascii") for label in zone.split(".") if label]
    name = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return struct.pack("!6H", number, 0, 1, 0, 0, 0) + name + struct.pack("!2H", _SOA, _IN)


def parse_answer(number: int, told: bytes) -> str | None:
    """Out: as `ask_soa`; None for what is no answer to this question."""
    if len(told) < 12:
        return None
    ident, flags, _, answers, _, _ = struct.unpack("!6H", told[:12])
    if ident != number or not flags & _QR:
        return None
    if flags & _RCODE:
        return f"rcode {flags & _RCODE}"
    return "served" if flags & _AA and answers else "no authoritative answer"


def report_zones(kept: HostSet | None) -> dict[str, dict[str, object]]:
    """By zone of a primary: its serial, and the DS records that its parent has to have."""
    if kept is None or not zones_of(kept) or not os.path.exists("/run/knot/knot.sock"):
        return {}
    return {zone: _report_zone(zone) for zone in zones_of(kept)}


def _report_zone(zone: str) -> dict[str, object]:
    read = run("knotc", "-t", "5", "zone-read", zone, "@", "SOA").out.split()
    serial = read[6] if len(read) > 6 and read[6].isdigit() else None
    lines = run("keymgr", zone, "ds").out.splitlines()
    # SHA-256 (RFC 4509); the others name the same keys
    ds = [line.split(" DS ", 1)[-1] for line in lines if line.split()[-2:-1] == ["2"]]
    return {"serial": int(serial) if serial else None, "ds": sorted(ds)}
