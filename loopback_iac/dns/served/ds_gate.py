"""Whether the DS of a zone may be published: every server proves first that it serves it signed.

One server without signatures, or without proofs of what does not exist, is a server whose answers
no validating resolver takes once the DS is there. So every address is held to it, over UDP and TCP;
and every name server that any of them names has to be among them.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from loopback_iac.dns.rdata import render_rdata
from loopback_iac.dns.served.denial import UNPROVEN, prove_denial, prove_expansion
from loopback_iac.dns.served.message import Message, Reply, Silence
from loopback_iac.dns.served.redirect import find_redirect
from loopback_iac.dns.served.signatures import (
    COMPUTED,
    UNCHECKED,
    Keys,
    Served,
    group_records,
    make_ds,
    prove_keys,
)
from loopback_iac.dns.served.view import (
    MISSING_TYPE,
    Finding,
    Look,
    Server,
    View,
    addresses_within,
    find_referral,
    is_older,
    missing_name,
    read_answer,
    read_refusal,
    serial_of,
    unasked_servers,
)
from loopback_iac.dns.zone import Key


@dataclass(frozen=True)
class Gate:
    """What was found; `ds` is empty as long as anything was."""

    findings: tuple[Finding, ...]
    ds: tuple[bytes, ...]

    @property
    def open(self) -> bool:
        """Whether the DS may be published."""
        return bool(self.ds) and not self.findings

    def records(self, zone: str) -> list[str]:
        """The DS as lines of the parent's zone file; none while the gate is closed."""
        return [f"{zone} IN DS {render_rdata('DS', wire)}" for wire in self.ds if self.open]


def check_ds_gate(zone: str, views: Sequence[View], now: int) -> Gate:
    """Hold each address, over each transport, to DNSKEY, its signatures and proofs of absence.

    Out: findings name the server that fails; a gate over no server at all is closed.
    """
    found: list[Finding] = []
    sound: set[tuple[Server, str]] = set()
    sets: dict[frozenset[bytes], list[View]] = {}
    for view in sorted(views, key=lambda view: view.server):
        for way, look in sorted(view.looks.items()):
            lacks = list(_check_look(zone, look, now, way))
            if not lacks:
                sound.add((view.server, way))
            for rule, kind, got, need in lacks:
                where = str(view.server), view.server.place
                found.append(Finding(*where, rule, zone, kind, got, need, (way,)))
            keys = read_answer(look.dnskey, (zone, "DNSKEY"))
            if isinstance(keys, Served):
                sets.setdefault(frozenset(keys.rdata), []).append(view)
    found += _check_agreement(zone, sets)
    found += _check_serials(zone, views, sound)
    found += _check_asked(zone, views)
    ds = make_ds(zone, sorted(next(iter(sets)))) if len(sets) == 1 else ()
    unchecked = any(one.rule == UNCHECKED for one in found)
    if len(sets) == 1 and not ds and not unchecked:
        need = "a key with the SEP bit (flags 257), as a signer makes for the DS"
        found.append(Finding("", "", "ds-no-key", zone, "DNSKEY", "none", need))
    return Gate(tuple(sorted(found)), () if found else ds)


def _check_look(zone: str, look: Look, now: int, way: str) -> Iterator[tuple[str, str, str, str]]:
    refused = read_refusal(look.soa)
    if refused is not None:
        yield f"{way}-silent", "SOA", refused.why, "an answer with authority"
        return
    served = read_answer(look.dnskey, (zone, "DNSKEY"))
    if not isinstance(served, Served):
        got = served.why if served else "no DNSKEY"
        yield "dnskey-unproven", "DNSKEY", got, "the zone's DNSKEY set"
        return
    entry = [
        wire for wire in served.rdata if len(wire) > 1 and wire[1] & 1
    ]  # those that a DS will name
    _, keys = prove_keys(zone, served, None, now)
    if keys.unchecked:
        yield UNCHECKED, "DNSKEY", keys.unchecked, f"a key of {COMPUTED}"
        return
    seal = Keys(zone, entry).check(zone, "DNSKEY", served, now)
    if seal.rule:
        rule = "dnskey-unproven" if seal.is_altered else seal.rule
        yield rule, "DNSKEY", seal.why, "a signature by a key with the SEP bit"
    soa = read_answer(look.soa, (zone, "SOA"))
    if isinstance(soa, Served):
        seal = keys.check(zone, "SOA", soa, now)
        if seal.rule:
            yield seal.rule, "SOA", seal.why, "a signature that holds"
    else:
        yield f"{way}-silent", "SOA", "its answer has no SOA of the zone", "a signed SOA"
    yield from _check_denial(zone, MISSING_TYPE, look.nodata, keys, now)
    yield from _check_denial(missing_name(zone), "A", look.nxdomain, keys, now)


