"""What operators are sent, read back as their servers read it, is what was declared."""

from __future__ import annotations

import pytest

from loopback_iac.dns import (
    cloudflare_records,
    facts_of,
    hetzner_records,
    hetzner_sets,
    ionos_records,
    own_servers,
    parse_zone,
)
from loopback_iac.dns.publish_cloudflare import check_fields
from loopback_iac.dns.rdata import parse_rdata
from loopback_iac.lab.cloud.cloudflare.records import check_record, value_of
from loopback_iac.lab.cloud.hetzner.rrsets import check_rrset
from loopback_iac.lab.cloud.ionos.zones import _value

VALUES = {
    "A": "192.0.2.1",
    "AAAA": "2001:db8::1",
    "CAA": '0 issue "ca.example; policy=ev"',
    "CERT": "1 2 3 AAAA",
    "CNAME": "www",
    "DS": "12345 13 2 " + "ab" * 32,
    "HINFO": '"cpu" "os"',
    "HTTPS": "1 . alpn=h2,h3 ipv4hint=192.0.2.1",
    "LOC": "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m",
    "MX": "10 mail.example.org.",
    "NS": "ns1.example.org.",
    "NAPTR": '100 10 "U" "E2U+sip" "!^.*$!sip:info@example.org!" .',
    "OPENPGPKEY": "AAAA",
    "PTR": "host.example.org.",
    "RP": "admin.example.org. text.example.org.",
    "SMIMEA": "3 1 1 " + "ab" * 32,
    "SRV": "1 2 5060 sip.example.org.",
    "SSHFP": "4 2 " + "ab" * 32,
    "SVCB": "1 svc.example.org. port=8443",
    "TLSA": "3 1 1 " + "ab" * 32,
    "TXT": 'say "hi" \\ grüß ' + "long " * 100,
    "URI": '10 1 "https://example.org/a b"',
}
HETZNER = sorted(set(facts_of("hetzner", "api")["types"].value) - {"SOA"})
IONOS = sorted(facts_of("ionos", "api")["types"].value)


CLOUDFLARE = sorted(facts_of("cloudflare", "api")["types"].value)


def zone_with(kind: str):
    return parse_zone("net", {"name": "example.net", "records": {"x": {kind: VALUES[kind]}}})


@pytest.mark.parametrize("kind", HETZNER)
def test_hetzner_reads_what_was_declared(kind):
    zone = zone_with(kind)
    (sent,) = hetzner_sets(zone)
    assert (sent.name, sent.type, sent.ttl_s) == ("x", kind, 3600)
    records = [{"value": value} for value in sent.values]
    assert check_rrset({"type": kind, "name": sent.name, "records": records}) == []
    read = tuple(parse_rdata(kind, value, "example.net.") for value in sent.values)
    assert read == zone.rrset("x.example.net.", kind).rdata


@pytest.mark.parametrize("kind", IONOS)
def test_ionos_reads_what_was_declared(kind):
    zone = zone_with(kind)
    (sent,) = ionos_records(zone, ())
    assert (sent.priority is not None) == (kind in ("MX", "SRV", "URI"))
    record = {"type": kind, "content": sent.content, "priority": sent.priority}
    read = parse_rdata(kind, _value(record), "example.net.")
    assert (read,) == zone.rrset("x.example.net.", kind).rdata


@pytest.mark.parametrize("kind", CLOUDFLARE)
def test_cloudflare_reads_what_was_declared(kind):
    zone = zone_with(kind)
    (sent,) = cloudflare_records(zone, ())
    assert (sent.name, sent.ttl_s) == ("x.example.net", 3600)
    assert (sent.content is None) != (sent.data is None)
    assert (sent.priority is not None) == (kind in ("MX", "SRV", "URI"))
    data = sent.data and {camel(key): value for key, value in sent.data.items()}
    record = {"type": kind, "content": sent.content, "data": data, "priority": sent.priority}
    record = {key: value for key, value in record.items() if value is not None}
    assert check_record({**record, "ttl": 3600}) == []
    read = parse_rdata(kind, value_of(record), "example.net.")
    assert (read,) == zone.rrset("x.example.net.", kind).rdata


def camel(key: str) -> str:
    first, *others = key.split("_")
    return first + "".join(word.title() for word in others)


def test_cloudflare_is_not_sent_names_of_its_own_servers():
    servers = ["ada.ns.cloudflare.com.", "vanity.example.org.", "ns.elsewhere.example."]
    zone = parse_zone("net", {"name": "example.net", "records": {"@": {"NS": servers}}})
    sent = cloudflare_records(zone, ("vanity.example.org.",))
    assert [record.content for record in sent] == ["ns.elsewhere.example"]


def test_a_name_server_of_the_operators_own_is_not_sent():
    own = own_servers("hetzner", "api", None)
    told = own_servers("hetzner", "api", ("NS.Elsewhere.example",))
    records = {"@": {"NS": [*own, "ns.elsewhere.example."]}}
    zone = parse_zone("net", {"name": "example.net", "records": records})
    assert [record.value for record in hetzner_records(zone, own)] == ["ns.elsewhere.example."]
    assert sorted(record.value for record in hetzner_records(zone, told)) == sorted(own)


def test_an_alias_changes_in_place_and_others_are_named_by_their_value():
    parts = {kind: ionos_records(zone_with(kind), ())[0].part for kind in ("CNAME", "A")}
    assert parts["CNAME"] == "x-CNAME"
    assert parts["A"].startswith("x-A-")


def test_a_value_that_cloudflare_has_no_way_to_take_is_named():
    (problem,) = check_fields(zone_of({"x": {"CAA": '0 issue "caf\\195\\169.example"'}}))
    assert (problem.path, problem.rule) == ("x.example.net. CAA", "operator-value")
    assert check_fields(zone_with("CAA")) == []


def zone_of(records):
    return parse_zone("net", {"name": "example.net", "records": records})
