"""TXT records as servers have them, each asked by itself, and what stands for their being true.

Sources: RFC 1035 3.3.14, RFC 4035 3.2.3 (AD) and 5 (validation), RFC 6840 5.7 (AD in questions).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import dns.dnssec
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from loopback_iac.dns.served.signatures import matching_keys
from loopback_iac.remote.dns_ask import UDP_OCTETS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loopback_iac.dns.served import Server

UDP, TCP = "udp", "tcp"
PROVED = "signed below the DS that was given"
CLAIMED = "validated, says this resolver"
BARE = "not validated"


class Told(NamedTuple):
    """What one server says over one transport."""

    server: Server
    way: str
    texts: tuple[str, ...] = ()
    standing: str = BARE
    wrong: str = ""
    """Why there is no answer, or why it may not be believed."""


class _UnprovenError(Exception):
    """An answer that the DS does not vouch for; the text says why."""


def probe_texts(
    name: str, servers: Sequence[Server], ds: Sequence[bytes] = (), timeout_s: float = 3.0
) -> list[Told]:
    """
    The texts at a name, from authorities or resolvers, over UDP and over TCP.

    In: ds, wire data of the DS of the zone the name is in; with one, an answer whose signatures do
        not lead to it is wrong.
    """
    asked = dns.name.from_text(name)
    return [_probe(asked, server, way, ds, timeout_s) for server in servers for way in (UDP, TCP)]


def _probe(
    name: dns.name.Name, server: Server, way: str, ds: Sequence[bytes], timeout_s: float
) -> Told:
    try:
        answer = _ask(name, "TXT", server, way, timeout_s)
        texts, standing = tuple(_texts(answer, name)), _standing(answer)
        if ds and texts:
            _prove(answer, name, server, ds, timeout_s)
            standing = PROVED
    except _UnprovenError as cause:
        return Told(server, way, texts, wrong=str(cause))
    except (OSError, dns.exception.DNSException, ValueError) as cause:
        return Told(server, way, wrong=f"no answer: {type(cause).__name__}: {cause}")
    return Told(server, way, texts, standing)


def _ask(
    name: dns.name.Name, kind: str, server: Server, way: str, timeout_s: float
) -> dns.message.Message:
    """
    One question; a resolver is asked to look for the answer.

    Raises: OSError, DNSException; ValueError for an answer that says no more than a refusal.
    """
    flags = dns.flags.RD | dns.flags.AD
    query = dns.message.make_query(name, kind, flags=flags, want_dnssec=True, payload=UDP_OCTETS)
    at, port = server.address, server.port
    if way == UDP:
        answer, _ = dns.query.udp_with_fallback(query, at, timeout=timeout_s, port=port)
    else:
        answer = dns.query.tcp(query, at, timeout=timeout_s, port=port)
    if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise ValueError(dns.rcode.to_text(answer.rcode()))
    if not answer.flags & (dns.flags.AA | dns.flags.RA):
        raise ValueError("it is no authority for this name, and no resolver")
    return answer


def _texts(answer: dns.message.Message, name: dns.name.Name) -> Iterator[str]:
    """Each record's text; its strings are one text, as SPF has it (RFC 7208 3.3)."""
    found = answer.get_rrset(answer.answer, name, dns.rdataclass.IN, dns.rdatatype.TXT)
    for each in found or ():
        yield b"".join(each.strings).decode(errors="replace")


def _standing(answer: dns.message.Message) -> str:
    """An authority says nothing of itself; a resolver says whether it looked."""
    validated = answer.flags & dns.flags.AD and not answer.flags & dns.flags.AA
    return CLAIMED if validated else BARE


def _prove(
    answer: dns.message.Message,
    name: dns.name.Name,
    server: Server,
    ds: Sequence[bytes],
    timeout_s: float,
) -> None:
    """
    Follow the signatures from the texts to the DS.

    Raises: _UnprovenError where they do not lead there.
    """
    texts, signed = _signed(answer, name, dns.rdatatype.TXT)
    zone = signed[0].signer
    if not name.is_subdomain(zone):
        raise _UnprovenError(f"signed by {zone}, which it is not in")
    if any(each.labels != len(name) - 1 for each in signed):
        raise _UnprovenError("signed as a wildcard, not as this name")
    told = _ask(zone, "DNSKEY", server, TCP, timeout_s)
    keys, key_signatures = _signed(told, zone, dns.rdatatype.DNSKEY)
    wires = [key.to_digestable() for key in keys]
    entry = set(matching_keys(zone.to_text(), ds, wires).values())
    if not entry:
        raise _UnprovenError(f"no DNSKEY of {zone} is the one of the DS")
    trusted = dns.rrset.RRset(zone, dns.rdataclass.IN, dns.rdatatype.DNSKEY)
    for key in keys:
        if key.to_digestable() in entry:
            trusted.add(key)
    for what, data, signatures, by in (
        ("DNSKEY", keys, key_signatures, trusted),
        ("TXT", texts, signed, keys),
    ):
        try:
            dns.dnssec.validate(data, signatures, {zone: by}, now=time.time())
        except (dns.exception.DNSException, ValueError) as cause:
            raise _UnprovenError(f"no signature of its {what} holds: {cause}") from cause


def _signed(
    answer: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType
) -> tuple[dns.rrset.RRset, dns.rrset.RRset]:
    data = answer.get_rrset(answer.answer, name, dns.rdataclass.IN, kind)
    signed = answer.get_rrset(answer.answer, name, dns.rdataclass.IN, dns.rdatatype.RRSIG, kind)
    if not data or not signed:
        raise _UnprovenError(f"its {dns.rdatatype.to_text(kind)} is not signed")
    return data, signed
