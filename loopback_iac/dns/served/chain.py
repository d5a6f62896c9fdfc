"""What NSEC and NSEC3 records say: which names there are, with which types, and what lies between.

Nothing is verified here; what these records say counts when their signatures hold.

Sources: RFC 4034 4 and RFC 4035 5.4 (NSEC), RFC 5155 (NSEC3), RFC 6840 4.1 (at delegations), RFC
9276 (iterations).
"""

import base64
from collections.abc import Iterable, Iterator
from functools import lru_cache

import dns.dnssec

from loopback_iac.dns import names
from loopback_iac.dns.served.message import type_number, type_text
from loopback_iac.dns.served.signatures import Served
from loopback_iac.dns.zone import Key

MAX_ITERATIONS = 150  # RFC 9276 3.2: what validators still follow
OPT_OUT = 0x01  # RFC 5155 3.1.2.1


class UncheckedChain(ValueError):  # noqa: N818  # named for what came
    """A chain that nothing can be said about here."""


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


def is_delegated(types: Iterable[str]) -> bool:
    """Whether these are the types of a delegation, as its parent has them."""
    return "NS" in types and "SOA" not in types


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


def read_nsec3(wire: bytes) -> tuple[bytes, int, str, bytes]:
    """Salt, iterations, next hash and bitmap of a NSEC3 record.

    Raises: ValueError, IndexError; UncheckedChain for one that may be right.
    """
    if wire[0] != 1:
        raise UncheckedChain(f"not checked: hash algorithm {wire[0]}")
    iterations = int.from_bytes(wire[2:4])
    if iterations > MAX_ITERATIONS:
        raise UncheckedChain(f"not checked: {iterations} iterations")
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


def hash_in(owner: str) -> str:
    """The hash that the owner of a NSEC3 record begins with."""
    return owner.partition(".")[0].upper()


class NsecChain:
    """NSEC records of one answer."""

    def __init__(self, proofs: dict[Key, Served]) -> None:
        self.at: dict[str, tuple[str, bytes]] = {
            owner: next_name(served.rdata[0])
            for (owner, kind), served in proofs.items()
            if kind == "NSEC"
        }

    def types_of(self, owner: str) -> frozenset[str] | None:
        """The types of a name; None: it has no record here."""
        held = self.at.get(owner)
        return types_in(held[1]) if held else None

    def _around(self, name: str) -> Iterator[tuple[str, str]]:
        place = names.order(name)
        for owner, (after, bitmap) in self.at.items():
            low, high = names.order(owner), names.order(after)
            if low < place and (place < high or high <= low):
                # what is below a delegation or a DNAME is not this chain's to deny
                if names.is_within(name, owner) and _leads_away(types_in(bitmap)):
                    continue
                yield owner, after

    def covers(self, name: str) -> bool:
        """Whether a name is none, or has nothing but names below it."""
        return any(True for _ in self._around(name))

    def has_below(self, name: str) -> bool:
        """Whether a name that is covered has names below it."""
        return any(names.is_within(after, name) for _, after in self._around(name))

    def encloser(self, name: str, zone: str) -> str:
        """The longest name above that exists: an end of the gap lies below it."""
        ends = [end for around in self._around(name) for end in around]
        here = names.parent(name)
        while here != zone and not any(names.is_within(end, here) for end in ends):
            here = names.parent(here)
        return here

    def is_bare_below(self, name: str, encloser: str, zone: str) -> bool:
        """Whether nothing stands between a name and one above it."""
        return (
            self.covers(name) and not self.has_below(name) and self.encloser(name, zone) == encloser
        )

    def opts_out(self, _: str) -> bool:
        """Whether unsigned delegations may be left out where a name would stand."""
        return False


class Nsec3Chain:
    """NSEC3 records of one answer."""

    def __init__(self, proofs: dict[Key, Served], zone: str) -> None:
        self.at: dict[str, tuple[str, bytes]] = {}
        self.open: set[str] = set()
        self.salt, self.iterations = b"", 0
        for (owner, kind), served in proofs.items():
            if kind == "NSEC3":
                wire = served.rdata[0]
                self.salt, self.iterations, after, bitmap = read_nsec3(wire)
                self.at[hash_in(owner)] = (after, bitmap)
                if wire[1] & OPT_OUT:
                    self.open.add(hash_in(owner))
        self.zone = zone

    def _hash(self, name: str) -> str:
        return hash_of(name, self.salt, self.iterations)

    def types_of(self, owner: str) -> frozenset[str] | None:
        """The types of a name; None: it has no record here."""
        held = self.at.get(self._hash(owner))
        return types_in(held[1]) if held else None

    def _around(self, name: str) -> Iterator[str]:
        place = self._hash(name)
        for low, (high, _) in self.at.items():
            if (low < place and (place < high or high <= low)) or (high <= low and place < high):
                yield low

    def covers(self, name: str) -> bool:
        """A name is denied by the one below its closest encloser; a wildcard by itself."""
        if names.labels(name)[:1] == ["*"]:
            return any(True for _ in self._around(name))
        here = name
        while here != self.zone:
            above = names.parent(here)
            types = self.types_of(above)
            if types is not None:
                return not _leads_away(types) and any(True for _ in self._around(here))
            here = above
        return False

    def has_below(self, _: str) -> bool:
        """Never: such a name has a NSEC3 of its own."""
        return False

    def encloser(self, name: str, zone: str) -> str:
        """The longest name above that has a record here."""
        here = names.parent(name)
        while here != zone and self.types_of(here) is None:
            here = names.parent(here)
        return here

    def is_bare_below(self, name: str, encloser: str, _: str) -> bool:
        """Whether nothing stands between a name and one above it (RFC 5155 8.8)."""
        here = name
        while names.parent(here) != encloser:
            here = names.parent(here)
        return any(True for _ in self._around(here))

    def opts_out(self, name: str) -> bool:
        """Whether unsigned delegations may be left out where a name would stand."""
        return any(low in self.open for low in self._around(name))


def _leads_away(types: Iterable[str]) -> bool:
    return "DNAME" in types or is_delegated(types)
