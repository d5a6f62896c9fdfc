"""Zone -> text -> zone is the same zone, in both formats and in any order of input."""

from __future__ import annotations

import contextlib

import dns.rdatatype
import dns.zone
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from loopback_iac.cli.dns import read_zone
from loopback_iac.dns import (
    check_octodns,
    make_zone,
    names,
    parse_octodns,
    parse_zone,
    parse_zone_file,
    rdata,
    read_zone_file,
    render_octodns,
    render_zone_file,
)
from loopback_iac.dns.primary import parse_source
from loopback_iac.model import InputRejected
from loopback_iac.model.primary import ZoneSource
from tests.unit.dns import zones


@given(zones.any_zone())
def test_a_zone_file_is_its_zone(zone):
    assert parse_zone_file(render_zone_file(zone)) == zone


@given(zones.any_zone(), st.randoms(use_true_random=False))
def test_the_order_of_lines_does_not_matter(zone, random):
    head, ttl, *lines = render_zone_file(zone).splitlines()
    random.shuffle(lines)
    assert parse_zone_file("\n".join([head, ttl, *lines, *lines])) == zone


PLACED = {kind: v for kind, v in zones.VALUES.items() if kind not in ("CNAME", "SOA")}
"""Types that dnspython takes at any name, beside any other."""


@given(zones.any_zone(PLACED))
def test_dnspython_reads_the_same_data(zone):
    """The other reader of zone files that is at hand has no word of ours."""
    theirs = dns.zone.from_text(
        render_zone_file(zone), zones.ORIGIN, relativize=False, check_origin=False
    )
    told = {
        (names.text_of(name), dns.rdatatype.to_text(rdataset.rdtype)): (
            rdataset.ttl,
            tuple(sorted(each.to_digestable() for each in rdataset)),
        )
        for name, node in theirs.items()
        for rdataset in node
    }
    assert told == {r.key: (r.ttl_s, r.rdata) for r in zone.rrsets}


@given(zones.any_zone(zones.OCTODNS_VALUES, zones.ASCII))
def test_octodns_yaml_is_its_zone(zone):
    problems = check_octodns(zone)
    if problems:
        assert {p.rule for p in problems} <= {"octodns-text", "octodns-name"}
        return
    assert parse_octodns(render_octodns(zone), zone.name) == zone


def test_octodns_yaml_has_its_keys_in_the_order_octodns_enforces():
    """Numbers within names count as numbers; anything else is refused by its loader."""
    records = {name: {"MX": {"ttl_s": 60, "values": "1 m"}} for name in ("h10", "h9", "a", "@")}
    tree = yaml.safe_load(render_octodns(zones.bare(records)))
    assert list(tree) == ["", "a", "h9", "h10"]
    assert [list(record) for record in tree.values()] == [["ttl", "type", "value"]] * 4
    assert list(tree["a"]["value"]) == ["exchange", "preference"]


@given(zones.any_zone())
def test_a_declared_zone_may_stand_in_any_order(zone):
    records = {}
    for rrset in reversed(zone.rrsets):
        entry = {"ttl_s": rrset.ttl_s, "values": rrset.values()[::-1]}
        records.setdefault(rrset.owner, {})[rrset.type] = entry
    assert parse_zone("z", {"name": zone.name, "records": records}) == zone


@given(st.text(max_size=700).filter(lambda text: not text.startswith('"') and "\0" not in text))
def test_a_bare_text_is_its_octets_in_strings_of_255(text):
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return  # a lone surrogate is no text
    zone = zones.bare({"t": {"TXT": text}})
    parts = rdata.strings(zone.rrsets[0].rdata[0])
    assert b"".join(parts) == data
    assert all(len(part) == 255 for part in parts[:-1])
    assert parse_zone_file(render_zone_file(zone)).rrsets == zone.rrsets


@given(st.text("ab \"'();\\\n\t$@.0123456789éINATXSO", max_size=60))
def test_no_text_is_more_than_refused(text):
    with contextlib.suppress(InputRejected):
        zone = parse_zone_file(text, "example.net")
        assert parse_zone_file(render_zone_file(zone)) == zone


@pytest.mark.parametrize("text", ["a\0b A 192.0.2.1", 'a TXT "x\0y"', "a A 192.0.2.1\0", "\0" * 50])
def test_a_file_with_nul_in_it_is_no_text(text):
    with pytest.raises(InputRejected, match="control-character"):
        parse_zone_file(f"$TTL 60\n{text}\n", "example.net")


def test_every_record_knows_its_line():
    read = read_zone_file("$ORIGIN example.net.\n$TTL 60\n\na A 192.0.2.1\n  A 192.0.2.2\n")
    assert read.places == {("a.example.net.", "A"): "zone file:4"}


@pytest.mark.parametrize(
    ("head", "ttl_s"),
    [
        ("$TTL 2h", 7200),
        ("x 50 A 192.0.2.9", 50),  # RFC 1035: the last one stated
        ("@ SOA a. b. 1 2 3 4 77", 77),
    ],
)
def test_where_a_ttl_comes_from(head, ttl_s):
    read = parse_zone_file(f"{head}\nwww A 192.0.2.1\n", "example.net")
    assert read.rrset("www.example.net.", "A").ttl_s == ttl_s


def test_before_any_ttl_it_is_an_hour_and_no_ttl_that_was_stated():
    text = (
        "a A 192.0.2.1\n@ SOA a. b. 1 2 3 4 300\nb A 192.0.2.2\nc 60 A 192.0.2.3\nd A 192.0.2.4\n"
    )
    zone = parse_zone_file(text, "example.net")
    found = {rrset.owner.partition(".")[0]: rrset.ttl_s for rrset in zone.rrsets}
    assert found == {"a": 3600, "example": 300, "b": 300, "c": 60, "d": 60}
    with pytest.raises(InputRejected, match="rrset-ttl-mixed"):
        parse_zone_file("a A 192.0.2.1\na 60 A 192.0.2.2\n", "example.net")


