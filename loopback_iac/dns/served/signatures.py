"""Signatures of what servers say: by which key, over which octets, until when.

The octets that are signed are those that zones are held in, so they are only put in a row; the
arithmetic is dnspython's and cryptography's.

Sources: RFC 4034 3.1.8.1 and 6 (what is signed), RFC 4035 5.3 (how it is checked), RFC 9904 3
(algorithms that are trusted).
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

import dns.dnssec
import dns.exception
import dns.rdtypes.ANY.DNSKEY
import dns.rdtypes.ANY.DS
from cryptography.exceptions import InvalidSignature
from dns.dnssecalgs import get_algorithm_cls_from_dnskey
from dns.dnssecalgs.base import GenericPublicKey

from loopback_iac.dns import names, rdata
from loopback_iac.dns.served.message import Record, type_number, type_text
from loopback_iac.dns.zone import Key

ZONE_KEY, SEP, REVOKED = 0x0100, 0x0001, 0x0080  # flags of a DNSKEY: RFC 4034 2.1.1, RFC 5011 7
ALGORITHMS = frozenset({8, 10, 13, 14, 15, 16})  # those of RFC 9904 3 that can be computed here
COMPUTED = "algorithm 8, 10, 13, 14, 15 or 16"
MAX_TRIED = 8  # signatures of one RRset, keys of one tag: more is an attack on whoever checks
DIGESTS = {2: "SHA256", 4: "SHA384"}  # of a DS; SHA-1 proves nothing any more

MISSING, WRONG, EXPIRED, EARLY, UNCHECKED = (
    "signature-missing",
    "signature-wrong",
    "signature-expired",
    "signature-early",
    "unchecked",
)
WEAK = frozenset({EXPIRED, EARLY, UNCHECKED})
"""What signatures may lack without a sign that anybody altered what they are of."""


class Served(NamedTuple):
    """An RRset as a server has it, with its signatures; `rdata` sorted and without doubles."""

    ttl_s: int
    rdata: tuple[bytes, ...]
    signatures: tuple[bytes, ...] = ()


class Signature(NamedTuple):
    """The fields of a RRSIG; `head` is what is signed of them."""

    covers: int
    algorithm: int
    labels: int
    original_ttl_s: int
    expires: int
    begins: int
    tag: int
    signer: bytes
    head: bytes
    octets: bytes


class Seal(NamedTuple):
    """What the signatures of an RRset came to; `rule` is empty when one of them holds."""

    rule: str
    why: str = ""
    expires: int = 0
    original_ttl_s: int = 0
    wildcard: str = ""
    """The name that was signed, when the data is that of a wildcard."""

    @property
    def is_altered(self) -> bool:
        """Whether it is not what somebody with a key of the zone has signed."""
        return bool(self.rule) and self.rule not in WEAK


def group_records(records: Iterable[Record]) -> dict[Key, Served]:
    """Records as RRsets with their signatures; where TTLs differ, the shortest counts."""
    found: dict[Key, tuple[int, set[bytes]]] = {}
    signed: dict[Key, list[bytes]] = {}
    for owner, kind, ttl_s, wire in records:
        if kind == "RRSIG":
            covered = _covered(wire)
            if covered:
                signed.setdefault((owner, covered), []).append(wire)
            continue
        held = found.get((owner, kind))
        if held is None:
            found[owner, kind] = (ttl_s, {wire})
        else:
            held[1].add(wire)
            if ttl_s < held[0]:
                found[owner, kind] = (ttl_s, held[1])
    return {
        key: Served(ttl_s, tuple(sorted(wires)), tuple(signed.get(key, ())))
        for key, (ttl_s, wires) in found.items()
    }


def _covered(wire: bytes) -> str:
    return type_text(int.from_bytes(wire[:2])) if len(wire) > 18 else ""


def parse_signature(wire: bytes) -> Signature:
    """The fields of a RRSIG's data, as `parse_message` leaves it."""
    end = _name_end(wire, 18)
    number = int.from_bytes
    return Signature(
        number(wire[0:2]),
        wire[2],
        wire[3],
        number(wire[4:8]),
        number(wire[8:12]),
        number(wire[12:16]),
        number(wire[16:18]),
        wire[18:end],
        wire[:end],
        wire[end:],
    )


