"""Asking the host's own name server, over UDP and TCP, at the address that clients use.

Which zones there are, it says itself: the catalog (RFC 9432) that it got from the primary. So a
zone that comes or goes is nobody's fault here, and no list of zones stands in a file of ours.
"""

from __future__ import annotations

import re
import secrets
import socket
import struct
import threading
import time
from collections import deque
from typing import NamedTuple

from .messages import AA, AXFR, PTR, QR, RCODE, SOA, TC, Message, parse_message, render_query

ROUND_S = 0.2
PATIENCE_S = 0.5  # of one answer, on the same host
TCP_S = 1.0
LIST_S = 5.0
AT_ONCE = 8  # zones asked for in a round
SERVED, LIMITED = "", "limited"
TRANSPORTS = ("udp", "tcp")
_ZONE = re.compile(r"(?:[a-z0-9_-]+\.)+")  # what a primary of ours may name
# One answer may race a change of the catalog; what is still so after that is a fact.
WRONG_S = 1.0
# A zone that is new in the catalog has to be transferred first.
NEW_S = 30.0
# So long without any answer over one transport is no lost packet; and so many questions: a machine
# that was paused has asked none meanwhile.
SILENT_S, SILENT_QUESTIONS = 5.0, 3


class Heard(NamedTuple):
    """What was heard of one address so far; times are of the monotonic clock."""

    since_s: float
    zones: tuple[str, ...] = ()
    whole: bool = False  # every zone was asked for, over both transports
    failing: tuple[tuple[str, float, str, bool], ...] = ()  # zone, since, what, served before
    heard_s: tuple[float, float] = (0.0, 0.0)  # by transport, when something came last
    unanswered: tuple[int, int] = (0, 0)  # by transport, questions since

    def wrong(self, now_s: float) -> tuple[str, ...]:
        """Zones that are not answered for, and have not been for long enough to be sure."""
        return tuple(
            f"{zone} ({what})"
            for zone, since_s, what, known in self.failing
            if self._last_s(now_s) - since_s >= (WRONG_S if known else NEW_S)
        )

    def late(self, now_s: float) -> tuple[str, ...]:
        """Zones that are not answered for, and may be in a moment."""
        return tuple(
            zone
            for zone, since_s, _, known in self.failing
            if self._last_s(now_s) - since_s < (WRONG_S if known else NEW_S)
        )

    def _last_s(self, now_s: float) -> float:
        """When it said something last: while a machine is paused no answer gets older."""
        return min(now_s, max(self.heard_s))

    def silent(self, now_s: float) -> tuple[str, ...]:
        """Transports over which nothing came for so long."""
        return tuple(
            name
            for name, at_s, missed in zip(TRANSPORTS, self.heard_s, self.unanswered, strict=True)
            if missed >= SILENT_QUESTIONS and now_s - max(at_s, self.since_s) >= SILENT_S
        )


