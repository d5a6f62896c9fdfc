"""A zone that was signed in memory, and views of servers that have it; no daemon, no socket."""

from __future__ import annotations

import time
from functools import lru_cache

import dns.dnssec
import dns.name
import dns.rdataset
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec

from loopback_iac.dns import parse_zone_file
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
    zone = dns.zone.from_text(TEXT, ORIGIN, relativize=False)
    private = ec.generate_private_key(ec.SECP256R1())
    key = dns.dnssec.make_dnskey(private.public_key(), 13, flags=257)
    with zone.writer() as txn:
        dns.dnssec.sign_zone(
            zone, txn, keys=[(private, key)], add_dnskey=True, lifetime=LIFE_S, dnskey_ttl=3600
        )
    found = records_of(zone)
    return tuple(sorted(found, key=lambda one: (one.type != "SOA", one)))


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


def view_of(records, name: str = "ns1", *, transferred=True) -> View:
    look = Look(
        answer_to(records, ORIGIN, "SOA"),
        answer_to(records, ORIGIN, "DNSKEY"),
        answer_to(records, ORIGIN, "NULL"),
        answer_to(records, f"loopback-check-nothing-here.{ORIGIN}", "A"),
    )
    server = Server(name, "", "192.0.2.1", 53)
    return View(server, {"udp": look, "tcp": look}, transfer=records if transferred else None)


def now() -> int:
    return int(time.time())
