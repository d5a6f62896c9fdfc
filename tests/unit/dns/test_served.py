"""Judgement over a zone signed in memory: each alteration is found, and nothing else is."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopback_iac.dns.names import name_wire
from loopback_iac.dns.served import (
    RULES,
    Expected,
    Keys,
    MalformedMessage,
    Server,
    Silence,
    check_served,
    group_records,
    parse_message,
)
from loopback_iac.dns.served.denial import find_promised, prove_denial
from loopback_iac.dns.served.ds_gate import check_ds_gate
from loopback_iac.dns.served.message import FIXED, HEADER, Record, type_number
from loopback_iac.dns.served.rules import VERDICTS
from loopback_iac.dns.served.signatures import make_ds
from loopback_iac.dns.served.texts import render_metrics, report_tree
from loopback_iac.dns.served.view import is_older
from loopback_iac.dns.served.zonemd import check_zonemd
from tests.unit.dns.signed import (
    DECLARED,
    ORIGIN,
    TEXT,
    answer_to,
    gate_views,
    message,
    now,
    sign,
    signed,
    view_of,
)

PAGE = (Path(__file__).parents[3] / "docs/dns-check.md").read_text()


def keys() -> Keys:
    return Keys(ORIGIN, [one.wire for one in signed() if one.type == "DNSKEY"])


def check(records, **rest):
    return check_served(Expected(DECLARED, now(), **rest), [view_of(records)])


def test_what_was_signed_in_memory_is_equal():
    report = check(signed())
    assert report.findings == ()
    assert report.servers[0].verdict == "equal"
    assert report.servers[0].signatures > len(DECLARED.rrsets) - 2


@given(at=st.integers(0, 1000), octet=st.integers(0, 1000), bit=st.integers(0, 7))
def test_one_bit_of_any_record_is_found(at, octet, bit):
    records = list(signed())
    at %= len(records)
    one = records[at]
    wire = bytearray(one.wire)
    wire[octet % len(wire)] ^= 1 << bit
    if one.type in ("SOA", "RRSIG", "NSEC"):  # a name may be spoilt in them: a message is not read
        wire = bytearray(one.wire)
        wire[-1] ^= 1 << bit
    records[at] = one._replace(wire=bytes(wire))
    report = check(tuple(records))
    assert report.servers[0].verdict in ("tampered", "diverged")
    assert one.owner in {found.owner for found in report.findings}


@given(gone=st.integers(0, 1000))
def test_any_record_that_is_gone_is_found(gone):
    records = list(signed())
    one = records.pop(1 + gone % (len(records) - 1))
    report = check(tuple(records))
    nsec = one.type == "NSEC" or (one.type == "RRSIG" and one.wire[1] == dns.rdatatype.NSEC)
    assert report.findings or nsec


def test_signatures_are_judged_as_dnspython_judges_them():
    held = keys()
    (dnskey,) = (one for one in signed() if one.type == "DNSKEY")
    name = dns.name.from_text(ORIGIN)
    theirs = {name: dns.rdataset.from_rdata(3600, opened("DNSKEY", dnskey.wire))}
    seen = 0
    for (owner, kind), served in group_records(signed()).items():
        for wires in (served.rdata, tuple(wire[:-1] + b"\x07" for wire in served.rdata)):
            if not served.signatures:
                continue
            mine = held.check(owner, kind, served._replace(rdata=wires), now())
            try:
                rrset = dns.rdataset.from_rdata(served.ttl_s, *(opened(kind, w) for w in wires))
            except dns.exception.DNSException:
                continue
            sigs = dns.rdataset.from_rdata(3600, *(opened("RRSIG", s) for s in served.signatures))
            at = dns.name.from_text(owner)
            try:
                dns.dnssec.validate((at, rrset), (at, sigs), theirs, name)
                holds = True
            except dns.dnssec.ValidationFailure:
                holds = False
            assert (mine.rule == "") == holds, (owner, kind)
            seen += 1
    assert seen > 20


def opened(kind, wire):
    number = dns.rdatatype.from_text(kind)
    return dns.rdata.from_wire(dns.rdataclass.IN, number, wire, 0, len(wire))


@pytest.mark.parametrize(
    ("owner", "kind", "proven"),
    [
        ("nothing.example.net.", "A", True),
        ("www.example.net.", "TXT", True),
        ("b.c.example.net.", "A", True),  # nothing but names below it
        ("zzz.example.net.", "A", True),
        ("www.example.net.", "A", False),
        ("alias.example.net.", "A", False),  # an alias has every type, somewhere else
        ("x.wild.example.net.", "TXT", False),  # the wildcard has it
        ("x.wild.example.net.", "A", True),
    ],
)
def test_absence_is_proven_by_the_chain_or_not_at_all(owner, kind, proven):
    whole = group_records(answer_to(signed(), "nothing.example.net.", "A").authority)
    assert (prove_denial(whole, owner, kind, keys(), now()).rule == "") is proven
    assert prove_denial({}, owner, kind, keys(), now()).rule
    for key in list(whole):
        less = {other: served for other, served in whole.items() if other != key}
        if prove_denial(less, owner, kind, keys(), now()).rule:
            break
    else:
        pytest.fail("a proof that needs none of its records is none")


def test_a_wildcards_proof_is_no_proof_of_another_name():
    """An attacker drops a record and gives the wildcard's NSEC in its name: it verifies."""
    star = "*.wild.example.net."
    moved = [
        replaced(one, "x.wild.example.net.")
        for one in signed()
        if one.owner == star and (one.type == "NSEC" or one.wire[:2] == b"\0\x2f")
    ]
    whole = group_records(moved)
    assert keys().check("x.wild.example.net.", "NSEC", *whole.values(), now()).rule == ""
    assert "wildcard" in prove_denial(whole, "x.wild.example.net.", "A", keys(), now()).why