def _name_end(wire: bytes, at: int) -> int:
    while size := wire[at]:
        at += 1 + size
    return at + 1


def read_keys(wires: Iterable[bytes]) -> Iterator[dns.rdtypes.ANY.DNSKEY.DNSKEY]:
    """The zone's keys of a DNSKEY set that can be computed with; others are passed over."""
    return (key for key in _zone_keys(wires) if key.algorithm in ALGORITHMS)


def _zone_keys(wires: Iterable[bytes]) -> Iterator[dns.rdtypes.ANY.DNSKEY.DNSKEY]:
    for wire in wires:
        try:
            key = rdata.opened("DNSKEY", wire)
        except (dns.exception.DNSException, ValueError):
            continue
        if not isinstance(key, dns.rdtypes.ANY.DNSKEY.DNSKEY) or key.protocol != 3:
            continue
        if key.flags & ZONE_KEY and not key.flags & REVOKED:
            yield key


class Keys:
    """Keys of one zone."""

    def __init__(self, zone: str, wires: Iterable[bytes]) -> None:
        self.zone = zone
        self.signer = names.name_wire(zone)
        self.known: dict[tuple[int, int], list[bytes]] = {}
        self.others: set[tuple[int, int]] = set()
        for key in _zone_keys(wires):
            place = dns.dnssec.key_id(key), int(key.algorithm)
            if key.algorithm in ALGORITHMS:
                self.known.setdefault(place, []).append(key.to_digestable())
            else:
                self.others.add(place)

    @property
    def unchecked(self) -> str:
        """Why nothing that they sign can be checked here; empty: it can.

        One key that can be computed with is enough: a signer signs with every algorithm (RFC 4035
        2.2), so who leaves its signatures out hides something.
        """
        algorithms = sorted({algorithm for _, algorithm in self.others})
        return "" if self.known or not algorithms else _unsupported(*algorithms)

    def check(self, owner: str, kind: str, served: Served, now: int) -> Seal:
        """Whether one of an RRset's signatures holds.

        In: `now`: seconds since the epoch.
        Out: the one that holds longest, or what is wrong with the one that came closest.
        """
        worst = Seal(MISSING, "no signature")
        best: Seal | None = None
        for wire in served.signatures[:MAX_TRIED]:
            seal = self._check_one(owner, kind, served, parse_signature(wire), now)
            if not seal.rule and (best is None or seal.expires > best.expires):
                best = seal
            elif worst.rule in (MISSING, WRONG) and seal.rule:
                worst = seal
        return best or worst

    def _check_one(self, owner: str, kind: str, served: Served, sig: Signature, now: int) -> Seal:
        labels = names.labels(owner)
        count = len(labels) - (labels[:1] == ["*"])
        if sig.covers != type_number(kind) or sig.signer != self.signer or sig.labels > count:
            return Seal(WRONG, "a signature that is of something else")
        signed_owner = owner
        if sig.labels < len(labels):  # a wildcard's own star is none of them
            for _ in range(len(labels) - sig.labels):
                signed_owner = names.parent(signed_owner)
            signed_owner = names.join("*", signed_owner)
        wildcard = signed_owner if sig.labels < count else ""
        publics = self.known.get((sig.tag, sig.algorithm))
        if not publics:
            if self.unchecked and (sig.tag, sig.algorithm) in self.others:
                return Seal(UNCHECKED, _unsupported(sig.algorithm), wildcard=wildcard)
            return Seal(WRONG, f"signed by key {sig.tag}, which the zone does not have")
        octets = sig.head + _signed_octets(signed_owner, kind, served, sig.original_ttl_s)
        if not any(_holds(wire, octets, sig.octets) for wire in publics[:MAX_TRIED]):
            return Seal(WRONG, f"the data is not what key {sig.tag} signed")
        rule, why = "", ""
        if sig.expires < now:
            rule, why = EXPIRED, "the signature has expired"
        elif sig.begins > now:
            rule, why = EARLY, "the signature is not valid yet"
        return Seal(rule, why, sig.expires, sig.original_ttl_s, wildcard)


