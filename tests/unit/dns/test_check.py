"""Each rule has a zone that breaks it and says so; a good zone breaks none."""

from __future__ import annotations

import pytest

from loopback_iac.dns import Signing, check_hygiene, check_signing, check_zone
from loopback_iac.dns.findings import ADVICE, ERRORS
from loopback_iac.model import InputRejected
from tests.unit.dns import zones

DIGEST = "49fd46e6c4b45c55d4ac49fd46e6c4b45c55d4ac49fd46e6c4b45c55d4ac0123"
SUB = {"sub": {"NS": "ns1", "DS": f"1 13 2 {DIGEST}"}}
APEX = zones.GOOD["@"]
BROKEN = {
    "a-label-invalid": {"xn--99zzzzzz": {"A": "192.0.2.1"}},
    "apex-ns-few": {"@": APEX | {"NS": "ns1"}},
    "below-cut": SUB | {"deep.sub": {"TXT": "x"}},
    "below-dname": {"d": {"DNAME": "example.org."}, "x.d": {"A": "192.0.2.1"}},
    "caa-critical": {"x": {"CAA": '128 unheard "x"'}},
    "caa-value": {"x": {"CAA": '0 issue "two words"'}},
    "cname-apex": {"@": APEX | {"CNAME": "www"}},
    "cname-coexistence": {"www": {"CNAME": "mail", "A": "192.0.2.1"}},
    "cname-loop": {"a": {"CNAME": "b"}, "b": {"CNAME": "c"}, "c": {"CNAME": "a"}},
    "cname-several": {"a": {"CNAME": ["www", "mail"]}},
    "dmarc-record": {"_dmarc": {"TXT": "v=DMARC1; rua=mailto:x@example.net; p=none; p=all"}},
    "dname-several": {"d": {"DNAME": ["example.org.", "example.com."]}},
    "ds-apex": {"@": APEX | {"DS": f"1 13 2 {DIGEST}"}},
    "ds-digest": {"sub": {"NS": "ns1", "DS": f"1 13 1 {DIGEST[:40]}"}},
    "ds-algorithm": {"sub": {"NS": "ns1", "DS": f"1 7 2 {DIGEST}"}},
    "ds-no-delegation": {"sub": {"DS": f"1 13 2 {DIGEST}"}},
    "glue-missing": {"sub": {"NS": ["ns.sub", "ns1"]}},
    "mx-null": {"x": {"MX": ["0 .", "10 mail"]}},
    "negative-ttl": {"@": APEX | {"SOA": "ns1 h 1 3600 900 604800 86400"}},
    "rrset-too-large": {"x": {"TXT": [f"{n:04d}" + "x" * 250 for n in range(260)]}},
    "signer-owned": {"x": {"CDS": "0 0 0 00"}},
    "soa-several": {"x": {"SOA": "ns1 h 1 3600 900 604800 3600"}},
    "soa-timing": {"@": APEX | {"SOA": "ns1 h 1 3600 3600 604800 3600"}},
    "spf-several": {"x": {"TXT": ["v=spf1 -all", "V=SPF1 mx -all"]}},
    "sshfp-value": {"x": {"SSHFP": f"9 2 {DIGEST}"}},
    "target-address": {"x": {"CNAME": "192.0.2.1."}},
    "target-cname": {"x": {"MX": "10 alias"}, "alias": {"CNAME": "mail"}},
    "target-missing": {"_sip._tcp": {"SRV": "1 1 5060 nowhere"}},
    "tlsa-value": {"_443._tcp": {"TLSA": f"4 1 1 {DIGEST}"}},
    "wildcard-ns": {"*.w": {"NS": "ns1"}},
}
SURPRISING = {
    "alias-dangling": {"x": {"CNAME": "nowhere"}},
    "negative-ttl-long": {"@": APEX | {"SOA": "ns1 h 1 3600 900 604800 7200"}},
    "ns-ttl-short": {"@": APEX | {"NS": {"ttl_s": 300, "values": ["ns1", "ns2.example.org."]}}},
    "spf-lookups": {"x": {"TXT": "v=spf1 " + " ".join(f"include:{n}.example" for n in range(11))}},
    "spf-missing": {"x": {"MX": "10 mail"}},
    "spf-type": {"x": {"SPF": '"v=spf1 -all"'}},
    "ttl-short": {"www": {"A": {"ttl_s": 5, "values": "192.0.2.1"}}},
}


def test_every_rule_has_a_zone_that_breaks_it():
    assert BROKEN.keys() == ERRORS.keys()
    assert SURPRISING.keys() == ADVICE.keys()


