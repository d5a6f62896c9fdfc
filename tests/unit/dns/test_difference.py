"""What changes between zones, and what of it needs somebody's word."""

from __future__ import annotations

import pytest
from hypothesis import given

from loopback_iac.dns import (
    Kind,
    check_change,
    difference,
    find_risks,
    make_zone,
    render_difference,
)
from tests.unit.dns import zones

MANY = {f"h{n}": {"A": f"192.0.2.{n}"} for n in range(40)}


def change(old, new):
    return difference(zones.zone(old), zones.zone(new))


def rules(found, acknowledged=()):
    return [problem.rule for problem in check_change(found, acknowledged)]


@given(zones.any_zone(), zones.any_zone())
def test_a_difference_leads_from_one_zone_to_the_other(old, new):
    found = difference(old, new)
    after = {rrset.key: rrset for rrset in old.rrsets}
    for each in found.changes:
        if each.new is None:
            del after[each.rrset.key]
        else:
            after[each.rrset.key] = each.new
    pairs = {key: (rrset.ttl_s, rrset.rdata) for key, rrset in after.items()}
    left = difference(make_zone(old.name, old.default_ttl_s, pairs), new)
    assert left.changes == ()
    assert (found.changes == ()) == (render_difference(found) == "")


def test_kinds_and_text_of_changes():
    found = change(
        {"a": {"A": "192.0.2.1"}, "b": {"A": ["192.0.2.1", "192.0.2.2"]}, "d": {"TXT": "x"}},
        {
            "a": {"A": {"ttl_s": 60, "values": "192.0.2.1"}},
            "b": {"A": ["192.0.2.2", "192.0.2.3"]},
            "c": {"A": "192.0.2.1"},
        },
    )
    assert [c.kind for c in found.changes] == [Kind.TTL, Kind.VALUES, Kind.ADDED, Kind.REMOVED]
    assert found.counts() == {"added": 1, "removed": 1, "ttl": 1, "values": 1}
    assert render_difference(found).splitlines() == [
        "~ a.example.net. A TTL 3600 => 60",
        "- b.example.net. 3600 A 192.0.2.1",
        "+ b.example.net. 3600 A 192.0.2.3",
        "+ c.example.net. 3600 A 192.0.2.1",
        '- d.example.net. 3600 TXT "x"',
    ]


def test_a_serial_is_no_change_and_neither_is_spelling():
    soa = "ns1 hostmaster {} 3600 900 604800 3600"
    apex = zones.GOOD["@"]
    old = zones.zone({"@": apex | {"SOA": soa.format(1)}, "x": {"AAAA": "2001:DB8:0::1"}})
    new = zones.zone({"@": apex | {"SOA": soa.format(2)}, "X": {"AAAA": "2001:db8::1"}})
    assert difference(old, new).changes == ()
    without = {kind: values for kind, values in apex.items() if kind != "SOA"}
    assert difference(old, zones.zone({"@": without, "x": {"AAAA": "2001:db8::1"}})).changes == ()


DANGERS = {
    "change-apex-ns": ({}, {"@": zones.GOOD["@"] | {"NS": ["ns1", "ns3.example.org."]}}),
    "change-ds": ({"s": {"NS": "ns1"}}, {"s": {"NS": "ns1", "DS": "1 13 2 " + "ab" * 32}}),
    "change-dnskey": ({}, {"@": zones.GOOD["@"] | {"DNSKEY": "257 3 13 AAAA"}}),
    "change-last-address": ({"x": {"A": "192.0.2.1"}}, {}),
    "change-mx": ({}, {"@": {k: v for k, v in zones.GOOD["@"].items() if k != "MX"}}),
    "change-caa": ({"@": zones.GOOD["@"] | {"CAA": '0 issue ";"'}}, {}),
    "change-delete": ({"x": {"TXT": "x"}}, {}),
}


@pytest.mark.parametrize("rule", sorted(DANGERS))
def test_each_danger_needs_its_own_word(rule):
    found = change(*DANGERS[rule])
    assert rules(found) == [rule]
    words = [risk.acknowledgement for risk in find_risks(found)]
    assert rules(found, words) == []
    for other in DANGERS.keys() - {rule}:
        others = [risk.acknowledgement for risk in find_risks(change(*DANGERS[other]))]
        assert rules(found, others) == [rule]


