"""One RRset as it is served, held against what is declared and against its signatures."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import dns.exception

from loopback_iac.dns.rdata import render_rdata
from loopback_iac.dns.served.denial import prove_denial
from loopback_iac.dns.served.message import Message, Reply, Silence
from loopback_iac.dns.served.signatures import (
    EXPIRED,
    MISSING,
    Keys,
    Seal,
    Served,
    group_records,
)
from loopback_iac.dns.served.view import is_signed, read_answer
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


def judge_reply(measure: Measure, key: Key, reply: Reply | None) -> tuple[list[Lack], Seal]:
    """What an answer to one question breaks, and what its signatures came to."""
    owner, kind = key
    zone = measure.zone
    declared = zone.rrset(owner, kind)
    found = read_answer(reply, key, is_cut=kind == "NS" and owner in zone.cuts)
    if isinstance(found, Silence):
        return [Lack("no-answer", found.why, "an answer")], Seal("")
    if found is not None:
        lacks, seal = judge_served(measure, key, found)
        if not seal.expanded:
            return lacks, seal
        got = "the answer of a wildcard"
        missing = [Lack("rrset-missing", got, shown(declared))] if declared else []
        return [*missing, *lacks, *_denied(measure, key, reply)], seal
    missing = [Lack("rrset-missing", "nothing", shown(declared))] if declared else []
    return [*missing, *_denied(measure, key, reply)], Seal("")


def judge_served(measure: Measure, key: Key, found: Served) -> tuple[list[Lack], Seal]:
    """What an RRset breaks, and what its signatures came to."""
    owner, kind = key
    declared = measure.zone.rrset(owner, kind)
    lacks, seal = [], Seal("")
    if measure.keys is not None and is_signed(measure.zone, owner, kind):
        seal = measure.keys.check(owner, kind, found, measure.now)
        if seal.rule:
            need = "one more of its life" if seal.rule == EXPIRED else "one that holds"
            lacks.append(Lack(seal.rule, seal.why, "a signature" if seal.rule == MISSING else need))
        elif seal.original_ttl_s != found.ttl_s:
            got, need = f"TTL {found.ttl_s}", f"TTL {seal.original_ttl_s}, which was signed"
            lacks.append(Lack("ttl-unsigned", got, need))
    lacks += _differences(declared, key, found)
    return lacks, seal


def _differences(declared: RRset | None, key: Key, found: Served) -> Iterator[Lack]:
    kind = key[1]
    if declared is None:
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
    owner, kind = key
    why = prove_denial(group_records(reply.authority), owner, kind, measure.keys, measure.now)
    return [Lack("denial-unproven", why, "a signed proof that it does not exist")] if why else []


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
