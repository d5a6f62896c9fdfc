"""DNS messages: as much of RFC 1035 as the health gate has to read.

What comes in may be anything; a message that does not fit is None, never an exception.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

SOA, PTR, AXFR = 6, 12, 252
_IN = 1
# RFC 1035 4.1.1: an answer, authoritative, cut off, and the code in the last four bits
QR, AA, TC, RCODE = 0x8000, 0x0400, 0x0200, 0x000F
_LONGEST = 255  # RFC 1035 2.3.4


class Record(NamedTuple):
    """A resource record; of its data only the name a PTR points to is read."""

    owner: str
    kind: int
    target: str


class Message(NamedTuple):
    """An answer: what was asked, and the records of its answer section."""

    number: int
    flags: int
    asked: tuple[str, int] | None  # a transfer's later messages repeat no question
    answers: tuple[Record, ...]


def render_query(number: int, name: str, kind: int) -> bytes:
    """A question, RFC 1035 4.1."""
    labels = [label.encode("ascii") for label in name.split(".") if label]
    wire = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return struct.pack("!6H", number, 0, 1, 0, 0, 0) + wire + struct.pack("!2H", kind, _IN)


def parse_message(told: bytes) -> Message | None:
    """In: one message, without the length that TCP puts before it."""
    try:
        number, flags, questions, answers, _, _ = struct.unpack_from("!6H", told)
        at = 12
        asked = None
        for _ in range(questions):
            name, at = _read_name(told, at)
            asked = (name, struct.unpack_from("!H", told, at)[0])
            at += 4
        records = []
        for _ in range(answers):
            owner, at = _read_name(told, at)
            kind, _, _, length = struct.unpack_from("!HHIH", told, at)
            at += 10
            target = _read_name(told, at)[0] if kind == PTR else ""
            records.append(Record(owner, kind, target))
            at += length
        if at > len(told):
            return None
    except (struct.error, IndexError, ValueError):
        return None
    return Message(number, flags, asked, tuple(records))


def _read_name(told: bytes, at: int) -> tuple[str, int]:
    """A name in lower case with its final dot, and where what follows it begins.

    Raises: ValueError, IndexError.
    """
    labels: list[str] = []
    after, size = None, 0
    while True:
        length = told[at]
        if length >= 0xC0:  # RFC 1035 4.1.4: to an earlier place, so this ends
            to = (length & 0x3F) << 8 | told[at + 1]
            after = at + 2 if after is None else after
            if to >= at:
                raise ValueError("a name that points ahead")
            at = to
            continue
        at += 1
        if not length:
            break
        size += length + 1
        if length > 63 or size >= _LONGEST or at + length > len(told):
            raise ValueError("no name")
        labels.append(told[at : at + length].decode("latin-1").lower())
        at += length
    return ".".join(labels) + ".", at if after is None else after