def _check_denial(
    owner: str, kind: str, reply: Reply, keys: Keys, now: int
) -> Iterator[tuple[str, str, str, str]]:
    need = "a signed proof that it does not exist (NSEC or NSEC3)"
    refused = read_refusal(reply)
    if refused is not None or not isinstance(reply, Message):
        why = refused.why if refused else "nothing"
        yield UNPROVEN, kind, f"{owner} {kind}: {why}", need
        return
    authority = group_records(reply.authority)
    if not reply.answer:
        proof = prove_denial(authority, owner, kind, keys, now)
        if proof.rule:
            yield proof.rule, kind, f"{owner} {kind}: {proof.why}", need
        return
    # a wildcard of the zone's own name: what is not there cannot be asked for
    redirect = find_redirect(reply, (owner, kind), keys.zone)
    at = redirect.key if redirect else (owner, kind)
    served = redirect.served if redirect else group_records(reply.answer).get(at)
    if served is None:
        yield UNPROVEN, kind, f"{owner} {kind}: its answer is of something else", need
        return
    seal = keys.check(*at, served, now)
    if seal.rule:
        yield seal.rule, at[1], f"{' '.join(at)}: {seal.why}", "a signature that holds"
    elif seal.wildcard:
        proof = prove_expansion(authority, at[0], seal.wildcard, keys, now)
        if proof.rule:
            yield proof.rule, kind, f"{owner} {kind}: {proof.why}", need


def _check_agreement(zone: str, sets: dict[frozenset[bytes], list[View]]) -> Iterator[Finding]:
    if len(sets) < 2:
        return
    most = max(sorted(sets, key=sorted), key=lambda one: len(sets[one]))
    alone = len(sets[most]) > sum(map(len, sets.values())) / 2
    for keys, views in sets.items():
        if alone and keys == most:
            continue
        for view in views:
            got = f"{len(keys)} keys, {len(keys ^ most)} unlike others'"
            where = str(view.server), view.server.place
            yield Finding(*where, "dnskey-differs", zone, "DNSKEY", got, "one set everywhere")


def _check_asked(zone: str, views: Sequence[View]) -> Iterator[Finding]:
    """Whether somebody was left out; told by the servers, for nobody declares a zone here."""
    data: set[bytes] = set()
    found: set[tuple[str, str, bytes]] = set()
    for view in views:
        if all(read_refusal(look.soa) for look in view.looks.values()):
            continue  # it is called silent already
        told = _told(view, (zone, "NS"), zone)
        if isinstance(told, Silence) or not told:
            got = told.why if isinstance(told, Silence) else "it has no NS of the zone"
            yield _unanswered(view, zone, "NS", got)
            continue
        data |= set(told)
        for owner, kind in addresses_within(zone, told):
            there = _told(view, (owner, kind), zone)
            if isinstance(there, Silence):
                yield _unanswered(view, owner, kind, there.why)
            else:
                found |= {(owner, kind, wire) for wire in there}
    asked = {(f"{v.server.name.lower().rstrip('.')}.", ip_address(v.server.address)) for v in views}
    left = {
        (owner, str(ip_address(wire)), owner, kind)
        for owner, kind, wire in found
        if (owner, ip_address(wire)) not in asked
    }
    named = {owner for owner, *_ in left}
    left |= {
        (owner, "", zone, "NS") for owner in unasked_servers(data, views) if owner not in named
    }
    for name, address, owner, kind in sorted(left):
        need = (
            f"--server {name.removesuffix('.')}={address or 'ADDRESS, for each of its addresses'}"
        )
        yield Finding(name, address, "server-not-asked", owner, kind, "it was not asked", need)


def _told(view: View, key: Key, zone: str) -> Sequence[bytes] | Silence:
    """Data that a server was asked for; below a delegation it is what it leads there with."""
    reply = view.answers.get(key)
    if find_referral(reply, key, zone) and isinstance(reply, Message):
        there = group_records(reply.additional).get(key)
        return there.rdata if there else ()
    found = read_answer(reply, key)
    return found if isinstance(found, Silence) else found.rdata if found else ()


def _unanswered(view: View, owner: str, kind: str, got: str) -> Finding:
    where = str(view.server), view.server.place
    return Finding(*where, "no-answer", owner, kind, got, "who serves the zone, and where")


def _check_serials(
    zone: str, views: Sequence[View], sound: Collection[tuple[Server, str]]
) -> Iterator[Finding]:
    """A server that lags may lack the very keys that the DS is to name in a moment.

    In: `sound`: where all else was proven; a serial that nobody signed makes no other one old.
    """
    known = [
        (view, way, serial)
        for view in views
        for way, look in view.looks.items()
        if (serial := serial_of(look.soa, zone)) is not None
    ]
    for view, way, serial in known:
        newer = [
            other
            for theirs, by, other in known
            if (theirs.server, by) in sound and is_older(serial, other)
        ]
        if newer:
            where = str(view.server), view.server.place
            texts = f"serial {serial}", f"serial {max(newer)}"
            yield Finding(*where, "serial-behind", zone, "SOA", *texts, (way,))
