"""What a name server said: octets of a message -> records in the form that zones are held in.

dnspython reads messages as well; it makes an object of each record, and comparing zones of ten
thousand records over several servers is mostly that. Here names become their one text, data its
canonical octets, and everything unusual is still dnspython's to read.

Sources: RFC 1035 4.1, RFC 3597 4 (which data may have compressed names), RFC 4034 6.2, RFC 6891.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import dns.exception
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from loopback_iac.dns import names

IN = 1
OPT, TSIG, RRSIG = 41, 250, 46
NSID = 3  # RFC 5001
HEADER = struct.Struct(">HHHHHH")
FIXED = struct.Struct(">HHIH")
MAX_POINTERS = 127  # a name of 255 octets has no more labels
# their data has no name in it, or one that is neither compressed nor lowered (RFC 6840 5.1)
_PLAIN = frozenset(
    {"A", "AAAA", "CAA", "CDNSKEY", "CDS", "DNSKEY", "DS", "HTTPS", "NSEC", "NSEC3", "NSEC3PARAM"}
    | {"OPENPGPKEY", "SSHFP", "SVCB", "TLSA", "TXT", "ZONEMD"}
)
_SIZES = {"A": 4, "AAAA": 16}


class MalformedMessage(ValueError):  # noqa: N818  # named for what came
    """Octets that are no message of DNS."""


class Record(NamedTuple):
    """One record; `owner` and `wire` as `zone.RRset` holds them."""

    owner: str
    type: str
    ttl_s: int
    wire: bytes


class Message(NamedTuple):
    """One answer of a server."""

    id: int
    rcode: str
    authoritative: bool
    truncated: bool
    question: tuple[str, str] | None
    answer: tuple[Record, ...]
    authority: tuple[Record, ...]
    additional: tuple[Record, ...]
    nsid: str
    tsig_at: int
    """Where a TSIG record begins; 0: there is none."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Why there is no answer."""

    why: str


Reply = Message | Silence


def parse_message(octets: bytes) -> Message:
    """A response as it came from the network.

    Raises: MalformedMessage, and nothing else, for any octets at all.
    """
    try:
        return _parse(octets)
    except MalformedMessage:
        raise
    except (struct.error, IndexError, ValueError, dns.exception.DNSException) as cause:
        raise MalformedMessage(str(cause) or type(cause).__name__) from None


def _parse(octets: bytes) -> Message:
    ident, flags, *counts = HEADER.unpack_from(octets)
    if not flags & 0x8000:
        raise MalformedMessage("a question came back, no answer")
    if counts[0] > 1:
        raise MalformedMessage(f"{counts[0]} questions")
    at, reader = HEADER.size, _Reader(octets)
    question = None
    if counts[0]:
        owner, at = reader.name(at)
        kind, _ = struct.unpack_from(">HH", octets, at)
        question, at = (owner, type_text(kind)), at + 4
    sections = []
    for count in counts[1:]:
        found, at = reader.records(at, count)
        sections.append(tuple(found))
    if at != len(octets):
        raise MalformedMessage(f"{len(octets) - at} octets after the last record")
    code = (flags & 15) | reader.extended_rcode << 4
    return Message(
        ident,
        dns.rcode.to_text(dns.rcode.Rcode.make(code)),
        bool(flags & 0x0400),
        bool(flags & 0x0200),
        question,
        sections[0],
        sections[1],
        sections[2],
        reader.nsid,
        reader.tsig_at,
    )


