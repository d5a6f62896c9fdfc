"""Addresses given up: what the program declares and what an operator adds by hand, in two sets of
files.

BIRD and nftables include both. Nothing but single own addresses gets out of BIRD's export filter,
so the worst a wrong line can do is to give up an address of ours.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from .files import replace
from .gates import BirdError, configure_bird, tell_bird
from .programs import active_units, must, run
from .refusal import RefusedError
from .watchfile import read_watch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .watchfile import Watch

DECLARED, BY_HAND = "/etc/loopback/blackhole", "/var/lib/loopback/blackhole"
_ROUTE = re.compile(r"route (\S+)/(32|128) blackhole;(?: # (.*))?")
_ELEMENT = re.compile(r"add element inet loopback blackholed([46]) \{ (\S+) \}")


class Hole(NamedTuple):
    """An address that is given up, why, and by whom: `declared` or `by hand`."""

    address: str
    reason: str
    origin: str


def family_of(address: str) -> int:
    """4 or 6."""
    return 6 if ":" in address else 4


def parse_holes(text: str, family: int, origin: str) -> Iterator[Hole]:
    """Lines of one file for BIRD.

    Raises: RefusedError naming the line that gives up anything but one address.
    """
    for number, line in enumerate(text.splitlines(), 1):
        found = _ROUTE.fullmatch(line)
        length = {4: "32", 6: "128"}[family]
        with contextlib.suppress(ValueError):
            if found and found.group(2) == length:
                address = ipaddress.ip_address(found.group(1))
                if address.version == family:
                    yield Hole(str(address), found.group(3) or "", origin)
                    continue
        raise RefusedError(f"line {number}: {line!r} gives up no single IPv{family} address")


def check_elements(text: str) -> None:
    """Lines of the file for nftables.

    Raises: RefusedError naming the line that is no element of our sets.
    """
    for number, line in enumerate(text.splitlines(), 1):
        found = _ELEMENT.fullmatch(line)
        with contextlib.suppress(ValueError):
            if found and ipaddress.ip_address(found.group(2)).version == int(found.group(1)):
                continue
        raise RefusedError(f"line {number}: {line!r} adds no single address to our sets")


def read_holes() -> list[Hole]:
    """Everything that is given up on this host, declared first, by family and as written.

    Raises: RefusedError naming the file and its line that is not one of ours.
    """
    found: list[Hole] = []
    for origin, place in (("declared", DECLARED), ("by hand", BY_HAND)):
        for family in (4, 6):
            path = f"{place}{family}.conf"
            with (
                contextlib.suppress(FileNotFoundError),
                open(path, encoding="utf-8") as stream,
            ):
                found += _parse_file(path, stream.read(), family, origin)
    return found


def _parse_file(path: str, text: str, family: int, origin: str) -> list[Hole]:
    try:
        return list(parse_holes(text, family, origin))
    except RefusedError as strange:
        raise RefusedError(
            f"{path}, {strange.what}",
            fix="somebody else wrote it: take the line out, then again",
        ) from strange


def load_holes() -> None:
    """Make nftables and BIRD hold what the files say; counters of what stays are kept.

    A daemon that does not run reads the same files when it starts.
    """
    holes = read_holes()
    counted = read_dropped()
    if counted is not None:
        wanted = {hole.address for hole in holes}
        lines = [
            f"{verb} element inet loopback blackholed{family_of(address)} {{ {address} }}"
            for verb, addresses in (
                ("add", wanted - set(counted)),
                ("delete", set(counted) - wanted),
            )
            for address in sorted(addresses)
        ]
        if lines:
            must("nft", "-f", "-", stdin="\n".join(lines) + "\n")
    watch = read_watch()
    if watch and "bird" in active_units("bird"):
        try:
            configure_bird(watch.bird_socket)
        except BirdError as refused:
            raise RefusedError(f"bird did not take its configuration: {refused}") from refused


def read_dropped() -> dict[str, int] | None:
    """Packets dropped on this host by address; None when there is no table of ours."""
    counted = {}
    for family in (4, 6):
        told = run("nft", "-j", "list", "set", "inet", "loopback", f"blackholed{family}")
        if told.code:
            return None
        for entry in json.loads(told.out)["nftables"][1]["set"].get("elem", []):
            element = entry["elem"]
            counted[str(ipaddress.ip_address(element["val"]))] = element["counter"]["packets"]
    return counted


def forget_by_hand() -> None:
    """Take back all that was given up by hand: the host is being released."""
    for ending in ("4.conf", "6.conf", ".nft"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(BY_HAND + ending)


def report_holes(watch: Watch | None) -> list[dict[str, Any]]:
    """What is given up, by whom, to which sessions it is announced, and what was dropped here."""
    try:
        holes = read_holes()
    except RefusedError as strange:  # somebody else wrote it; a report has to come all the same
        holes = [Hole("unknown", strange.what, "by hand")]
    if not holes:
        return []
    dropped, announced = read_dropped() or {}, read_announced(watch)
    return [
        {
            "address": hole.address,
            "origin": hole.origin,
            "reason": hole.reason,
            "announced_to": announced.get(hole.address, []),
            "dropped_packets": dropped.get(hole.address),
        }
        for hole in holes
    ]


def read_announced(watch: Watch | None) -> dict[str, list[str]]:
    """Sessions by the single address that BIRD announces to them."""
    found: dict[str, list[str]] = {}
    if watch is None:
        return found
    for session in watch.blackhole_sessions:
        try:
            lines = tell_bird(watch.bird_socket, f"show route export {session}")
        except BirdError:
            continue
        for line in lines:
            network = re.match(r"(?:\d{4}-| )?([0-9a-f.:]+)/(32|128)\s", line)
            if network and network.group(2) == ("128" if ":" in network.group(1) else "32"):
                found.setdefault(network.group(1), []).append(session)
    return found


def write_by_hand(holes: list[Hole]) -> None:
    """The nftables file first: what a crash leaves behind is dropped, if not announced."""
    mine = [hole for hole in holes if hole.origin == "by hand"]
    elements = [
        f"add element inet loopback blackholed{family_of(h.address)} {{ {h.address} }}\n"
        for h in mine
    ]
    replace(f"{BY_HAND}.nft", "".join(elements).encode(), 0o644)
    for family, length in ((4, 32), (6, 128)):
        routes = [
            f"route {hole.address}/{length} blackhole; # {hole.reason}\n"
            for hole in mine
            if family_of(hole.address) == family
        ]
        replace(f"{BY_HAND}{family}.conf", "".join(routes).encode(), 0o644)
