"""A zone that was signed in memory, and views of servers that have it; no daemon, no socket."""

from __future__ import annotations

import time
from functools import lru_cache

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa

from loopback_iac.dns import parse_zone_file
from loopback_iac.dns.names import name_text, name_wire, order
from loopback_iac.dns.served import Look, Message, Record, Server, View
from loopback_iac.dns.served.message import type_text

ORIGIN = "example.net."
TEXT = """\
$ORIGIN example.net.
$TTL 3600
@ SOA ns1 hostmaster 7 3600 900 604800 3600
@ NS ns1
@ NS ns2.example.org.
ns1 A 192.0.2.53
www A 192.0.2.2
www AAAA 2001:db8::1
alias CNAME www
*.wild TXT "w"
a.b.c TXT "deep"
child NS ns.child
ns.child A 192.0.2.9
"""
DECLARED = parse_zone_file(TEXT)
LIFE_S = 21 * 86_400


@lru_cache(maxsize=1)
def signed() -> tuple[Record, ...]:
    """All records of TEXT, signed with one ECDSA key by dnspython; the SOA first."""
    return sign(TEXT)


@lru_cache(maxsize=8)
def private_key(algorithm: int = 13, which: str = ""):
    """One key per algorithm, and others by name."""
    if algorithm == 16:
        return ed448.Ed448PrivateKey.generate()
    if algorithm == 10:
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1())


@lru_cache(maxsize=32)
def sign(text: str, *, algorithm: int = 13, key: str = "", since: int = 0) -> tuple[Record, ...]:
    """All records of a zone, signed; the SOA first.

    `key`: another key than usual; `since`: seconds ago.
    """
    zone = dns.zone.from_text(text, ORIGIN, relativize=False)
    private = private_key(algorithm, key)
    public = dns.dnssec.make_dnskey(private.public_key(), algorithm, flags=257)
    begins = now() - since - 60
    times = {"inception": begins, "expiration": begins + LIFE_S}
    with zone.writer() as txn:
        dns.dnssec.sign_zone(
            zone, txn, keys=[(private, public)], add_dnskey=True, dnskey_ttl=3600, **times
        )
    found = records_of(zone)
    return tuple(sorted(found, key=lambda one: (one.type != "SOA", one)))


def relabelled(records, algorithm: int) -> tuple[Record, ...]:
    """The same as if another algorithm had signed it, which nobody here can compute."""
    changed = []
    tags = {}
    for one in records:
        if one.type == "DNSKEY":
            wire = one.wire[:3] + bytes((algorithm,)) + one.wire[4:]
            tags[_tag(one.wire)] = _tag(wire)
            changed.append(one._replace(wire=wire))
    for one in records:
        if one.type == "RRSIG":
            tag = tags[int.from_bytes(one.wire[16:18])].to_bytes(2)
            wire = one.wire[:2] + bytes((algorithm,)) + one.wire[3:16] + tag + one.wire[18:]
            changed.append(one._replace(wire=wire))
        elif one.type != "DNSKEY":
            changed.append(one)
    return tuple(sorted(changed, key=lambda one: (one.type != "SOA", one)))


def _tag(wire: bytes) -> int:
    return dns.dnssec.key_id(
        dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.DNSKEY, wire, 0, len(wire))
    )


def records_of(zone: dns.zone.Zone) -> list[Record]:
    found = []
    for name, rdataset in zone.iterate_rdatasets():
        for rdata in rdataset:
            owner = name.to_text().lower()
            kind = type_text(int(rdataset.rdtype))
            found.append(Record(owner, kind, rdataset.ttl, rdata.to_digestable()))
    return found


def message(question: tuple[str, str], *, answer=(), authority=(), **rest) -> Message:
    values = {
        "id": 1,
        "rcode": "NOERROR",
        "authoritative": True,
        "truncated": False,
        "question": question,
        "answer": tuple(answer),
        "authority": tuple(authority),
        "additional": (),
        "nsid": "",
        "tsig_at": 0,
    }
    return Message(**(values | rest))


def answer_to(records, owner: str, kind: str) -> Message:
    """What a server that has these records says of one that is there, or that none is."""
    number = dns.rdatatype.from_text(kind).to_bytes(2)
    there = [
        one
        for one in records
        if one.owner == owner
        and (one.type == kind or (one.type == "RRSIG" and one.wire[:2] == number))
    ]
    if there:
        return message((owner, kind), answer=there)
    nsec = dns.rdatatype.NSEC.to_bytes(2)
    chain = [
        one
        for one in records
        if one.type == "NSEC" or (one.type == "RRSIG" and one.wire[:2] == nsec)
    ]
    return message((owner, kind), authority=chain)


