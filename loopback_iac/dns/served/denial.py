"""Proofs that a server adds, held to it: that something does not exist, or is delegated.

A proof whose signatures have expired, or are of a kind that cannot be checked here, says so and
accuses nobody: whoever altered data cannot have made it.

Sources: RFC 4035 5.4 and RFC 4592 3.3 (NSEC), RFC 5155 8 (NSEC3), RFC 6840 4 (both).
"""

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from loopback_iac.dns import names
from loopback_iac.dns.served.chain import (
    OPT_OUT,
    Nsec3Chain,
    NsecChain,
    UncheckedChain,
    has_type,
    hash_in,
    hash_of,
    is_delegated,
    next_name,
    read_nsec3,
)
from loopback_iac.dns.served.signatures import UNCHECKED, Keys, Served
from loopback_iac.dns.zone import Key

UNPROVEN = "denial-unproven"
Chain = NsecChain | Nsec3Chain


class Proof(NamedTuple):
    """What a proof lacks; `rule` is empty when it holds."""

    rule: str
    why: str = ""


HOLDS = Proof("")


def prove_denial(found: dict[Key, Served], owner: str, kind: str, keys: Keys, now: int) -> Proof:
    """Whether records show that a name has no data of a type.

    In: `found`: a message's authority section as RRsets.
    """
    return _prove(found, keys, now, lambda chain: _lack(chain, owner, kind, keys.zone))


def prove_expansion(
    found: dict[Key, Served], owner: str, wildcard: str, keys: Keys, now: int
) -> Proof:
    """Whether records show that a name does not exist, so that a wildcard answers for it.

    In: `found`: as above; `wildcard`: the one whose data the answer is.
    Sources: RFC 4035 5.3.4, RFC 5155 8.8.
    """
    encloser = names.parent(wildcard)

    def lack(chain: Chain) -> str:
        if chain.is_bare_below(owner, encloser, keys.zone):
            return ""
        return f"it is the answer of {wildcard}, and no NSEC says that {owner} itself is none"

    return _prove(found, keys, now, lack)


def prove_delegation(found: dict[Key, Served], cut: str, keys: Keys, now: int) -> Proof:
    """Whether records show that a name is delegated, signed or not.

    In: `found`: as above, of a referral.
    Sources: RFC 4035 5.2, RFC 5155 8.9.
    """
    ds = found.get((cut, "DS"))
    if ds is not None:
        seal = keys.check(cut, "DS", ds, now)
        return Proof(UNPROVEN if seal.is_altered else seal.rule, f"DS of {cut}: {seal.why}")

    def lack(chain: Chain) -> str:
        types = chain.types_of(cut)
        if types is None:
            return "" if chain.opts_out(cut) else f"no NSEC says that {cut} is delegated"
        if "DS" in types:
            return f"NSEC says that {cut} has DS, which did not come"
        return "" if is_delegated(types) else f"NSEC says that {cut} is not delegated"

    return _prove(found, keys, now, lack)


def _prove(found: dict[Key, Served], keys: Keys, now: int, lack: Callable[[Chain], str]) -> Proof:
    proofs = {key: one for key, one in found.items() if key[1] in ("NSEC", "NSEC3")}
    if not proofs:
        return Proof(UNPROVEN, "no NSEC or NSEC3 comes with it")
    weak = HOLDS
    for (at, proof), served in proofs.items():
        seal = keys.check(at, proof, served, now)
        if seal.is_altered:
            return Proof(UNPROVEN, f"{proof} of {at}: {seal.why}")
        if seal.wildcard:  # RFC 4035 5.4: what a wildcard's NSEC says, it says of the wildcard
            return Proof(UNPROVEN, f"{proof} of {at}: it is a wildcard's")
        if seal.rule:
            weak = Proof(seal.rule, f"{proof} of {at}: {seal.why}")
    try:
        with_nsec = any(key[1] == "NSEC" for key in proofs)
        why = lack(NsecChain(proofs) if with_nsec else Nsec3Chain(proofs, keys.zone))
    except UncheckedChain as cause:
        return Proof(UNCHECKED, f"its NSEC3: {cause}")
    except (ValueError, IndexError) as cause:
        return Proof(UNPROVEN, f"its NSEC is malformed: {cause}")
    return Proof(UNPROVEN, why) if why else weak


def _lack(chain: Chain, owner: str, kind: str, zone: str) -> str:
    types = chain.types_of(owner)
    if types is not None and is_delegated(types) and kind not in ("DS", "NS"):  # RFC 6840 4.1
        return f"NSEC says that {owner} is delegated"
    if types is not None:
        return _held(types, owner, kind)
    if not chain.covers(owner):
        return f"no NSEC covers {owner}"
    if chain.has_below(owner):
        return ""  # it exists, with nothing but names below it
    star = names.join("*", chain.encloser(owner, zone))
    below = chain.types_of(star)
    if below is None:
        return "" if chain.covers(star) else f"no NSEC covers {star}"
    return _held(below, star, kind)


def _held(types: Collection[str], owner: str, kind: str) -> str:
    return f"NSEC says that {owner} has {kind}" if kind in types or "CNAME" in types else ""


def find_promised(found: dict[Key, Served], missing: Iterable[Key], zone: str) -> set[Key]:
    """Of RRsets that a transferred zone lacks, those that its own chain says are there.

    In: `found`: the whole zone.
    """
    chain3 = _hashed(found)
    after = set()
    for (_, kind), served in found.items():
        if kind == "NSEC":
            try:
                after.add(next_name(served.rdata[0])[0])
            except (ValueError, IndexError):
                continue
    promised = set()
    for owner, kind in missing:
        try:
            bitmap = _bitmap(found, chain3, owner)
            if bitmap is not None:
                there = has_type(bitmap, kind)
            else:
                there = not chain3 and owner in after and names.is_within(owner, zone)
        except (ValueError, IndexError):
            continue
        if there:
            promised.add((owner, kind))
    return promised


def find_cuts(found: dict[Key, Served], zone: str) -> frozenset[str]:
    """Names that a transferred zone delegates, by what its own chain says of them.

    In: `found`: the whole zone; the signatures of its chain are judged by themselves.
    """
    chain3 = _hashed(found)
    opted_out = any(wire[1:2] and wire[1] & OPT_OUT for wire in chain3.values())
    cuts = set()
    for owner, kind in found:
        if kind != "NS" or owner == zone:
            continue
        try:
            bitmap = _bitmap(found, chain3, owner)
            if bitmap is None:
                is_cut = opted_out  # RFC 5155 6: it may be left out of the chain
            else:
                is_cut = has_type(bitmap, "NS") and not has_type(bitmap, "SOA")
        except (ValueError, IndexError):
            continue
        if is_cut:
            cuts.add(owner)
    return frozenset(cuts)


def _hashed(found: dict[Key, Served]) -> dict[str, bytes]:
    return {
        hash_in(owner): served.rdata[0]
        for (owner, kind), served in found.items()
        if kind == "NSEC3"
    }


def _bitmap(found: dict[Key, Served], chain3: dict[str, bytes], owner: str) -> bytes | None:
    """What a transferred zone's chain has of a name.

    Raises: ValueError, IndexError.
    """
    own = found.get((owner, "NSEC"))
    if own is not None:
        return next_name(own.rdata[0])[1]
    if not chain3:
        return None
    salt, iterations, _, _ = read_nsec3(next(iter(chain3.values())))
    wire = chain3.get(hash_of(owner, salt, iterations))
    return None if wire is None else read_nsec3(wire)[3]
