"""Properties: whoever signs rightly is never accused, and what others signed proves no lie."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import dns.exception
import dns.rdatatype
from hypothesis import given
from hypothesis import strategies as st

from loopback_iac.dns import parse_zone_file
from loopback_iac.dns.served import Expected, check_served, group_records
from loopback_iac.dns.served.check_server import must_be_asked
from loopback_iac.dns.served.ds_gate import check_ds_gate
from loopback_iac.dns.served.judge import Measure
from loopback_iac.dns.served.view import missing_name
from tests.unit.dns.judged import RICH, ds_of, verdict_on
from tests.unit.dns.signed import (
    ORIGIN,
    TEXT,
    cover_of,
    gate_views,
    message,
    now,
    sign,
    signed,
    view_of,
)

LINES = [line for line in TEXT.splitlines()[4:] if not line.startswith("ns.child")]
OTHERS = ["A 192.0.2.99", "CNAME ns1", "NS ns2.example.org.", 'TXT "x"', "DNAME example.org.", ""]


@given(
    changes=st.dictionaries(
        st.sampled_from(LINES), st.sampled_from(OTHERS), min_size=1, max_size=4
    ),
    more=st.lists(st.sampled_from(["*", "*.b.c", "b.c", "c", "x.www", "zz"]), max_size=2),
    kind=st.sampled_from(OTHERS[:4]),
)
def test_whoever_signs_rightly_is_never_called_a_liar(changes, more, kind):
    """Any other zone under the same key, seen as an honest server answers."""
    lines = TEXT.splitlines()
    for line, other in changes.items():
        lines[lines.index(line)] = f"{line.split()[0]} {other}" if other else ""
    lines += [f"{owner} {kind}" for owner in more]
    text = "\n".join(lines) + "\n"
    try:
        held = sign(text)
    except (dns.exception.DNSException, ValueError):
        return  # no zone: an alias beside other data
    for transferred in (True, False):
        assert verdict_on(held, transferred=transferred)[0] in ("equal", "diverged")


@lru_cache(maxsize=1)
def genuine():
    """Every RRset of a zone with its signatures, and what is asked of it."""
    records = sign(RICH)
    groups = {}
    for one in records:
        kind = dns.rdatatype.to_text(int.from_bytes(one.wire[:2]))
        groups.setdefault((one.owner, kind if one.type == "RRSIG" else one.type), []).append(one)
    zone = parse_zone_file(RICH)
    asked = must_be_asked(Measure(zone, None, 0))
    return zone, [groups[key] for key in sorted(groups)], [k for k in asked if k[1] != "NS"]


PICKED = st.lists(st.tuples(st.integers(0, 1000), st.booleans()), max_size=4)


@given(which=st.integers(0, 1000), answer=PICKED, authority=PICKED, aa=st.booleans())
def test_what_is_signed_proves_no_lie_wherever_it_is_put(which, answer, authority, aa):
    """An answer made of genuine records, some in the name that was asked for, proves no absence."""
    zone, groups, asked = genuine()
    key = asked[which % len(asked)]
    sections = []
    for picked in (answer, authority):
        found = []
        for at, renamed in picked:
            group = groups[at % len(groups)]
            found += [one._replace(owner=key[0]) for one in group] if renamed else group
        sections.append(found)
    said = message(key, answer=sections[0], authority=sections[1], authoritative=aa)
    view = replace(view_of(sign(RICH), transferred=False), answers={key: said})
    report = check_served(Expected(zone, now(), ds_of(signed())), [view])
    there = group_records(sections[0]).get(key)
    expected = zone.rrset(*key)
    if there is None or there.rdata != expected.rdata:
        refused = {one.rule for one in report.findings} == {"no-answer"}
        assert report.servers[0].verdict == "tampered" or refused


@given(answer=PICKED, authority=PICKED, rcode=st.sampled_from(["NOERROR", "NXDOMAIN"]))
def test_what_is_signed_opens_no_gate_wherever_it_is_put(answer, authority, rcode):
    """Genuine records that are no proof of this absence; without a wildcard there is one only."""
    _, groups, _ = genuine()
    name = missing_name(ORIGIN)
    sections = []
    for picked in (answer, authority):
        found = []
        for at, renamed in picked:
            group = groups[at % len(groups)]
            found += [one._replace(owner=name) for one in group] if renamed else group
        sections.append(found)
    said = message((name, "A"), answer=sections[0], authority=sections[1], rcode=rcode)
    whole, other = gate_views(sign(RICH))
    looks = {way: look._replace(nxdomain=said) for way, look in whole.looks.items()}
    gate = check_ds_gate(ORIGIN, [replace(whole, looks=looks), other], now())
    needed = {cover_of(sign(RICH), absent) for absent in (name, f"*.{ORIGIN}")}
    proofs = {one.owner for one in sections[1] if one.type == "NSEC"}
    assert not gate.open or needed <= proofs
