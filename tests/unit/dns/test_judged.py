"""Whom the comparer accuses: who alters data, and nobody who is late, behind, or merely other."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import dns.exception
import dns.rdatatype
import pytest

from loopback_iac.dns import parse_zone_file
from loopback_iac.dns.names import name_wire
from loopback_iac.dns.served import Expected, Record, Silence, check_served
from loopback_iac.dns.served.check_server import must_be_asked
from loopback_iac.dns.served.ds_gate import check_ds_gate
from loopback_iac.dns.served.judge import Measure
from loopback_iac.dns.served.texts import render_metrics
from loopback_iac.dns.served.view import ParentView, missing_name
from tests.unit.dns.judged import RICH, ds_of, verdict_on
from tests.unit.dns.signed import (
    DECLARED,
    LIFE_S,
    ORIGIN,
    TEXT,
    gate_views,
    honest,
    message,
    now,
    relabelled,
    sign,
    signed,
    view_of,
)

NEWER = TEXT.replace("hostmaster 7 ", "hostmaster 8 ")
ASKED = must_be_asked(Measure(DECLARED, None, 0))


def altered(records):
    """The records, with another address of www."""
    return tuple(
        one._replace(wire=b"\1\2\3\4") if one[:2] == ("www.example.net.", "A") else one
        for one in records
    )


def without(records, owner, kind):
    number = dns.rdatatype.from_text(kind).to_bytes(2)
    return tuple(
        one
        for one in records
        if one.owner != owner
        or (one.type != kind and not (one.type == "RRSIG" and one.wire[:2] == number))
    )


WWW = "www A 192.0.2.2\nwww AAAA 2001:db8::1\n"
OTHERWISE = {
    "an alias": TEXT.replace(WWW, "www CNAME ns1\n"),
    "a wildcard's": TEXT.replace(WWW, "* A 192.0.2.2\n* AAAA 2001:db8::1\n"),
    "a wildcard's alias": TEXT.replace(WWW, "* CNAME ns1\n"),
    "a wildcard's above a wildcard": TEXT.replace("*.wild TXT", "* TXT"),
    "nothing": TEXT.replace(WWW, ""),
    "a delegation": TEXT.replace(WWW, "www NS ns.www\nns.www A 192.0.2.77\n"),
    "a delegation above": TEXT.replace('a.b.c TXT "deep"', "b.c NS ns.b.c\nns.b.c A 192.0.2.77"),
    "a signed delegation": TEXT.replace(
        WWW, f"www NS ns.elsewhere.test.\nwww DS 1 13 2 {'AB' * 32}\n"
    ),
    "an own name for the delegation": TEXT.replace(
        "child NS ns.child\nns.child A 192.0.2.9\n", "child A 192.0.2.7\n"
    ),
}


@pytest.mark.parametrize("what", OTHERWISE)
@pytest.mark.parametrize("transferred", [True, False])
def test_a_name_that_was_otherwise_makes_nobody_a_liar(what, transferred):
    held = sign(OTHERWISE[what])
    assert verdict_on(held, transferred=transferred)[0] == "diverged"
    newer = view_of(sign(NEWER), "ns2", at="192.0.2.2")
    found, rules = verdict_on(held, newer, transferred=transferred)
    assert found == "lagging"
    assert "rrset-missing" in rules


LIES = {
    "an alias that nobody signed": lambda key: message(
        key, answer=[one for one in sign(OTHERWISE["an alias"], key="other") if one.owner == key[0]]
    ),
    "a wildcard's alias without a proof": lambda key: message(
        key, answer=honest(sign(OTHERWISE["a wildcard's alias"]), *key).answer
    ),
    "a delegation that nobody proves": lambda key: replace_authority(
        honest(sign(OTHERWISE["a delegation"]), *key), {"RRSIG", "NSEC"}
    ),
    "a delegation that its own NSEC denies": lambda key: message(
        key,
        authoritative=False,
        authority=[
            *(
                one
                for one in sign(OTHERWISE["a delegation"])
                if (one.owner, one.type) == (key[0], "NS")
            ),
            *honest(signed(), key[0], "NSEC").answer,
        ],
    ),
    "an alias of what is delegated": lambda key: message(
        key, answer=[one._replace(owner=key[0]) for one in signed() if one.type == "CNAME"]
    ),
    "an alias of a DNAME that says otherwise": lambda key: message(
        key,
        answer=[
            *honest(sign(f"{TEXT}old DNAME ns1\n"), "old.example.net.", "DNAME").answer,
            *(one._replace(owner=key[0]) for one in signed() if one.type == "CNAME"),
        ],
    ),
}


def replace_authority(said, left_out):
    return said._replace(authority=tuple(o for o in said.authority if o.type not in left_out))


@pytest.mark.parametrize("lie", LIES)
def test_what_leads_elsewhere_is_held_to_its_signature(lie):
    declared = DECLARED
    key = ("www.example.net.", "A")
    if "DNAME" in lie:
        declared, key = parse_zone_file(f"{TEXT}x.old A 192.0.2.4\n"), ("x.old.example.net.", "A")
    if "delegated" in lie:
        declared, key = parse_zone_file(RICH), ("safe.example.net.", "DS")
    view = replace(view_of(signed(), transferred=False), answers={key: LIES[lie](key)})
    report = check_served(Expected(declared, now(), ds_of(signed())), [view])
    assert report.servers[0].verdict == "tampered"


def test_a_delegation_within_one_that_nobody_declared_is_other_and_no_lie():
    declared = parse_zone_file(f"{TEXT}deep.sub NS ns1\n")
    held = sign(f"{TEXT}sub NS ns2.example.org.\n")
    for transferred in (True, False):
        found, rules = verdict_on(held, declared=declared, transferred=transferred)
        assert found == "diverged"
        assert rules <= {"rrset-missing", "rrset-extra"}


def test_a_name_below_a_dname_is_other_and_no_lie():
    declared = parse_zone_file(f"{TEXT}x.old A 192.0.2.4\n")
    held = sign(f"{TEXT}old DNAME ns1\n")
    assert verdict_on(held, declared=declared, transferred=False)[0] == "diverged"


def test_signatures_that_have_all_expired_are_late_and_no_lie():
    late = now() + LIFE_S + 3600
    for transferred in (True, False):
        found = verdict_on(signed(), now_s=late, transferred=transferred)
        assert found == ("faulty", {"signature-expired"})
        assert verdict_on(signed(), now_s=late, transferred=transferred, ds=())[0] == "faulty"
    early = verdict_on(signed(), now_s=now() - 86_400)
    assert early == ("faulty", {"signature-early"})


def test_an_expired_server_beside_others_is_late_alone():
    old = sign(TEXT, since=LIFE_S + 86_400)
    newer = view_of(sign(NEWER), "ns2", at="192.0.2.2")
    found, rules = verdict_on(old, newer)
    assert (found, "signature-expired" in rules) == ("lagging", True)
    assert verdict_on(altered(old), newer)[0] == "tampered"
    gone = without(old, "www.example.net.", "A")
    assert verdict_on(gone, newer)[0] == "tampered"


def test_a_serial_that_nobody_signed_makes_no_other_server_old():
    high = tuple(
        one._replace(wire=one.wire[:-20] + (4000).to_bytes(4) + one.wire[-16:])
        if one.type == "SOA"
        else one
        for one in signed()
    )
    stripped = tuple(one for one in high if not (one.type == "RRSIG" and one.wire[:2] == b"\0\6"))
    for forged in (high, stripped):
        liar = view_of(forged, "ns2", at="192.0.2.2")
        expected = Expected(DECLARED, now(), ds_of(signed()))
        report = check_served(expected, [view_of(signed()), liar])
        assert [one.verdict for one in report.servers] == ["equal", "tampered"]
        assert report.newest == 7
        gate = check_ds_gate(ORIGIN, [gate_views(signed())[0], gate_views(forged)[1]], now())
        assert {one.server for one in gate.findings} == {"ns2.example.org"}


def test_a_delegation_that_the_chain_does_not_know_is_a_lie():
    more = [one for one in sign(OTHERWISE["a delegation"]) if one.type in ("NS", "A")]
    added = [one for one in more if one.owner in ("www.example.net.", "ns.www.example.net.")]
    renamed = [one._replace(owner=one.owner.replace("www.", "evil.")) for one in added]
    found, rules = verdict_on((*signed(), *renamed))
    assert (found, "signature-missing" in rules) == ("tampered", True)


@pytest.mark.parametrize("algorithm", [10, 16])
def test_algorithms_that_can_be_computed_are(algorithm):
    held = sign(TEXT, algorithm=algorithm)
    assert verdict_on(held, ds=ds_of(held)) == ("equal", set())
    assert verdict_on(altered(held), ds=ds_of(held))[0] == "tampered"
    assert check_ds_gate(ORIGIN, gate_views(held), now()).open


def sha1(records):
    (wire,) = ds_of(records)
    return (wire[:3] + b"\1" + wire[4:24],)


def test_an_algorithm_that_nobody_can_compute_is_neither_accused_nor_passed():
    held = relabelled(signed(), 17)
    (wire,) = ds_of(signed())
    ds = (wire[:2] + b"\x11" + wire[3:],)
    for anchors in (ds, (), (*ds, *sha1(signed()))):
        for transferred in (True, False):
            expected = Expected(DECLARED, now(), anchors)
            report = check_served(expected, [view_of(held, transferred=transferred, asked=ASKED)])
            assert report.servers[0].verdict == "faulty"
            assert {one.rule for one in report.findings} == {"unchecked"}
            assert any("unsupported algorithm 17" in one.got for one in report.findings)
    gate = check_ds_gate(ORIGIN, gate_views(held), now())
    assert (gate.open, {one.rule for one in gate.findings}) == (False, {"unchecked"})


def test_an_unknown_algorithm_hides_nothing_that_can_be_seen():
    held = relabelled(signed(), 17)
    assert verdict_on(held, view_of(signed(), "ns2", at="192.0.2.2"))[0] == "tampered"
    report = check_served(Expected(DECLARED, now(), ds_of(signed())), [view_of(held)])
    assert {one.rule for one in report.findings} == {"unchecked", "ds-no-key"}
    bare = tuple(one for one in held if one.owner != "www.example.net." or one.type != "RRSIG")
    assert verdict_on(bare, ds=())[0] == "tampered"
    gone = without(held, "www.example.net.", "A")
    assert verdict_on(gone, ds=(), transferred=False)[0] == "tampered"
    # beside a key that can be computed with, its signatures alone are not enough
    both = tuple(sorted({*signed(), *(one for one in held if one.type in ("DNSKEY", "RRSIG"))}))
    www = [one for one in both if one.owner == "www.example.net." and one.type == "RRSIG"]
    without_13 = tuple(one for one in both if one not in www or one.wire[2] == 17)
    assert verdict_on(without_13, ds=())[0] == "tampered"


def test_a_ds_of_sha1_is_not_checked_and_no_stray():
    report = check_served(Expected(DECLARED, now(), sha1(signed())), [view_of(signed())])
    assert {one.rule for one in report.findings} == {"unchecked"}
    assert [one.got.split(":")[1] for one in report.findings] == [" unsupported digest type 1"]
    assert report.trust.startswith("none: no DS is of a kind")
    both = (*sha1(signed()), *ds_of(signed()))
    report = check_served(Expected(DECLARED, now(), both), [view_of(signed())])
    assert ({one.rule for one in report.findings}, report.trust) == ({"unchecked"}, "DS")
    wrong = (*sha1(signed()), *ds_of(sign(TEXT, key="of somebody else")))
    report = check_served(Expected(DECLARED, now(), wrong), [view_of(signed())])
    assert {one.rule for one in report.findings} == {"unchecked", "ds-no-key"}


STARRED = TEXT + "* A 192.0.2.88\n"


def test_the_gate_wants_the_proof_that_a_wildcard_answers():
    held = sign(STARRED)
    whole, other = gate_views(held)
    assert check_ds_gate(ORIGIN, [whole, other], now()).open
    said = whole.looks["udp"].nxdomain
    assert said.answer
    harms = {
        "no proof": said._replace(authority=()),
        "another name's proof": said._replace(
            authority=honest(held, "www.example.net.", "NSEC").answer
        ),
        "another name's data": said._replace(answer=honest(held, "www.example.net.", "A").answer),
    }
    for harm in harms.values():
        looks = {way: look._replace(nxdomain=harm) for way, look in whole.looks.items()}
        gate = check_ds_gate(ORIGIN, [replace(whole, looks=looks), other], now())
        assert {one.rule for one in gate.findings} == {"denial-unproven"}


def test_a_wildcards_signature_makes_no_record_of_a_transfer():
    star = [one for one in signed() if one.owner == "*.wild.example.net." and one.type != "NSEC"]
    moved = [
        one._replace(owner="evil.wild.example.net.")
        for one in star
        if one.type == "TXT" or one.wire[:2] == b"\0\x10"
    ]
    found, rules = verdict_on((*signed(), *moved))
    assert (found, "signature-wrong" in rules) == ("tampered", True)


LABEL = "a" * 61


@pytest.mark.parametrize("last", [1, 3, 30, 36, 40, 60, 61])
def test_a_name_to_ask_for_fits_into_any_zone(last):
    zone = ".".join([LABEL, LABEL, LABEL, "b" * last, "net."])
    found = missing_name(zone)
    size = len(found) + 1
    assert size <= 255
    assert found.endswith(zone)
    assert (found == zone) == (len(zone) + 1 > 253)


AT_THE_PARENT = "192.0.2.100"
SERVERS = (("ns1.example.net.", "ns2.example.org."), "192.0.2.53")


def parent_of(servers=SERVERS[0], glue=SERVERS[1], ds=()):
    """A server of the parent zone that delegates with these names, glue and DS."""
    cut = (ORIGIN, "NS")
    names = [Record(*cut, 3600, name_wire(one)) for one in servers]
    glued = (Record("ns1.example.net.", "A", 3600, ip_address(glue).packed),)
    referral = message(cut, authoritative=False, authority=names, additional=glued)
    key = (ORIGIN, "DS")
    answer = message(key, answer=[Record(*key, 3600, wire) for wire in ds])
    return ParentView(AT_THE_PARENT, referral, answer)


def silent_view():
    silent = Silence("no answer in time")
    view = view_of(signed())
    looks = {way: look._replace(soa=silent, dnskey=silent) for way, look in view.looks.items()}
    return type(view)(view.server, looks)


PARENTS = {
    "parent-ns": {"servers": ("ns1.example.net.", "ns9.example.org.")},
    "parent-glue": {"glue": "192.0.2.54"},
    "ds-no-key": {"ds": ds_of(sign(TEXT, key="of somebody else"))},
}


@pytest.mark.parametrize("rule", PARENTS)
def test_what_the_parent_says_is_told_by_metrics_of_no_server(rule):
    parent = parent_of(**({"ds": ds_of(signed())} | PARENTS[rule]))
    report = check_served(Expected(DECLARED, now()), [view_of(signed())], parent)
    assert [one.rule for one in report.findings if not one.server] == [rule]
    labels = f'{{zone="{ORIGIN}",server="",address="{AT_THE_PARENT}",rule="{rule}"}}'
    assert f"loopback_dns_check_findings{labels} 1\n" in render_metrics(report)
    right = check_served(Expected(DECLARED, now()), [view_of(signed())], parent_of())
    assert 'server=""' not in render_metrics(right)


def test_while_no_server_answers_nobody_knows_what_a_ds_names():
    parent = parent_of(ds=ds_of(signed()))
    report = check_served(Expected(DECLARED, now()), [silent_view()], parent)
    assert [one.verdict for one in report.servers] == ["unreachable"]
    assert "ds-no-key" not in {one.rule for one in report.findings}
    assert any("a DS names a key" in line for line in report.unknown)
    # one that answers without keys is bogus for who believes the DS
    plain = tuple(one for one in signed() if one.type not in ("RRSIG", "NSEC", "DNSKEY"))
    report = check_served(Expected(DECLARED, now()), [view_of(plain)], parent)
    assert "ds-no-key" in {one.rule for one in report.findings}


def ends(records, now_s):
    """The metric of when the first signature ends, and how many hold."""
    report = check_served(Expected(DECLARED, now_s, ds_of(signed())), [view_of(records)])
    (one,) = report.servers
    name = "loopback_dns_server_signature_expires_seconds"
    rows = [line for line in render_metrics(report).splitlines() if line.startswith(f"{name}{{")]
    assert rows == [f'{name}{{zone="{ORIGIN}",server="ns1",address="192.0.2.1"}} {one.expires}']
    return one.expires, one.signatures


def test_the_end_of_signatures_stays_told_when_they_have_ended():
    wires = [one.wire for one in signed() if one.type == "RRSIG"]
    end = int.from_bytes(wires[0][8:12])
    assert ends(signed(), end)[0] == end
    assert ends(signed(), end + 1) == (end, 0)
    assert ends(signed(), end + 86_400) == (end, 0)
    # one that ended among others that hold
    old = sign(TEXT, since=LIFE_S + 86_400)
    number = dns.rdatatype.A.to_bytes(2)
    www = ("www.example.net.", "RRSIG")
    mixed = tuple(one for one in signed() if one[:2] != www or one.wire[:2] != number)
    mixed += tuple(one for one in old if one[:2] == www and one.wire[:2] == number)
    first, held = ends(mixed, now())
    assert first < now()
    assert held > 5
