"""One RRset as it is served, held against what is declared and against its signatures."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import dns.exception

from loopback_iac.dns.check_structure import SIGNERS
from loopback_iac.dns.rdata import render_rdata
from loopback_iac.dns.served.denial import (
    UNPROVEN,
    Proof,
    prove_delegation,
    prove_denial,
    prove_expansion,
)
from loopback_iac.dns.served.message import Message, Reply, Silence
from loopback_iac.dns.served.redirect import Redirect, find_redirect
from loopback_iac.dns.served.signatures import (
    EXPIRED,
    MISSING,
    UNCHECKED,
    Keys,
    Seal,
    Served,
    group_records,
)
from loopback_iac.dns.served.view import find_referral, is_signed, read_answer
from loopback_iac.dns.zone import Key, RRset, Zone

MAX_SHOWN = 160


class Lack(NamedTuple):
    """One rule that an RRset breaks."""

    rule: str
    got: str
    need: str


@dataclass(frozen=True)
class Measure:
    """What servers are held to: the declared zone, and the keys that may sign it."""

    zone: Zone
    keys: Keys | None
    """None: the zone is not signed."""
    now: int
    served_cuts: frozenset[str] | None = None
    """Delegations of the zone as it is served; None: those declared."""
    updated: tuple[str, ...] = ()
    """Types that dynamic updates bring: what there is of them nobody declared."""

    @property
    def cuts(self) -> frozenset[str]:
        """Names that are not signed, nor what is below them."""
        return self.zone.cuts if self.served_cuts is None else self.served_cuts


def judge_reply(measure: Measure, key: Key, reply: Reply | None) -> tuple[list[Lack], Seal]:
    """What an answer to one question breaks, and what its signatures came to."""
    owner, kind = key
    zone = measure.zone
    is_cut = kind == "NS" and owner in zone.cuts
    cut = find_referral(reply, key, zone.name)
    if cut and not (is_cut and cut == owner) and isinstance(reply, Message):
        return _judge_referral(measure, key, cut, reply), Seal("")
    found = read_answer(reply, key, is_cut=is_cut)
    if isinstance(found, Silence):
        return [Lack("no-answer", found.why, "an answer")], Seal("")
    redirect = find_redirect(reply, key, zone.name)
    if redirect is not None:
        return _judge_redirect(measure, key, redirect, reply), Seal("")
    if found is not None:
        lacks, seal = judge_served(measure, key, found)
        if not seal.wildcard:
            return lacks, seal
        missing = _missing(measure, key, "the answer of a wildcard")
        return [*missing, *lacks, *_expanded(measure, owner, seal, reply)], seal
    return [*_missing(measure, key, "nothing"), *_denied(measure, key, reply)], Seal("")


def judge_served(measure: Measure, key: Key, found: Served) -> tuple[list[Lack], Seal]:
    """What an RRset breaks, and what its signatures came to."""
    lacks, seal = _sealed(measure, key, found)
    return [*lacks, *_differences(measure, key, found)], seal


def _sealed(
    measure: Measure, key: Key, found: Served, *, always: bool = False
) -> tuple[list[Lack], Seal]:
    if measure.keys is None or not (always or is_signed(measure.zone.name, measure.cuts, *key)):
        return [], Seal("")
    seal = measure.keys.check(*key, found, measure.now)
    if seal.rule == UNCHECKED:  # said once, of the keys
        return [], seal
    if seal.rule:
        need = "one more of its life" if seal.rule == EXPIRED else "one that holds"
        need = "a signature" if seal.rule == MISSING else need
        return [Lack(seal.rule, seal.why, need)], seal
    if seal.original_ttl_s != found.ttl_s:
        got, need = f"TTL {found.ttl_s}", f"TTL {seal.original_ttl_s}, which was signed"
        return [Lack("ttl-unsigned", got, need)], seal
    return [], seal


def _judge_referral(measure: Measure, key: Key, cut: str, reply: Message) -> list[Lack]:
    """An answer that leads to others, where the zone declares no delegation."""
    found = group_records(reply.authority)
    lacks = _missing(measure, key, f"a delegation of {cut}")
    if key == (cut, "NS"):
        lacks += _differences(measure, key, found[key])
    if measure.keys is not None:
        lacks += _as_lacks(measure, prove_delegation(found, cut, measure.keys, measure.now))
    return lacks


def _judge_redirect(
    measure: Measure, key: Key, redirect: Redirect, reply: Reply | None
) -> list[Lack]:
    """An answer that leads to another name: rightly signed, nothing else can stand there."""
    at = redirect.key
    got = f"{at[1]} {shown_values(at[1], redirect.served.rdata)}"
    # where a delegation is declared as well: who has an alias there has signed it
    lacks, seal = _sealed(measure, at, redirect.served, always=True)
    if redirect.wrong and measure.keys is not None:
        lacks.append(Lack("signature-wrong", redirect.wrong, "the CNAME that its DNAME makes"))
    expanded = _expanded(measure, at[0], seal, reply) if seal.wildcard else []
    return [*_missing(measure, key, got), *lacks, *expanded]


def _missing(measure: Measure, key: Key, got: str) -> list[Lack]:
    declared = measure.zone.rrset(*key)
    return [Lack("rrset-missing", got, shown(declared))] if declared else []


def _differences(measure: Measure, key: Key, found: Served) -> Iterator[Lack]:
    zone, kind = measure.zone, key[1]
    declared = zone.rrset(*key)
    if declared is None:
        if kind not in (*SIGNERS, *measure.updated) and key != (zone.name, "SOA"):
            yield Lack("rrset-extra", shown_values(kind, found.rdata), "nothing")
        return
    same = declared.rdata == found.rdata
    if kind == "SOA":
        same = [_timeless(wire) for wire in declared.rdata] == [_timeless(w) for w in found.rdata]
    if not same:
        yield Lack("rrset-values", shown_values(kind, found.rdata), shown(declared))
    if declared.ttl_s != found.ttl_s:
        yield Lack("rrset-ttl", f"TTL {found.ttl_s}", f"TTL {declared.ttl_s}")


def _timeless(wire: bytes) -> tuple[bytes, bytes]:
    return wire[:-20], wire[-16:]


def _denied(measure: Measure, key: Key, reply: Reply | None) -> list[Lack]:
    """What the proof of an absence lacks; nothing where none is needed."""
    if measure.keys is None or not isinstance(reply, Message):
        return []
    found = group_records(reply.authority)
    return _as_lacks(measure, prove_denial(found, *key, measure.keys, measure.now))


def _expanded(measure: Measure, owner: str, seal: Seal, reply: Reply | None) -> list[Lack]:
    """What the proof lacks that a wildcard answers for a name."""
    if measure.keys is None or not isinstance(reply, Message):
        return []
    found = group_records(reply.authority)
    proof = prove_expansion(found, owner, seal.wildcard, measure.keys, measure.now)
    return _as_lacks(measure, proof)


def _as_lacks(measure: Measure, proof: Proof) -> list[Lack]:
    if proof.rule == UNCHECKED and measure.keys is not None and measure.keys.unchecked:
        return []  # said once, of the keys
    need = "a signed proof" if proof.rule == UNPROVEN else "a proof that holds"
    return [Lack(proof.rule, proof.why, need)] if proof.rule else []


def shown(rrset: RRset | None) -> str:
    """Values of a declared RRset, cut where they are long."""
    return shown_values(rrset.type, rrset.rdata) if rrset else "nothing"


def shown_values(kind: str, wires: tuple[bytes, ...]) -> str:
    """Values as text, whatever a server put there."""
    parts = []
    for wire in wires:
        try:
            parts.append(render_rdata(kind, wire))
        except (dns.exception.DNSException, ValueError, IndexError, struct.error):
            parts.append(f"\\# {len(wire)} {wire.hex()}")
    text = ", ".join(parts)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
