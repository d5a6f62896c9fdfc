"""Proofs that something does not exist: NSEC and NSEC3 records that a server adds, held to it.

Sources: RFC 4035 5.4 and RFC 4592 3.3 (NSEC), RFC 5155 8 (NSEC3), RFC 9276 (iterations).
"""

import base64
from collections.abc import Iterable, Iterator
from functools import lru_cache

import dns.dnssec

from loopback_iac.dns import names
from loopback_iac.dns.served.message import type_number, type_text
from loopback_iac.dns.served.signatures import Keys, Served
from loopback_iac.dns.zone import Key

MAX_ITERATIONS = 150  # RFC 9276 3.2: what validators still follow


def prove_denial(found: dict[Key, Served], owner: str, kind: str, keys: Keys, now: int) -> str:
    """Whether records show that a name has no data of a type.

    In: `found`: a message's authority section as RRsets.
    Out: empty, or what the proof lacks.
    """
    proofs = {key: one for key, one in found.items() if key[1] in ("NSEC", "NSEC3")}
    if not proofs:
        return "no NSEC or NSEC3 comes with it"
    for (at, proof), served in proofs.items():
        seal = keys.check(at, proof, served, now)
        if seal.rule:
            return f"{proof} of {at}: {seal.why}"
        if seal.expanded:  # RFC 4035 5.4: what a wildcard's NSEC says, it says of the wildcard
            return f"{proof} of {at}: it is a wildcard's"
    try:
        chain = _Nsec(proofs) if any(key[1] == "NSEC" for key in proofs) else _Nsec3(proofs, keys)
        return _lack(chain, owner, kind, keys.zone)
    except (ValueError, IndexError) as cause:
        return f"its NSEC is malformed: {cause}"


def _lack(chain: "_Nsec | _Nsec3", owner: str, kind: str, zone: str) -> str:
    types = chain.types_of(owner)
    if types is not None:
        if kind in types or "CNAME" in types:
            return f"NSEC says that {owner} has {kind}"
        return ""
    if not chain.covers(owner):
        return f"no NSEC covers {owner}"
    if chain.has_below(owner):
        return ""  # it exists, with nothing but names below it
    encloser = chain.encloser(owner, zone)
    star = f"*.{encloser}" if encloser != "." else "*."
    below = chain.types_of(star)
    if below is None:
        return "" if chain.covers(star) else f"no NSEC covers {star}"
    return f"NSEC says that {star} has {kind}" if kind in below or "CNAME" in below else ""


def types_in(bitmap: bytes) -> frozenset[str]:
    """The types that a bitmap names (RFC 4034 4.1.2)."""
    found, at = set(), 0
    while at < len(bitmap):
        window, size = bitmap[at], bitmap[at + 1]
        if not 1 <= size <= 32:
            raise ValueError("a bitmap of no known length")
        for index, octet in enumerate(bitmap[at + 2 : at + 2 + size]):
            for bit in range(8):
                if octet & 0x80 >> bit:
                    found.add(type_text(window << 8 | index << 3 | bit))
        at += 2 + size
    return frozenset(found)


def has_type(bitmap: bytes, kind: str) -> bool:
    """Whether a bitmap names a type, without reading all of it."""
    window, low = divmod(type_number(kind), 256)
    at = 0
    while at + 1 < len(bitmap):
        size = bitmap[at + 1]
        if bitmap[at] == window:
            index = low >> 3
            return index < size and bool(bitmap[at + 2 + index] & 0x80 >> (low & 7))
        at += 2 + size
    return False


@lru_cache(maxsize=65536)
def next_name(wire: bytes) -> tuple[str, bytes]:
    """The next name of a NSEC record, and the bitmap after it.

    Raises: ValueError, IndexError for what is no such data.
    """
    at = 0
    while size := wire[at]:
        if size > 63:
            raise ValueError("a label of no known kind")
        at += 1 + size
    return names.name_text(wire[: at + 1]), wire[at + 1 :]


