"""What operators can hold: every line has a source, what is unknown refuses nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loopback_iac.dns import check_operator, facts_of, operators, unknown_of
from loopback_iac.dns.rdata import parse_type
from loopback_iac.model import InputRejected
from tests.unit.dns import zones

MODES = [(name, mode) for name, modes in operators().items() for mode in modes]
DIGEST = "ab" * 32


@pytest.mark.parametrize(("operator", "mode"), MODES)
def test_every_line_has_a_source_and_says_what_it_rests_on(operator, mode):
    facts = facts_of(operator, mode)
    assert {"types", "ttl_min_s", "ttl_max_s", "subzone", "presigned", "txt_strings"} <= set(facts)
    for name, fact in facts.items():
        assert fact.source.strip(), name
        assert (fact.value is None) == (fact.mark == "unknown"), name
    if isinstance(facts["types"].value, list):
        assert [parse_type(kind) for kind in facts["types"].value] == facts["types"].value


@pytest.mark.parametrize(("operator", "mode"), MODES)
def test_a_plain_zone_fits_everywhere(operator, mode):
    assert check_operator(zones.zone(), operator, mode, registered="example.net") == ()
    told = {line.split(":")[1].split()[0] for line in unknown_of(operator, mode)}
    assert told == {n for n, f in facts_of(operator, mode).items() if f.mark == "unknown"}


REFUSED = {
    ("hetzner", "api", "operator-type"): {"x": {"SSHFP": f"4 2 {DIGEST}"}},
    ("ionos", "api", "operator-type"): {"x": {"PTR": "www"}},
    ("cloudflare", "api", "operator-type"): {"x": {"DNAME": "example.org."}},
    ("hetzner", "api", "operator-ttl"): {"x": {"A": {"ttl_s": 59, "values": "192.0.2.1"}}},
    ("ionos", "api", "operator-ttl"): {"x": {"A": {"ttl_s": 604801, "values": "192.0.2.1"}}},
    ("cloudflare", "api", "operator-ttl"): {"x": {"A": {"ttl_s": 86401, "values": "192.0.2.1"}}},
    ("cloudflare", "api", "operator-txt"): {"x": {"TXT": "x" * 2049}},
    ("cloudflare", "api", "operator-txt-strings"): {"x": {"TXT": '"a" "b"'}},
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_what_an_operator_cannot_hold_names_it_and_the_record(case):
    operator, mode, rule = case
    (problem,) = check_operator(zones.zone(REFUSED[case]), operator, mode)
    assert problem.rule == rule
    assert operator in problem.got
    assert problem.path.startswith("x.example.net. ")
    assert "source: " in problem.fix
    assert check_operator(zones.zone(REFUSED[case]), "own-anycast") == ()
    assert check_operator(zones.zone(REFUSED[case]), operator, "transfer") == ()  # unknown there


def test_a_registered_domain_that_is_no_name_is_refused():
    with pytest.raises(InputRejected, match="registered"):
        check_operator(zones.zone(), "hetzner", "api", registered="a..b")


def test_zones_below_a_registered_name_and_signed_ones():
    zone = zones.parse_zone("z", {"name": "sub.example.net", "records": {}})
    found = check_operator(zone, "hetzner", registered="example.net")
    assert [p.rule for p in found] == ["operator-subzone"]
    assert check_operator(zone, "hetzner") == ()  # whether it is one, nobody said
    assert check_operator(zone, "ionos", registered="example.net") == ()
    for operator in ("hetzner", "ionos", "cloudflare"):
        found = check_operator(zones.zone(), operator, "api", signed=True)
        assert [p.rule for p in found] == ["operator-signed"]
        assert check_operator(zones.zone(), operator, "transfer", signed=True) == ()


def test_an_operator_that_is_none_is_refused():
    with pytest.raises(InputRejected, match="hetzner \\(api, transfer\\)"):
        check_operator(zones.zone(), "route53")
    with pytest.raises(InputRejected, match="operator-unknown"):
        check_operator(zones.zone(), "own-anycast", "api")


def test_sources_are_the_vendors_own():
    text = Path("loopback_iac/dns/operators.yaml").read_text()
    assert not re.search(r"facts|issue #|/work", text)