class Asker:
    """Asks at one address, in a thread of its own: a server that hangs must delay no other gate."""

    def __init__(self, address: str, catalog: str, list_at: str, port: int = 53) -> None:
        self.address, self.catalog, self.list_at, self.port = address, catalog, list_at, port
        self.heard = Heard(time.monotonic())
        self.zones: tuple[str, ...] = ()
        self.turn: deque[str] = deque()
        self.known: set[str] = set()  # served at least once
        self.asked: set[str] = set()
        self.failing: dict[str, tuple[float, str]] = {}
        self.heard_s = dict.fromkeys(TRANSPORTS, 0.0)
        self.unanswered = dict.fromkeys(TRANSPORTS, 0)
        self.tcp_s = self.listed_s = -LIST_S
        self.thread = threading.Thread(target=self._ask_forever, daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self.thread.start()

    def _ask_forever(self) -> None:
        while True:
            self.ask_round()
            time.sleep(ROUND_S)

    def ask_round(self) -> None:
        """Ask for some zones, and note what was heard."""
        now_s = time.monotonic()
        # whether a zone that fails is still in the list decides whether that is a fault
        again_s = WRONG_S / 2 if self.failing else LIST_S
        if not self.zones or now_s - self.listed_s >= again_s:
            self.listed_s = now_s
            self._list()
        if now_s - self.tcp_s >= TCP_S:
            self.tcp_s = now_s
            self._ask("tcp", self._next(1))
        self._ask("udp", self._next(AT_ONCE))
        self.heard = self._note()

    def _list(self) -> None:
        found = list_zones(self.list_at, self.catalog, self.port)
        if found is None:
            return  # the zones known so far are asked for on
        self.zones = found
        self.turn = deque(found)
        for kept in (self.known, self.asked):
            kept.intersection_update(found)
        self.failing = {zone: why for zone, why in self.failing.items() if zone in found}

    def _next(self, count: int) -> list[str]:
        """Those that failed first, then whose turn it is."""
        failed = list(self.failing)[: count // 2]
        taken = [self.turn[at] for at in range(min(count - len(failed), len(self.turn)))]
        self.turn.rotate(-len(taken))
        # without a list there is still somebody to hear
        return list(dict.fromkeys([*failed, *taken])) or ["."]

    def _ask(self, transport: str, zones: list[str]) -> None:
        for zone in zones:
            said = (ask_udp if transport == "udp" else ask_tcp)(self.address, zone, self.port)
            if said is None:
                self.unanswered[transport] += 1
                return  # the others would only cost the same patience
            now_s = time.monotonic()
            self.heard_s[transport], self.unanswered[transport] = now_s, 0
            if zone not in self.zones or said == LIMITED:
                continue
            self.asked.add(zone)
            if said == SERVED:
                self.known.add(zone)
                self.failing.pop(zone, None)
            else:
                self.failing[zone] = (self.failing.get(zone, (now_s, ""))[0], said)

    def _note(self) -> Heard:
        both = all(at_s > 0 for at_s in self.heard_s.values())
        return Heard(
            self.heard.since_s,
            self.zones,
            both and bool(self.zones) and self.asked.issuperset(self.zones),
            tuple(
                (zone, since_s, what, zone in self.known)
                for zone, (since_s, what) in sorted(self.failing.items())
            ),
            (self.heard_s["udp"], self.heard_s["tcp"]),
            (self.unanswered["udp"], self.unanswered["tcp"]),
        )


def ask_udp(address: str, zone: str, port: int = 53) -> str | None:
    """Ask for the SOA of one zone.

    Out: `SERVED`, `LIMITED` when it is to be asked for by TCP, else what is wrong; None: silence.
    """
    number = secrets.randbelow(1 << 16)
    try:
        with socket.socket(_family(address), socket.SOCK_DGRAM) as line:
            line.settimeout(PATIENCE_S)
            # from that very address: where it is not on this host, another PoP would answer
            line.bind((address, 0))
            line.connect((address, port))
            line.send(render_query(number, zone, SOA))
            return judge(number, zone, parse_message(line.recv(4096)))
    except OSError:
        return None


def ask_tcp(address: str, zone: str, port: int = 53) -> str | None:
    """As `ask_udp`, over TCP."""
    number = secrets.randbelow(1 << 16)
    try:
        with socket.create_connection((address, port), PATIENCE_S, (address, 0)) as line:
            _send(line, render_query(number, zone, SOA))
            return judge(number, zone, parse_message(_receive(line)))
    except OSError:
        return None


def judge(number: int, zone: str, told: Message | None) -> str:
    """Out: as `ask_udp`; anything but a right answer is wrong."""
    if told is None or not told.flags & QR or (told.number, told.asked) != (number, (zone, SOA)):
        return "no answer to what was asked"
    if told.flags & RCODE:
        return f"rcode {told.flags & RCODE}"
    if told.flags & TC:
        return LIMITED
    if not told.flags & AA:
        return "not authoritative"
    return SERVED if (zone, SOA) in {(r.owner, r.kind) for r in told.answers} else "no SOA"


def list_zones(address: str, catalog: str, port: int = 53) -> tuple[str, ...] | None:
    """Zones that the name server's catalog lists, sorted; it gives it to its own host only.

    Out: None when it has no catalog, or does not answer.
    Sources: RFC 5936 2.2 (a transfer begins and ends with the SOA), RFC 9432 4.1.
    """
    number = secrets.randbelow(1 << 16)
    found: set[str] = set()
    depth, ends = catalog.count(".") + 2, 0
    try:
        with socket.create_connection((address, port), PATIENCE_S, (address, 0)) as line:
            _send(line, render_query(number, catalog, AXFR))
            while ends < 2:
                told = parse_message(_receive(line))
                if told is None or told.number != number or told.flags & RCODE or not told.answers:
                    return None
                ends += sum(record.kind == SOA for record in told.answers)
                found |= {
                    record.target
                    for record in told.answers
                    if record.kind == PTR
                    and record.owner.endswith(f".zones.{catalog}")
                    and record.owner.count(".") == depth
                    and _ZONE.fullmatch(record.target)
                }
    except OSError:
        return None
    return tuple(sorted(found))


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _send(line: socket.socket, message: bytes) -> None:
    line.sendall(struct.pack("!H", len(message)) + message)


def _receive(line: socket.socket) -> bytes:
    """Raises: OSError when the other end closes in the middle."""
    return _exactly(line, struct.unpack("!H", _exactly(line, 2))[0])


def _exactly(line: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = line.recv(size - len(found))
        if not more:
            raise OSError("closed")
        found += more
    return found