class _Reader:
    """One message while it is read; names that were seen are kept by where they stand."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.seen: dict[int, tuple[str, int]] = {}
        self.depth = 0
        self.nsid, self.extended_rcode, self.tsig_at = "", 0, 0

    def name(self, start: int) -> tuple[str, int]:
        """The name at a place, and where it ends there."""
        octets, parts, size, at = self.octets, [], 1, start
        rest, more, end = "", 0, 0
        while length := octets[at]:
            if length >= 0xC0:
                rest, more, end = *self._pointed(at), at + 2
                break
            if length > 63:
                raise MalformedMessage("a label of no known kind")
            label = octets[at + 1 : at + 1 + length]
            size += length + 1
            if len(label) < length:
                raise MalformedMessage("a name that does not end")
            parts.append(_label(label))
            at += length + 1
        size += more - 1 if end else 0
        if size > 255:
            raise MalformedMessage("a name of more than 255 octets")
        text = ".".join(parts) + "." if parts or not end else rest
        if parts and rest not in ("", "."):
            text += rest
        self.seen[start] = text, size
        return text, end or at + 1

    def _pointed(self, at: int) -> tuple[str, int]:
        """The name that a pointer leads to, and its octets; it leads back, so it ends."""
        target = (self.octets[at] & 0x3F) << 8 | self.octets[at + 1]
        if target >= at:
            raise MalformedMessage("a name that points forward")
        known = self.seen.get(target)
        if known is None:
            self.depth += 1
            if self.depth > MAX_POINTERS:
                raise MalformedMessage("a name of too many pointers")
            text, _ = self.name(target)
            self.depth -= 1
            known = text, self.seen[target][1]
        return known

    def records(self, at: int, count: int) -> tuple[list[Record], int]:
        """A section's records without OPT and TSIG, and where it ends."""
        found: list[Record] = []
        octets = self.octets
        for _ in range(count):
            start = at
            owner, at = self.name(at)
            kind, rdclass, ttl_s, size = FIXED.unpack_from(octets, at)
            at += FIXED.size
            end = at + size
            if end > len(octets):
                raise MalformedMessage("a record that does not end")
            if kind == OPT:
                self._read_opt(ttl_s, octets[at:end])
            elif kind == TSIG:
                self.tsig_at = start
            elif rdclass != IN:
                raise MalformedMessage(f"a record of class {rdclass}")
            else:
                ttl_s = 0 if ttl_s >= 1 << 31 else ttl_s  # RFC 2181 8
                type_name = type_text(kind)
                found.append(Record(owner, type_name, ttl_s, self._data(type_name, at, end)))
            at = end
        return found, at

    def _read_opt(self, ttl: int, data: bytes) -> None:
        self.extended_rcode = ttl >> 24
        at = 0
        while at < len(data):
            code, size = struct.unpack_from(">HH", data, at)
            if code == NSID:
                raw = data[at + 4 : at + 4 + size]
                plain = raw.isascii() and raw.decode("latin-1").isprintable()
                self.nsid = raw.decode("latin-1") if plain else raw.hex()
            at += 4 + size

    def _data(self, kind: str, at: int, end: int) -> bytes:
        octets = self.octets
        if kind in _PLAIN:
            if _SIZES.get(kind, end - at) != end - at:
                raise MalformedMessage(f"{kind} of {end - at} octets")
            return octets[at:end]
        read = _READ.get(kind)
        if read is not None:
            return read(self, at, end)
        number = dns.rdatatype.from_text(kind)
        data = dns.rdata.from_wire(dns.rdataclass.IN, number, octets, at, end - at)
        return data.to_digestable()

    def _target(self, at: int, end: int) -> bytes:
        text, stop = self.name(at)
        if stop != end:
            raise MalformedMessage("data that does not end with its name")
        return names.name_wire(text)

    def _mx(self, at: int, end: int) -> bytes:
        return self.octets[at : at + 2] + self._target(at + 2, end)

    def _soa(self, at: int, end: int) -> bytes:
        mname, at = self.name(at)
        rname, at = self.name(at)
        if end - at != 20:
            raise MalformedMessage("a SOA that does not end")
        return names.name_wire(mname) + names.name_wire(rname) + self.octets[at:end]

    def _rrsig(self, at: int, end: int) -> bytes:
        signer, stop = self.name(at + 18)
        if stop > end:
            raise MalformedMessage("a signature that does not end")
        return self.octets[at : at + 18] + names.name_wire(signer) + self.octets[stop:end]


_READ: dict[str, Callable[[_Reader, int, int], bytes]] = {
    "MX": _Reader._mx,  # noqa: SLF001  # a table of this module's own
    "RRSIG": _Reader._rrsig,  # noqa: SLF001  # as above
    "SOA": _Reader._soa,  # noqa: SLF001  # as above
    **dict.fromkeys(("CNAME", "DNAME", "NS", "PTR"), _Reader._target),  # noqa: SLF001  # as above
}


@lru_cache(maxsize=256)
def type_text(number: int) -> str:
    """The name of a type by its number."""
    return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(number))


@lru_cache(maxsize=256)
def type_number(kind: str) -> int:
    """The number of a type by its name."""
    return int(dns.rdatatype.from_text(kind))


@lru_cache(maxsize=65536)
def _label(label: bytes) -> str:
    return names.label_text(label)