def replaced(one: Record, owner: str) -> Record:
    return Record(owner, one.type, one.ttl_s, one.wire)


def test_where_a_transfer_alone_was_to_show_the_zone_it_is_not_equal():
    view = replace(view_of(signed()), answers={}, transfer=Silence("REFUSED"), keyed=False)
    report = check_served(Expected(DECLARED, now()), [view])
    assert "transfer-refused" in {one.rule for one in report.findings}
    assert not report.equal


def test_a_key_of_one_octet_and_an_answer_without_soa_close_the_gate():
    whole, other = gate_views(signed())
    assert check_ds_gate(ORIGIN, [whole, other], now()).open
    short = Record(ORIGIN, "DNSKEY", 3600, b"\1")
    for harm in ({"dnskey": message((ORIGIN, "DNSKEY"), answer=[short])}, {"soa": nothing()}):
        looks = {way: look._replace(**harm) for way, look in whole.looks.items()}
        gate = check_ds_gate(ORIGIN, [replace(whole, looks=looks), other], now())
        assert not gate.open
        assert gate.findings


def nothing():
    return message((ORIGIN, "SOA"))


def test_what_the_chain_promises_is_missed():
    found = group_records(signed())
    del found["www.example.net.", "A"]
    missing = [("www.example.net.", "A"), ("www.example.net.", "TXT"), ("none.example.net.", "A")]
    assert find_promised(found, missing, ORIGIN) == {("www.example.net.", "A")}


def test_a_digest_of_another_kind_is_not_known_rather_than_wrong():
    given = group_records([Record(ORIGIN, "ZONEMD", 60, b"\0\0\0\7\xf0\1" + bytes(48))])
    assert check_zonemd(ORIGIN, 7, signed(), given[ORIGIN, "ZONEMD"]) == "unknown"
    assert check_zonemd(ORIGIN, 7, signed(), None) == "unknown"
    wrong = group_records([Record(ORIGIN, "ZONEMD", 60, b"\0\0\0\7\1\1" + bytes(48))])
    assert "not what" in check_zonemd(ORIGIN, 7, signed(), wrong[ORIGIN, "ZONEMD"])
    assert "serial 7" in check_zonemd(ORIGIN, 8, signed(), wrong[ORIGIN, "ZONEMD"])


def test_serials_go_round():
    assert is_older(1, 2)
    assert is_older(0xFFFFFFFF, 0)
    assert not is_older(2, 1)
    assert not is_older(5, 5)


def test_what_nobody_looked_for_is_not_known():
    view = view_of(signed(), transferred=False)
    report = check_served(Expected(DECLARED, now()), [view])
    assert any("records that nobody declared" in line for line in report.unknown)
    assert any("the parent was not asked" in line for line in report.unknown)
    silent = Silence("no answer in time")
    looks = {way: look._replace(soa=silent, dnskey=silent) for way, look in view.looks.items()}
    gone = check_served(Expected(DECLARED, now()), [type(view)(view.server, looks)])
    assert gone.servers[0].verdict == "unreachable"
    assert gone.servers[0].content == "unknown"