def test_a_good_zone_breaks_none():
    records = SUB | {
        "*.preview": {"CNAME": "www"},
        "x": {"MX": "10 any.preview", "TXT": "v=spf1 -all"},
        "svc": {"SVCB": "0 www", "HTTPS": "1 . alpn=h2", "A": "192.0.2.1"},
        "out": {"DNAME": "example.org."},
        "null": {"MX": "0 .", "TXT": "v=spf1 -all"},
        "_dmarc": {"TXT": ["v=DMARC1; p=reject; rua=mailto:d@example.net", "unrelated"]},
        "ca": {"CAA": ['0 issue ";"', '0 issue "ca.example; validationmethods=dns-01"']},
        "ahead": {"HTTPS": "0 svc", "SVCB": "0 any.svc"},
        "bare": {"HTTPS": "1 www"},
        "on": {"HTTPS": "0 bare"},
        "*.svc": {"SVCB": "1 www"},
        "glued": {"NS": ["ns.glued", "ns1.out"]},
        "sibling": {"NS": ["ns.glued", "sibling"], "A": "192.0.2.7"},
        "ns.glued": {"A": "192.0.2.9", "AAAA": "2001:db8::9"},
        "srv": {"SRV": "0 0 1 ."},
    }
    del records["x"]  # a wildcard's alias is an alias
    assert check_zone(zones.zone(records)) == ()
    assert check_hygiene(zones.zone(records)) == ()


@pytest.mark.parametrize("rule", sorted(BROKEN))
def test_a_broken_zone_says_which_rule(rule):
    found = check_zone(zones.zone(BROKEN[rule]))
    assert rule in {problem.rule for problem in found}
    assert all(problem.fix and problem.rule in ERRORS for problem in found)


@pytest.mark.parametrize("rule", sorted(SURPRISING))
def test_a_surprising_zone_is_told_of_and_not_refused(rule):
    zone = zones.zone(SURPRISING[rule])
    assert rule in {problem.rule for problem in check_hygiene(zone)}
    assert check_zone(zone) == ()


@pytest.mark.parametrize("kind", ["A", "AAAA"])
def test_below_a_delegation_stand_addresses_of_name_servers_alone(kind):
    address = {kind: "192.0.2.1" if kind == "A" else "2001:db8::1"}
    for owner in ("sub", "deep.sub"):
        found = check_zone(zones.zone(SUB | {owner: SUB.get(owner, {}) | address}))
        assert [(p.path, p.rule) for p in found] == [(f"{owner}.example.net. {kind}", "below-cut")]


def test_an_alias_for_services_leads_to_one_of_its_kind_or_to_an_address():
    for other in ({"SVCB": "1 www"}, {"TXT": "x"}):
        found = check_zone(zones.zone({"a": {"HTTPS": "0 b"}, "b": other}))
        assert [problem.rule for problem in found] == ["target-missing"]
    for record in ("1 b alpn=h2", "0 a", "0 gone"):
        found = check_zone(zones.zone({"a": {"HTTPS": record}, "b": {"HTTPS": "1 www"}}))
        assert [problem.rule for problem in found] == ["target-missing"]


def test_all_rules_are_told_at_once():
    zone = zones.zone({"a": {"CNAME": ["www", "mail"], "A": "192.0.2.1"}, "x": {"MX": "1 gone"}})
    found = [problem.rule for problem in check_zone(zone)]
    assert found == ["cname-coexistence", "cname-several", "target-missing"]


def test_every_target_of_a_name_is_looked_at_and_words_of_a_policy_have_no_case():
    both = zones.zone({"4": {"PTR": ["h.example.org.", "10.2.3.4."]}})
    assert [problem.rule for problem in check_zone(both)] == ["target-address"]
    shouted = zones.zone({"_dmarc": {"TXT": "v=DMARC1; p=Reject"}})
    assert check_zone(shouted) == ()


def test_problems_stand_where_their_records_do():
    zone = zones.zone({"x": {"MX": "1 gone"}})
    places = {("x.example.net.", "MX"): "example.net.zone:17"}
    assert [p.place for p in check_zone(zone, places)] == ["example.net.zone:17"]


def test_signatures_outlive_what_secondaries_serve():
    assert check_signing(zones.zone(), Signing()) == ()
    short = Signing(rrsig_refresh_s=7 * 86_400, rrsig_lifetime_s=14 * 86_400)
    rules = [problem.rule for problem in check_signing(zones.zone(), short)]
    assert rules == ["rrsig-refresh-short", "rrsig-lifetime-short"]
    salted = Signing(nsec3_iterations=10, nsec3_salt="00")
    assert [p.rule for p in check_signing(zones.zone(), salted)] == ["nsec3-parameters"]
    with pytest.raises(ValueError, match="algorithm 8"):
        Signing(algorithm=8)


def test_a_zone_of_nobody_is_refused_by_name():
    with pytest.raises(InputRejected, match="name: is missing"):
        zones.parse_zone("z", {"records": {}})
