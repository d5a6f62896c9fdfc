"""Octets of a message are read as dnspython reads them; no octets at all end in anything else."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopback_iac.dns import rdata
from loopback_iac.dns.served import MalformedMessage, Record, parse_message
from tests.unit.dns.zones import ORIGIN, OWNERS, VALUES

QUESTION = dns.message.make_query("Www.Example.NET.", "A", want_dnssec=True)


def response(*rrsets) -> dns.message.Message:
    made = dns.message.make_response(QUESTION)
    made.flags |= dns.flags.AA
    made.answer = list(rrsets)
    return made


@st.composite
def any_rrset(draw):
    kind = draw(st.sampled_from(sorted(VALUES)))
    owner = draw(OWNERS)
    text = draw(VALUES[kind])
    wire = rdata.parse_rdata(kind, text, ORIGIN)
    number = dns.rdatatype.from_text(kind)
    data = dns.rdata.from_wire(dns.rdataclass.IN, number, wire, 0, len(wire))
    return owner, kind, wire, dns.rrset.from_rdata(dns.name.from_text(owner), 300, data)


@given(found=st.lists(any_rrset(), max_size=4))
def test_names_and_data_come_as_zones_hold_them(found):
    octets = response(*(one[3] for one in found)).to_wire(max_size=65535)
    read = parse_message(octets)
    assert sorted(read.answer) == sorted(
        {Record(owner, kind, 300, wire) for owner, kind, wire, _ in found}
    ) or len(read.answer) >= len({one[:3] for one in found})
    assert set(read.answer) == {Record(owner, kind, 300, wire) for owner, kind, wire, _ in found}
    assert (read.question, read.authoritative) == (("www.example.net.", "A"), True)


GOOD = response(
    dns.rrset.from_text("www.example.net.", 60, "IN", "MX", "10 mail.example.net."),
    dns.rrset.from_text("www.example.net.", 60, "IN", "SOA", "a.example.net. b.a. 1 2 3 4 5"),
    dns.rrset.from_text("www.example.net.", 60, "IN", "TXT", '"some text"'),
).to_wire()


def read_or_refuse(octets: bytes) -> None:
    try:
        parse_message(octets)
    except MalformedMessage:
        return


@given(octets=st.binary(max_size=600))
def test_garbage_is_refused(octets):
    read_or_refuse(octets)
    read_or_refuse(GOOD[:12] + octets)


@given(at=st.integers(0, len(GOOD) - 1), octet=st.integers(0, 255), cut=st.integers(0, len(GOOD)))
def test_a_damaged_message_is_read_or_refused(at, octet, cut):
    damaged = bytearray(GOOD)
    damaged[at] = octet
    read_or_refuse(bytes(damaged))
    read_or_refuse(bytes(damaged[:cut]))


def test_what_is_wrong_is_said():
    for octets, text in (
        (b"", "unpack_from requires a buffer"),
        (QUESTION.to_wire(), "a question came back"),
        (GOOD + b"\0", "1 octets after the last record"),
        (b"\0\1\x84\0\0\0\0\1\0\0\0\0\xc0\x0c\0\1\0\1\0\0\0\0\0\0", "points forward"),
        (b"\0\1\x84\0\0\0\0\1\0\0\0\0\0\0\1\0\1\0\0\0\0\0\3abc", "A of 3 octets"),
    ):
        with pytest.raises(MalformedMessage, match=text):
            parse_message(octets)