class _Nsec:
    """NSEC records of one answer."""

    def __init__(self, proofs: dict[Key, Served]) -> None:
        self.at: dict[str, tuple[str, bytes]] = {
            owner: next_name(served.rdata[0])
            for (owner, kind), served in proofs.items()
            if kind == "NSEC"
        }

    def types_of(self, owner: str) -> frozenset[str] | None:
        held = self.at.get(owner)
        return types_in(held[1]) if held else None

    def _around(self, name: str) -> Iterator[tuple[str, str]]:
        place = names.order(name)
        for owner, (after, _) in self.at.items():
            low, high = names.order(owner), names.order(after)
            if low < place and (place < high or high <= low):
                yield owner, after

    def covers(self, name: str) -> bool:
        return any(True for _ in self._around(name))

    def has_below(self, name: str) -> bool:
        return any(names.is_within(after, name) for _, after in self._around(name))

    def encloser(self, name: str, zone: str) -> str:
        """The longest name above that exists: an end of the gap lies below it."""
        ends = [end for around in self._around(name) for end in around]
        here = names.parent(name)
        while here != zone and not any(names.is_within(end, here) for end in ends):
            here = names.parent(here)
        return here


class _Nsec3:
    """NSEC3 records of one answer."""

    def __init__(self, proofs: dict[Key, Served], keys: Keys) -> None:
        self.at: dict[str, tuple[str, bytes]] = {}
        self.salt, self.iterations = b"", 0
        for (owner, kind), served in proofs.items():
            if kind == "NSEC3":
                self.salt, self.iterations, after, bitmap = read_nsec3(served.rdata[0])
                self.at[owner.partition(".")[0].upper()] = (after, bitmap)
        self.zone = keys.zone

    def _hash(self, name: str) -> str:
        return hash_of(name, self.salt, self.iterations)

    def types_of(self, owner: str) -> frozenset[str] | None:
        held = self.at.get(self._hash(owner))
        return types_in(held[1]) if held else None

    def _covered(self, name: str) -> bool:
        place = self._hash(name)
        return any(
            (low < place and (place < high or high <= low)) or (high <= low and place < high)
            for low, (high, _) in self.at.items()
        )

    def covers(self, name: str) -> bool:
        """A name is denied by the one below its closest encloser; a wildcard by itself."""
        if names.labels(name)[:1] == ["*"]:
            return self._covered(name)
        here = name
        while here != self.zone:
            above = names.parent(here)
            if self.types_of(above) is not None:
                return self._covered(here)
            here = above
        return False

    def has_below(self, _: str) -> bool:
        return False  # such a name has a NSEC3 of its own

    def encloser(self, name: str, zone: str) -> str:
        here = names.parent(name)
        while here != zone and self.types_of(here) is None:
            here = names.parent(here)
        return here


def read_nsec3(wire: bytes) -> tuple[bytes, int, str, bytes]:
    """Salt, iterations, next hash and bitmap of a NSEC3 record.

    Raises: ValueError, IndexError.
    """
    if wire[0] != 1:
        raise ValueError(f"hash algorithm {wire[0]}")
    iterations = int.from_bytes(wire[2:4])
    if iterations > MAX_ITERATIONS:
        raise ValueError(f"{iterations} iterations")
    end = 5 + wire[4]
    after = wire[end + 1 : end + 1 + wire[end]]
    return (
        wire[5:end],
        iterations,
        base64.b32hexencode(after).decode(),
        wire[end + 1 + len(after) :],
    )


@lru_cache(maxsize=65536)
def hash_of(name: str, salt: bytes, iterations: int) -> str:
    """The hash of a name, in the letters of its NSEC3's owner."""
    return dns.dnssec.nsec3_hash(name, salt, iterations, 1)


def find_promised(found: dict[Key, Served], missing: Iterable[Key], zone: str) -> set[Key]:
    """Of RRsets that a transferred zone lacks, those that its own chain says are there.

    In: `found`: the whole zone.
    """
    chain3 = {
        owner.partition(".")[0].upper(): served.rdata[0]
        for (owner, kind), served in found.items()
        if kind == "NSEC3"
    }
    after = set()
    for (_, kind), served in found.items():
        if kind == "NSEC":
            try:
                after.add(next_name(served.rdata[0])[0])
            except (ValueError, IndexError):
                continue
    promised = set()
    for owner, kind in missing:
        own = found.get((owner, "NSEC"))
        try:
            if own is not None:
                there = has_type(next_name(own.rdata[0])[1], kind)
            elif chain3:
                salt, iterations, _, _ = read_nsec3(next(iter(chain3.values())))
                wire = chain3.get(hash_of(owner, salt, iterations))
                there = wire is not None and has_type(read_nsec3(wire)[3], kind)
            else:
                there = owner in after and names.is_within(owner, zone)
        except (ValueError, IndexError):
            continue
        if there:
            promised.add((owner, kind))
    return promised