def _unsupported(*algorithms: int) -> str:
    numbers = ", ".join(map(str, algorithms))
    return f"not checked: unsupported algorithm{'s' if len(algorithms) > 1 else ''} {numbers}"


@lru_cache(maxsize=1024)
def _public(wire: bytes) -> GenericPublicKey | None:
    """The key of a DNSKEY's data; None when it is none that can be computed with."""
    for key in read_keys((wire,)):
        try:
            return get_algorithm_cls_from_dnskey(key).public_cls.from_dnskey(key)
        except (dns.exception.DNSException, ValueError):
            continue
    return None


@lru_cache(maxsize=1 << 17)
def _holds(key: bytes, octets: bytes, signature: bytes) -> bool:
    """Whether a key signed octets; remembered, for many servers say the same."""
    public = _public(key)
    if public is None:
        return False
    try:
        public.verify(signature, octets)
    except (InvalidSignature, ValueError):
        return False
    return True


def _signed_octets(owner: str, kind: str, served: Served, ttl_s: int) -> bytes:
    head = names.name_wire(owner) + type_number(kind).to_bytes(2) + b"\0\1" + ttl_s.to_bytes(4)
    return b"".join(head + len(wire).to_bytes(2) + wire for wire in served.rdata)


def matching_keys(zone: str, ds: Iterable[bytes], dnskey: Iterable[bytes]) -> dict[bytes, bytes]:
    """DS data -> the DNSKEY data that it is the digest of; what matches none is left out.

    Sources: RFC 4034 5.1.4, RFC 4509, RFC 6605 2.
    """
    keys = list(read_keys(dnskey))
    found: dict[bytes, bytes] = {}
    for wire in ds:
        given = _ds(wire)
        if given is None or given.digest_type not in DIGESTS:
            continue
        for key in keys:
            made = dns.dnssec.make_ds(zone, key, DIGESTS[given.digest_type], validating=True)
            if made == given:
                found[wire] = key.to_digestable()
    return found


def _ds(wire: bytes) -> dns.rdtypes.ANY.DS.DS | None:
    try:
        given = rdata.opened("DS", wire)
    except (dns.exception.DNSException, ValueError):
        return None
    return given if isinstance(given, dns.rdtypes.ANY.DS.DS) else None


def why_unchecked(ds: bytes) -> str:
    """Why nothing can be said about a DS: its algorithm, or its digest; empty: it can be checked.

    Sources: RFC 4509 3 and RFC 9904 3 (a digest of SHA-1 proves nothing any more).
    """
    given = _ds(ds)
    if given is None:
        return ""  # it is no DS, and names no key
    if given.algorithm not in ALGORITHMS:
        return _unsupported(int(given.algorithm))
    if given.digest_type not in DIGESTS:
        return f"not checked: unsupported digest type {int(given.digest_type)}"
    return ""


def make_ds(zone: str, dnskey: Iterable[bytes]) -> tuple[bytes, ...]:
    """The DS (SHA-256) of each key of a set that is meant for one: those with the SEP bit."""
    return tuple(
        sorted(
            dns.dnssec.make_ds(zone, key, "SHA256").to_digestable()
            for key in read_keys(dnskey)
            if key.flags & SEP
        )
    )


def prove_keys(
    zone: str, served: Served | None, anchors: Mapping[bytes, bytes] | None, now: int
) -> tuple[Seal, Keys]:
    """Whether a server's DNSKEY set is signed by a key that an anchor names, or by one of its own.

    In: `anchors`: as `matching_keys` gives them; None: none is known.
    Out: what its signature came to, and all keys of the set.
    """
    if served is None:
        return Seal(MISSING, "no DNSKEY"), Keys(zone, ())
    entry = served.rdata if anchors is None else tuple(anchors.values())
    return Keys(zone, entry).check(zone, "DNSKEY", served, now), Keys(zone, served.rdata)