NO_TTL = {
    "a SOA without TTL": "@ SOA ns1 h 1 3600 900 604800 300\n@ NS ns1\n@ NS ns2.example.org.\n",
    "no SOA": "@ NS ns1\n@ NS ns2.example.org.\nwww 300 A 192.0.2.1\nmail A 192.0.2.2\n",
    "a SOA with one": "@ 60 SOA ns1 h 1 3600 900 604800 300\n@ NS ns1\n@ NS ns2.example.org.\n",
    "$TTL": "@ NS ns1\n@ NS ns2.example.org.\n$TTL 60\nwww A 192.0.2.1\n",
}


@pytest.mark.parametrize("kind", NO_TTL)
def test_a_program_and_the_comparer_read_the_same_ttls(kind, tmp_path):
    text = f"{NO_TTL[kind]}ns1 A 192.0.2.53\n"
    file = tmp_path / "example.net.zone"
    file.write_text(text)
    read = read_zone(file, "example.net").zone
    assert parse_source("example.net.", ZoneSource(text=text), "").rrsets == read.rrsets
    # what a primary gets of it is read as the same again
    assert parse_zone_file(render_zone_file(read), "example.net").rrsets == read.rrsets


def test_a_ttl_beside_a_text_is_refused_for_its_reader_would_not_know():
    source = ZoneSource(text="@ NS ns1\n", default_ttl_s=60)
    with pytest.raises(InputRejected) as caught:
        parse_source("example.net.", source, "")
    assert [p.rule for p in caught.value.problems] == ["zone-ttl-beside-text"]
    assert "$TTL 60" in caught.value.problems[0].fix
    records = {"www": {"A": ["192.0.2.1"]}}
    for ttl_s, expected in ((60, 60), (None, 3600)):
        zone = parse_source("a.", ZoneSource(records=records, default_ttl_s=ttl_s), "")
        assert [rrset.ttl_s for rrset in zone.rrsets] == [expected]


def test_data_of_any_size_is_read_or_refused():
    longest = [b"x" * 255] * 255
    assert len(rdata.pack_strings(longest)) == 255 * 256
    text = " ".join(['"' + "x" * 255 + '"'] * 300)
    with pytest.raises(InputRejected, match="76800 octets of data"):
        parse_zone_file(f"$TTL 60\na TXT {text}\n", "example.net")
    with pytest.raises(InputRejected, match="rdata-too-long"):
        parse_zone_file(f"$TTL 60\na CERT PKIX 1 8 {'A' * 100_000}\n", "example.net")


def test_a_zone_without_a_name_says_so():
    with pytest.raises(InputRejected, match="origin-missing"):
        parse_zone_file("www 60 A 192.0.2.1\n")
    assert parse_zone_file("example.net. 60 SOA a. b. 1 2 3 4 5\n").name == "example.net."


ROOTED = """\
$ORIGIN .
$TTL 3600 ; 1 hour
example.net IN SOA ns1.example.net. h.example.net. (
\t7 3600 900 604800 3600 )
\t\tNS ns1.example.net.
$ORIGIN example.net.
ns1 A 192.0.2.1
"""


def test_a_file_that_begins_at_the_root_is_told_what_to_write():
    with pytest.raises(InputRejected, match="origin-root") as caught:
        parse_zone_file(ROOTED)
    (problem,) = caught.value.problems
    assert problem.fix == "name the zone, or write $ORIGIN example.net. before it"
    for read in (
        parse_zone_file(ROOTED, "example.net"),
        parse_zone_file(f"$ORIGIN example.net.\n{ROOTED}"),
    ):
        assert read.name == "example.net."
        assert {rrset.owner for rrset in read.rrsets} == {"example.net.", "ns1.example.net."}
    with pytest.raises(InputRejected, match="the zone's name and a final dot"):
        parse_zone_file("$ORIGIN .\n. 60 NS a.\n")
    assert parse_zone_file("$TTL 60\n@ NS a.\n", ".").name == "."


@pytest.mark.parametrize("text", ["$INCLUDE a", "$INCLUDE a sub"])
def test_includes_lead_nowhere_by_themselves(text):
    with pytest.raises(InputRejected, match="include-refused"):
        parse_zone_file(f"$TTL 60\n{text}\n", "example.net")


def test_includes_have_a_depth():
    with pytest.raises(InputRejected, match="include-cycle"):
        parse_zone_file(
            "$INCLUDE 0", "example.net", include=lambda name: f"$INCLUDE {int(name) + 1}"
        )


@pytest.mark.parametrize(
    ("kind", "text", "rule"),
    [
        ("TXT", '"gr\\195\\188n"', "octodns-text"),
        ("TXT", '"a" "b"', "octodns-text-strings"),
        ("TXT", r'"a\\;b"', "octodns-text"),
        ("CERT", "PKIX 1 8 AwEAAbOWSDo=", "octodns-type"),
        ("SVCB", '1 . key65000="x"', "octodns-svcparam"),
    ],
)
def test_what_octodns_cannot_hold_is_named(kind, text, rule):
    data = rdata.parse_rdata(kind, text, zones.ORIGIN)
    zone = make_zone(zones.ORIGIN, 3600, {("x.example.net.", kind): (60, [data])})
    assert [(p.path, p.rule) for p in check_octodns(zone)] == [(f"x.example.net. {kind}", rule)]
    with pytest.raises(InputRejected):
        render_octodns(zone)