def test_a_word_does_not_wait_for_the_next_change():
    first = change({"x": {"MX": "10 mail"}}, {})
    words = [risk.acknowledgement for risk in find_risks(first)]
    second = change({"x": {"MX": "20 mail"}}, {})
    assert rules(second, words) == ["change-mx"]


MAIL_AND_CA = {
    "the first MX of an address": ({"x": {"A": "192.0.2.1"}}, {"MX": "10 mail"}, "change-mx"),
    "a null MX of an address": ({"x": {"A": "192.0.2.1"}}, {"MX": "0 ."}, "change-mx"),
    "an MX preferred": ({"x": {"MX": "10 mail"}}, {"MX": ["5 www", "10 mail"]}, "change-mx"),
    "an MX that shares": ({"x": {"MX": "10 mail"}}, {"MX": ["10 www", "10 mail"]}, "change-mx"),
    "an MX for bad days": ({"x": {"MX": "10 mail"}}, {"MX": ["20 www", "10 mail"]}, ""),
    "an MX where nobody took mail": ({"x": {"TXT": "x"}}, {"MX": "10 mail"}, ""),
    "an MX of a new name": ({}, {"MX": "10 mail"}, ""),
    "the first CAA": ({"x": {"A": "192.0.2.1"}}, {"CAA": '0 issue "a.example"'}, "change-caa"),
    "a CAA of a new name": ({}, {"CAA": '0 issue "a.example"'}, "change-caa"),
    "a CAA more": (
        {"x": {"CAA": '0 issue ";"'}},
        {"CAA": ['0 issue ";"', '0 issue "a.example"']},
        "change-caa",
    ),
    "a CAA of another TTL": (
        {"x": {"CAA": '0 issue ";"'}},
        {"CAA": {"ttl_s": 300, "values": '0 issue ";"'}},
        "",
    ),
}


@pytest.mark.parametrize("what", MAIL_AND_CA)
def test_who_gets_mail_and_who_may_issue(what):
    before, added, rule = MAIL_AND_CA[what]
    found = change(before, before | {"x": before.get("x", {}) | added})
    assert rules(found) == ([rule] if rule else [])
    words = [risk.acknowledgement for risk in find_risks(found)]
    assert rules(found, words) == []


def test_harmless_changes_need_none():
    found = change(
        {"a": {"A": "192.0.2.1"}, "m": {"MX": "10 mail"}, "two": {"A": "192.0.2.1", "TXT": "t"}},
        {
            "a": {"CNAME": "www"},
            "m": {"MX": ["10 mail", "20 www"]},
            "two": {"A": "192.0.2.9", "TXT": "t"},
            "n": {"A": "192.0.2.1"},
        },
    )
    assert rules(found) == ["change-delete"]  # the address that an alias replaces
    assert rules(change({}, {"n": {"A": "192.0.2.1"}})) == []


def test_a_name_that_keeps_one_family_keeps_an_address():
    both = {"x": {"A": "192.0.2.1", "AAAA": "2001:db8::1"}}
    assert rules(change(both, {"x": {"A": "192.0.2.1"}})) == ["change-delete"]
    assert rules(change(both, {})) == ["change-last-address", "change-last-address"]


def test_a_share_of_the_zone_needs_a_word_and_a_small_zone_has_a_floor():
    moved = {name: {"A": "198.51.100.1"} for name in MANY}
    assert rules(change(MANY, moved)) == ["change-share"]
    few = dict(list(moved.items())[:10])
    assert rules(change(MANY, MANY | few)) == []
    small = {"a": {"A": "192.0.2.1"}, "b": {"A": "192.0.2.1"}, "c": {"A": "192.0.2.1"}}
    assert rules(change(small, {n: {"A": "192.0.2.9"} for n in small})) == []


def test_a_zone_cut_off_is_told_of_by_count():
    old = zones.bare(zones.GOOD | MANY)
    found = difference(old, zones.bare({"@": zones.GOOD["@"]}))
    risks = find_risks(found)
    assert [(r.danger, r.subject) for r in risks] == [("last-address", "x44"), ("share", "44/48")]


def test_a_new_zone_takes_nothing_from_anybody():
    assert rules(difference(zones.bare({}), zones.zone())) == []
    assert "change-apex-ns" in rules(difference(zones.zone(), zones.bare({})))