def honest(records, owner: str, kind: str) -> Message:
    """As `answer_to`, with referrals, aliases, wildcards and what proves each."""
    held = {one.owner for one in records}
    for up in reversed(_ups(owner)):  # from the top: what leads away hides all that is below
        if up != ORIGIN and (up, kind) != (owner, "DS") and _has(records, up, "NS"):
            return _referral(records, (owner, kind), up)
        if up != owner and _has(records, up, "DNAME"):
            return _below_dname(records, (owner, kind), up)
    for type_ in dict.fromkeys((kind, "CNAME")):
        if there := _signed_of(records, owner, type_):
            return message((owner, kind), answer=there)
    known = {up for one in held for up in _ups(one)}
    star = "*." + next((up for up in _ups(owner) if up in known), ORIGIN)
    for type_ in dict.fromkeys((kind, "CNAME")):
        if owner not in known and (there := _signed_of(records, star, type_)):
            made = [one._replace(owner=owner) for one in there]
            return message((owner, kind), answer=made, authority=_cover(records, owner))
    return answer_to(records, owner, kind)


def _ups(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[at:]) for at in range(len(parts) - 3 + 1) if parts[at]]


def _below(name: str, cut: str) -> bool:
    return name == cut or name.endswith(f".{cut}")


def _has(records, owner: str, kind: str) -> bool:
    return any(one.owner == owner and one.type == kind for one in records)


def _referral(records, key: tuple[str, str], cut: str) -> Message:
    plain = [one for one in records if one.owner == cut and one.type == "NS"]
    proof = _signed_of(records, cut, "DS") or _signed_of(records, cut, "NSEC")
    glue = [one for one in records if one.type in ("A", "AAAA") and _below(one.owner, cut)]
    more = {"authority": plain + proof, "additional": tuple(glue)}
    return message(key, authoritative=False, **more)


def _below_dname(records, key: tuple[str, str], at: str) -> Message:
    there = _signed_of(records, at, "DNAME")
    target = name_text(next(one.wire for one in there if one.type == "DNAME"))
    made = name_wire(key[0].removesuffix(at) + target)
    return message(key, answer=[*there, Record(key[0], "CNAME", 3600, made)])


def _signed_of(records, owner: str, kind: str) -> list[Record]:
    number = dns.rdatatype.from_text(kind).to_bytes(2)
    return [
        one
        for one in records
        if one.owner == owner
        and (one.type == kind or (one.type == "RRSIG" and one.wire[:2] == number))
    ]


def _cover(records, name: str) -> list[Record]:
    return _signed_of(records, cover_of(records, name), "NSEC")


def cover_of(records, name: str) -> str:
    """Where the NSEC stands that a name falls behind."""
    before = {one.owner for one in records if one.type == "NSEC"}
    return max((owner for owner in before if order(owner) < order(name)), key=order)


def view_of(
    records, name: str = "ns1", *, transferred=True, asked=(), at: str = "192.0.2.1", **rest
) -> View:
    """A server that has these records; `asked`: RRsets that it was asked for one by one."""
    look = Look(
        honest(records, ORIGIN, "SOA"),
        honest(records, ORIGIN, "DNSKEY"),
        honest(records, ORIGIN, "NULL"),
        honest(records, f"loopback-check-nothing-here.{ORIGIN}", "A"),
    )
    answers = {key: honest(records, *key) for key in asked}
    values = {"answers": answers, "transfer": records if transferred else None}
    return View(Server(name, "", at, 53), {"udp": look, "tcp": look}, **(values | rest))


def gate_views(records) -> list[View]:
    """Both name servers of TEXT, asked what the DS gate asks."""
    inside = f"ns1.{ORIGIN}"
    asked = [(ORIGIN, "NS"), (inside, "A"), (inside, "AAAA")]
    places = {inside.removesuffix("."): "192.0.2.53", "ns2.example.org": "198.51.100.53"}
    return [
        view_of(records, name, transferred=False, asked=asked, at=at) for name, at in places.items()
    ]


def now() -> int:
    return int(time.time())
