"""Zone files (RFC 1035 5): text -> Zone, with file and line of everything that is wrong.

$INCLUDE goes through a callable that the caller gives, so this room opens no file by itself.
$GENERATE is BIND's own and is refused by name.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import dns.ttl

from loopback_iac.dns import names, rdata
from loopback_iac.dns.entries import Entry, Unread, read_entries
from loopback_iac.dns.refusal import Refusal, shown
from loopback_iac.dns.zone import DEFAULT_TTL_S, Key, Zone, check_ttl, make_zone
from loopback_iac.model.problem import InputRejected, Problem

Include = Callable[[str], str]
"""The text of an included file by its name; raises OSError or ValueError when there is none."""

MAX_DEPTH = 16  # of $INCLUDE; nobody nests deeper on purpose
_TTL = re.compile(r"[0-9]+|(?:[0-9]+[wdhms])+", re.IGNORECASE)
_CLASS = re.compile(r"IN|CH|HS|CS|NONE|ANY|CLASS[0-9]+", re.IGNORECASE)
_ORIGIN = re.compile(r"^\$ORIGIN[ \t]+(\S+)", re.MULTILINE | re.IGNORECASE)
_ROOTED = re.compile(r"^([^\s;$@.][^\s;]*?)\.?[ \t].*\bSOA\b", re.MULTILINE | re.IGNORECASE)
_SOA = re.compile(r"^([^\s;$]+\.)[ \t].*\bSOA\b", re.MULTILINE | re.IGNORECASE)


class ReadZone(NamedTuple):
    """A zone, and for each owner and type where its first record stands ("file:line")."""

    zone: Zone
    places: dict[Key, str]


def parse_zone_file(
    text: str,
    origin: str | None = None,
    *,
    title: str = "zone file",
    include: Include | None = None,
) -> Zone:
    """The zone that a zone file describes; arguments and refusals as `read_zone_file`."""
    return read_zone_file(text, origin, title=title, include=include).zone


def read_zone_file(
    text: str,
    origin: str | None = None,
    *,
    title: str = "zone file",
    include: Include | None = None,
) -> ReadZone:
    """A zone file with the places of its records.

    In: `origin`: the zone's name; else the first $ORIGIN, or the owner of the SOA record.
        `title`: the file's name in refusals; `include`: gives the text of $INCLUDE; without it
        $INCLUDE is refused.
    Out: a record that states no TTL has that of $TTL, else the last one stated, else 3600 s; a SOA
        that stands before all of them has its own last field.
    Raises: InputRejected with every problem at once.
    Sources: RFC 1035 5, RFC 2308 4 ($TTL), RFC 2181 5.2 (one TTL per RRset), RFC 3597 5. 3600 s is
        what NSD 4.12 takes.
    """
    problems: list[Problem] = []
    zone = _zone_name(text, origin, title, problems)
    if zone is None:
        raise InputRejected(title, tuple(problems))
    reading = _Reading(zone, include, problems)
    reading.read_file(title, text, zone)
    if problems:
        raise InputRejected(title, tuple(problems))
    ttl_s = DEFAULT_TTL_S if reading.ttl_s is None else reading.ttl_s
    found = {key: (ttl, wires) for key, (ttl, wires) in reading.found.items()}
    return ReadZone(make_zone(zone, ttl_s, found), reading.places)


def _parse_ttl(text: str) -> int:
    try:
        return check_ttl(dns.ttl.from_text(text))
    except dns.ttl.BadTTL:
        need, fix = "seconds of 31 bits (RFC 2181 8)", "write seconds in that range"
        raise Refusal("ttl-range", f"{shown(text)} is no TTL", need, fix) from None


def _zone_name(text: str, origin: str | None, title: str, problems: list[Problem]) -> str | None:
    if origin is None:
        found = _ORIGIN.search(text) or _SOA.search(text)
        if found is None:
            got, need = "says nowhere which zone it is", "$ORIGIN, or a SOA record"
            fix = "write $ORIGIN with the zone's name and a final dot on its first line"
            problems.append(Problem(title, got, need, fix, "origin-missing", f"{title}:1"))
            return None
        if found[1] == ".":
            problems.append(_root(text, title))
            return None
        origin = found[1]
    try:
        return names.parse_zone_name(origin)
    except Refusal as cause:
        problems.append(cause.at("origin"))
        return None


def _root(text: str, title: str) -> Problem:
    """Some servers write $ORIGIN . into their files; the zone is then the one that has the SOA."""
    owner = _ROOTED.search(text)
    line = f"$ORIGIN {owner[1]}." if owner else "$ORIGIN with the zone's name and a final dot"
    got, need = "its first $ORIGIN is the root, which is no zone served here", "the zone's name"
    fix = f"name the zone, or write {line} before it"
    return Problem(title, got, need, fix, "origin-root", f"{title}:1")


@dataclass
class _Reading:
    """What was read so far of one zone, over all its files."""

    zone: str
    include: Include | None
    problems: list[Problem]
    ttl_s: int | None = None
    """Of $TTL."""
    found: dict[Key, tuple[int, list[bytes]]] = field(default_factory=dict)
    places: dict[Key, str] = field(default_factory=dict)
    last_ttl_s: int | None = None
    open_files: list[str] = field(default_factory=list)

    def read_file(self, name: str, text: str, origin: str) -> None:
        """One file; an included one leaves origin and owner of its includer alone."""
        if "\0" in text:
            line = text[: text.index("\0")].count("\n") + 1
            need, fix = "text", "remove it; an octet 0 in a string is written \\000"
            got, place = "a NUL character", f"{name}:{line}"
            self.problems.append(Problem(name, got, need, fix, "control-character", place))
            return
        self.open_files.append(name)
        owner: str | None = None
        for entry in read_entries(text):
            place = f"{name}:{entry.line}"
            if isinstance(entry, Unread):
                self.problems.append(entry.refusal.at(name, place))
                continue
            try:
                if entry.words[0].startswith("$") and entry.owned:
                    origin = self._direct(entry, origin, name)
                else:
                    owner = self._record(entry, origin, owner, place)
            except _Named as cause:
                owner = cause.owner
                self.problems.append(cause.refusal.at(cause.path, place))
            except Refusal as cause:
                self.problems.append(cause.at(name, place))
        self.open_files.pop()

    def _direct(self, entry: Entry, origin: str, name: str) -> str:
        """A line that begins with $; the origin that holds after it."""
        word, *rest = entry.words
        match word.upper():
            case "$ORIGIN" if len(rest) == 1:
                return names.parse_name(rest[0], origin)
            case "$TTL" if len(rest) == 1 and _TTL.fullmatch(rest[0]):
                self.ttl_s = _parse_ttl(rest[0])
            case "$INCLUDE" if len(rest) in (1, 2):
                below = names.parse_name(rest[1], origin) if len(rest) == 2 else origin
                self._include(rest[0].strip('"'), below, name)
            case "$GENERATE":
                raise Refusal(
                    "generate-refused",
                    "$GENERATE is an extension of BIND",
                    "records (RFC 1035 5.1)",
                    "write its records out, or make them in the program that declares the zone",
                )
            case _:
                raise Refusal(
                    "directive-unknown",
                    f"{shown(' '.join(entry.words))} is no directive",
                    "$ORIGIN NAME, $TTL SECONDS or $INCLUDE FILE [ORIGIN]",
                    "correct it",
                )
        return origin

    def _include(self, file: str, origin: str, includer: str) -> None:
        if self.include is None:
            got, need = f"$INCLUDE of {shown(file)}", "one file"
            fix = "put its records here, or name the folder that files are included from"
            raise Refusal("include-refused", got, need, fix)
        if file in self.open_files or len(self.open_files) > MAX_DEPTH:
            way = " -> ".join([*self.open_files, file])
            got, need = f"{includer} includes {file}, which is being read ({way})", "no cycle"
            raise Refusal("include-cycle", got, need, "remove one of the $INCLUDEs")
        try:
            text = self.include(file)
        except (OSError, ValueError) as cause:
            got = f"{shown(file)} cannot be included: {cause}"
            need, fix = "a text file in the folder named", "correct its name"
            raise Refusal("include-missing", got, need, fix) from None
        self.read_file(file, text, origin)

    def _record(self, entry: Entry, origin: str, owner: str | None, place: str) -> str:
        """One record; the owner that the next line may leave out."""
        words = entry.words
        if entry.owned:
            owner = names.owner_name(words[0], origin)
            words = words[1:]
        if owner is None:
            got, need = "the first record names no owner", "a name, or @ for the zone itself"
            raise Refusal("owner-missing", got, need, "begin the line with the record's owner")
        try:
            self._take(owner, words, origin, place)
        except Refusal as cause:
            raise _Named(owner, " ".join([owner, *words[:1]]), cause) from None
        return owner

    def _take(self, owner: str, words: list[str], origin: str, place: str) -> None:
        ttl_s, at = None, 0
        last = min(2, len(words) - 1)
        while at < last:  # TTL and class, in either order
            word = words[at]
            if ttl_s is None and word[0].isdigit() and _TTL.fullmatch(word):
                ttl_s = _parse_ttl(word)
            elif word == "IN" or _CLASS.fullmatch(word):
                _check_class(word)
            else:
                break
            at += 1
        if at >= len(words):
            got, need = "says no type", "owner, TTL, class, type, data"
            raise Refusal("record-incomplete", got, need, "complete the record, or remove it")
        kind = rdata.parse_type(words[at])
        wire = rdata.parse_rdata(kind, " ".join(words[at + 1 :]), origin)
        if kind == "SOA" and self.last_ttl_s is None and ttl_s is None and self.ttl_s is None:
            ttl_s = int.from_bytes(wire[-4:])  # as every server does: the SOA's own last field
        self._keep((owner, kind), ttl_s, wire, place)

    def _keep(self, key: Key, ttl_s: int | None, wire: bytes, place: str) -> None:
        known = ttl_s
        if known is None:  # RFC 2308 4: $TTL; RFC 1035 5.1: the last one stated
            known = self.ttl_s if self.ttl_s is not None else self.last_ttl_s
        if known is None:
            known = DEFAULT_TTL_S
        self.last_ttl_s = ttl_s if ttl_s is not None else self.last_ttl_s
        held = self.found.get(key)
        if held is None:
            self.found[key] = (known, [wire])
            self.places[key] = place
            return
        if held[0] != known:
            got = f"TTL {known} beside {held[0]} at {self.places[key]}"
            need = "one TTL for all records of a name and type (RFC 2181 5.2)"
            fix = "write the same TTL on each"
            path = " ".join(key)
            self.problems.append(Problem(path, got, need, fix, "rrset-ttl-mixed", place))
        held[1].append(wire)


class _Named(Exception):  # noqa: N818  # carries a refusal to where its place is known
    """A refused record whose owner is known."""

    def __init__(self, owner: str, path: str, refusal: Refusal) -> None:
        super().__init__(path)
        self.owner, self.path, self.refusal = owner, path, refusal


def _check_class(word: str) -> None:
    if word.upper() not in ("IN", "CLASS1"):
        raise Refusal(
            "class-not-in",
            f"class {word.upper()}",
            "IN, the class of the Internet",
            "remove the record, or write IN",
        )