def test_an_unsigned_zone_is_compared_all_the_same():
    plain = tuple(one for one in signed() if one.type not in ("RRSIG", "NSEC", "DNSKEY"))
    assert check(plain).findings == ()
    assert {one.rule for one in check(plain, signed=True).findings} >= {"zone-unsigned"}
    other = tuple(
        one._replace(wire=b"\1\2\3\4")
        if one.owner == "www.example.net." and one.type == "A"
        else one
        for one in plain
    )
    assert check(other).servers[0].verdict == "diverged"


def octets_of(found) -> bytes:
    """Records as the answer of a server, names written out."""
    head = HEADER.pack(1, 0x8400, 0, len(found), 0, 0)
    return head + b"".join(
        name_wire(one.owner)
        + FIXED.pack(type_number(one.type), 1, one.ttl_s, len(one.wire))
        + one.wire
        for one in found
    )


@given(
    harm=st.lists(st.tuples(st.integers(12, 1 << 16), st.integers(0, 255)), min_size=1, max_size=6),
    ds=st.booleans(),
)
def test_whatever_can_be_read_is_judged(harm, ds):
    octets = bytearray(octets_of(signed()))
    for at, octet in harm:
        octets[12 + at % (len(octets) - 12)] = octet
    try:
        answer = parse_message(bytes(octets)).answer
    except MalformedMessage:
        return
    anchors = make_ds(ORIGIN, [one.wire for one in signed() if one.type == "DNSKEY"])
    expected = Expected(DECLARED, now(), anchors if ds else ())
    asked = {rrset.key: answer_to(answer, *rrset.key) for rrset in DECLARED.rrsets}
    view = replace(view_of(answer), answers=asked)
    report = check_served(expected, [view])
    assert json.dumps(report_tree(report))
    assert render_metrics(report)
    gate = check_ds_gate(ORIGIN, [view], now())
    assert gate.open != bool(gate.findings)


def test_every_rule_and_verdict_stands_in_the_page():
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| ([a-z]+) \| .+ \|$", PAGE, re.MULTILINE))
    assert rows == {name: rule.verdict for name, rule in RULES.items()}
    assert all(rule.text in PAGE for rule in RULES.values())
    assert set(VERDICTS) == set(re.findall(r"^\| \*\*([a-z]+)\*\* \|", PAGE, re.MULTILINE))


def test_metrics_name_the_server_and_the_rule():
    records = tuple(
        one._replace(wire=b"\1\2\3\4")
        if one.owner == "www.example.net." and one.type == "A"
        else one
        for one in signed()
    )
    report = check(records)
    text = render_metrics(report)
    where = 'zone="example.net.",server="ns1",address="192.0.2.1"'
    assert f'loopback_dns_server_verdict{{{where},verdict="tampered"}} 1\n' in text
    assert f'loopback_dns_check_findings{{{where},rule="rrset-values"}} 1\n' in text
    assert f"loopback_dns_server_serial{{{where}}} 7\n" in text
    assert report_tree(report)["servers"][0]["verdict"] == "tampered"


def brought(text: str) -> str:
    """The zone with another text at a name that nobody declared."""
    return f'{TEXT}token TXT "{text}"\n'


def test_what_updates_bring_is_held_to_what_other_servers_have():
    views = [
        replace(view_of(sign(brought(text))), server=Server(name, "", address, 53))
        for name, address, text in (
            ("ns1", "192.0.2.1", "one"),
            ("ns2", "192.0.2.2", "one"),
            ("ns3", "192.0.2.3", "other"),
        )
    ]
    alike = check_served(Expected(DECLARED, now(), updated=("TXT",)), views[:2])
    assert alike.findings == ()
    report = check_served(Expected(DECLARED, now(), updated=("TXT",)), views)
    assert [(one.server, one.rule, one.owner) for one in report.findings] == [
        ("ns3", "updated-differs", "token.example.net.")
    ]
    assert {one.server.name: one.verdict for one in report.servers} == {
        "ns1": "equal", "ns2": "equal", "ns3": "diverged",
    }  # fmt: skip
    # of two nobody knows which is right
    pair = check_served(Expected(DECLARED, now(), updated=("TXT",)), views[1:])
    assert [one.server for one in pair.findings] == ["ns2", "ns3"]
    # another type is as undeclared as ever
    strict = check_served(Expected(DECLARED, now(), updated=("A",)), views[:1])
    assert {one.rule for one in strict.findings} == {"rrset-extra"}
