"""Names: one text for each, in the order of DNSSEC, with every octet that can be in them."""

from __future__ import annotations

import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopback_iac.dns import Refusal, names
from tests.unit.dns import zones


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=5))
def test_a_name_is_one_text_and_the_octets_dnspython_has(labels):
    name = dns.name.Name([*labels, b""]).canonicalize()
    text = names.parse_name(name.to_text(), "example.net.")
    assert dns.name.from_text(text) == name
    assert names.text_of(name) == text
    assert names.name_wire(text) == name.to_wire()
    assert names.name_text(name.to_wire()) == text
    assert names.parent(text) == (names.text_of(name.parent()))


@given(st.lists(zones.OWNERS, max_size=8))
def test_the_order_is_that_of_dnssec(owners):
    ours = sorted(owners, key=names.order)
    assert [dns.name.from_text(o) for o in ours] == sorted(map(dns.name.from_text, owners))


@given(zones.OWNERS, zones.OWNERS)
def test_within_means_what_it_means_on_the_wire(name, zone):
    told = dns.name.from_text(name).is_subdomain(dns.name.from_text(zone))
    assert names.is_within(name, zone) is told


def test_relative_names_are_the_ones_they_came_from():
    for text in ("@", "www", "a.b", "*", r"a\.b", r"\@", r"\$x", "xn--bcher-kva"):
        name = names.parse_name(text, "example.net.")
        assert names.parse_name(names.relative(name, "example.net."), "example.net.") == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Bücher", "xn--bcher-kva.example.net."),
        ("straße", "xn--strae-oqa.example.net."),  # 2008 keeps what 2003 made "strasse"
        ("XN--BCHER-KVA", "xn--bcher-kva.example.net."),
        ("www.", "www."),
        (r"a\046b", r"a\.b.example.net."),
        (r"\065", "a.example.net."),
        ("a:b", r"a\058b.example.net."),  # Knot reads no bare colon
        ("0/25", "0/25.example.net."),
    ],
)
def test_names_as_people_write_them(text, name):
    assert names.parse_name(text, "example.net.") == name


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "name-empty"),
        ("a..b", "name-empty-label"),
        ("a" * 64, "name-label-long"),
        (".".join(["a" * 60] * 5), "name-too-long"),
        (r"a\25", "name-escape"),
        (r"a\256", "name-escape"),
        ("☃☃☃☃ x", "name-idna"),
    ],
)
def test_what_is_no_name(text, rule):
    with pytest.raises(Refusal) as caught:
        names.parse_name(text, "example.net.")
    assert caught.value.rule == rule
