"""`loopback dns check` on real servers: Knot signs, Knot and NSD serve, some lie."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import replace

import dns.name
import dns.rdataset
import dns.zone
import pytest

from loopback_iac.dns import parse_zone_file
from loopback_iac.dns.served.texts import render_metrics, report_tree
from loopback_iac.remote.dns_transfer import parse_tsig
from tests.accept.drafted import assert_drafted
from tests.accept.name_servers import HOST, KEY_LINE, SECRET, ZONE, Between, knot, nsd, running
from tests.accept.served_zone import (
    DECLARED,
    TEXT,
    check,
    gate,
    put,
    rules,
    run_verb,
    strip,
    text_ds,
    text_of,
    transfer,
    verdicts,
)

DAY_S = 86_400


@pytest.mark.parametrize("way", ["all", "queries", "transfer"])
def test_servers_that_have_what_is_declared_are_equal(fleet, way):
    report = check([fleet.signer, fleet.plain, fleet.nsd], ds=fleet.ds, way=way)
    assert report.findings == ()
    assert verdicts(report) == {"signer": "equal", "plain": "equal", "nsd": "equal"}
    assert report.trust == "DS"
    assert {one.nsid for one in report.servers} == {"signer", "plain", "nsd"}
    zonemd = "unknown" if way == "queries" else "holds"
    assert {one.zonemd for one in report.servers} == {zonemd}
    assert all(one.signatures > 10 and one.expires for one in report.servers)


def test_the_report_is_the_same_each_time_and_whatever_the_order(fleet):
    fleet.plain.reload(fleet.altered(lambda zone: put(zone, "www", "A")))
    one, other = check([fleet.plain, fleet.nsd]), check([fleet.nsd, fleet.plain])
    assert report_tree(one) | {"checked_at": 0} == report_tree(other) | {"checked_at": 0}
    assert render_metrics(replace(one, checked_at=0)) == render_metrics(
        replace(other, checked_at=0)
    )


@pytest.mark.parametrize("rrset", DECLARED.rrsets, ids=lambda r: f"{r.owner} {r.type}")
def test_one_altered_record_is_found_whichever_it_is(fleet, rrset):
    name = dns.name.from_text(rrset.owner).relativize(dns.name.from_text(ZONE))
    fleet.plain.reload(fleet.altered(lambda zone: put(zone, name, rrset.type)))
    report = check([fleet.plain, fleet.nsd], ds=fleet.ds, keyed=False)
    named = {(one.owner, one.type) for one in report.findings if one.server == "plain"}
    assert rrset.key in named
    assert rules(report, "nsd") == set()
    cut = rrset.type == "NS" and rrset.owner != ZONE
    unsigned = cut or rrset.owner == "ns.child.example.net."
    assert verdicts(report) == {"plain": "diverged" if unsigned else "tampered", "nsd": "equal"}
    assert verdicts(check([fleet.plain], ds=fleet.ds)) == {"plain": "tampered"}  # by ZONEMD at last


def spoil_zonemd(zone):
    held = zone.find_rdataset("@", "ZONEMD")[0]
    put(zone, "@", "ZONEMD", held.replace(digest=bytes(48)).to_text())


def drop(zone, name, kind):
    zone.delete_rdataset(name, kind)
    zone.delete_rdataset(name, "RRSIG", kind)


def shorten(zone):
    held = zone.find_rdataset("www", "A")
    zone.replace_rdataset("www", dns.rdataset.from_rdata_list(60, list(held)))


FAULTS = {
    "a record more": (
        lambda zone: put(zone, "evil", "A"),
        {"rrset-extra", "signature-missing", "zonemd-wrong"},
    ),
    "a record gone": (
        lambda zone: drop(zone, "www", "A"),
        {"rrset-missing", "denial-unproven", "zonemd-wrong"},
    ),
    "another TTL": (shorten, {"rrset-ttl", "ttl-unsigned", "zonemd-wrong"}),
    "no signatures": (strip, {"dnskey-unproven", "signature-missing", "denial-unproven"}),
    "another digest": (spoil_zonemd, {"zonemd-wrong", "signature-wrong"}),
    "other keys": (
        lambda zone: put(
            zone,
            "@",
            "DNSKEY",
            "257 3 13 " + "mdsswUyr3DPW132mOi8V9xESWE8jTo0d" * 2 + "XEs+uIo9Yvk=",
        ),
        {"dnskey-unproven"},
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_who_tampers_is_told_from_who_does_not(fleet, fault):
    change, expected = FAULTS[fault]
    fleet.plain.reload(fleet.altered(change))
    report = check([fleet.plain, fleet.nsd], ds=fleet.ds)
    assert expected <= rules(report, "plain")
    assert verdicts(report) == {"plain": "tampered", "nsd": "equal"}


@pytest.fixture
def second(fleet):
    """A signer with the same keys and another zone of the same serial."""
    daemon = knot(fleet.image, "second", "", sign={})
    fleet.signer.stop()
    shutil.copytree(fleet.signer.home / "keys", daemon.home / "keys")
    fleet.signer.start()
    daemon.write(
        "zone",
        TEXT.replace("192.0.2.2\n", "192.0.2.3\nmore TXT x\n").replace("alias CNAME www\n", ""),
    )
    with running(daemon):
        yield daemon


def test_other_data_that_is_rightly_signed_diverges(fleet, second):
    for keyed in (True, False):
        report = check([fleet.nsd, second], ds=fleet.ds, keyed=keyed)
        assert verdicts(report) == {"nsd": "equal", "second": "diverged"}
        assert {(one.rule, one.owner) for one in report.findings} == {
            ("rrset-values", "www.example.net."),
            ("rrset-missing", "alias.example.net."),
            ("rrset-extra", "more.example.net."),
        }
        assert {one.extra for one in report.servers} == {"transfer" if keyed else "walk"}


# an alias, a wildcard's answer and a delegation in place of what is declared
OTHERWISE = (
    TEXT.replace("mail A 192.0.2.1\n", "mail NS ns.mail\nns.mail A 192.0.2.8\n")
    .replace("www A 192.0.2.2\nwww AAAA 2001:db8::1\n", "www CNAME ns1\n")
    .replace("svc HTTPS 1 . alpn=h2\n", "* HTTPS 1 .\n")
    .replace("hostmaster 1 ", "hostmaster 9 ")
)
MISSING = {(f"mail.{ZONE}", "A"), (f"svc.{ZONE}", "HTTPS")} | {
    (f"www.{ZONE}", kind) for kind in ("A", "AAAA")
}


def missing(report):
    return {(one.owner, one.type) for one in report.findings if one.rule == "rrset-missing"}


def test_a_signer_that_has_names_otherwise_diverges(fleet, second):
    """The real answers of aliases, wildcards and delegations, and the proofs that Knot adds."""
    second.reload(OTHERWISE)
    for keyed in (True, False):
        report = check([fleet.nsd, second], ds=fleet.ds, keyed=keyed)
        assert verdicts(report) == {"nsd": "lagging", "second": "diverged"}
        assert missing(report) == MISSING


def test_a_secondary_that_stands_still_lags_and_one_that_alters_it_tampers(fleet, second):
    newer = transfer(second)
    soa = newer.find_rdataset("@", "SOA")[0]
    put(newer, "@", "SOA", soa.replace(serial=soa.serial + 5).to_text())
    earlier = parse_zone_file((second.home / "zone").read_text(), ZONE, title="before")
    before = transfer(second)
    fleet.plain.reload(text_of(before))
    second.reload(TEXT.replace("hostmaster 1 ", "hostmaster 7 "))
    report = check([fleet.plain, second], ds=fleet.ds, earlier=(("before", earlier),))
    assert verdicts(report) == {"plain": "lagging", "second": "equal"}
    assert report.newest == 7
    assert [one.content for one in report.servers] == ["before", "declared"]
    zone = dns.zone.from_text(text_of(before), ZONE)
    put(zone, "www", "A")
    fleet.plain.reload(text_of(zone))
    report = check([fleet.plain, second], ds=fleet.ds)
    assert verdicts(report) == {"plain": "tampered", "second": "equal"}
    assert "serial-behind" in rules(report, "plain")


def test_signatures_that_have_expired_or_soon_will(fleet):
    soon = check([fleet.nsd], ds=fleet.ds, later_s=15 * DAY_S)
    assert rules(soon, "nsd") == {"signature-life"}
    late = check([fleet.nsd], ds=fleet.ds, later_s=22 * DAY_S)
    assert (rules(late, "nsd"), verdicts(late)) == ({"signature-expired"}, {"nsd": "faulty"})
    early = check([fleet.nsd], ds=fleet.ds, later_s=-DAY_S)
    assert (rules(early, "nsd"), verdicts(early)) == ({"signature-early"}, {"nsd": "faulty"})


def answering(rcode):
    def meddle(said, way):
        head = bytearray(said[:12])
        head[3] = head[3] & 0xF0 | rcode
        return bytes(head) + said[12:]

    return meddle


def without_authority(said, way):
    return said[:2] + bytes((said[2] & ~4,)) + said[3:]


def lying_over_udp(said, way):
    return said.replace(bytes((192, 0, 2, 2)), bytes((192, 0, 2, 77))) if way == "udp" else said


def cut_off(said, way):
    if way == "tcp":
        return None
    return said[:2] + bytes((said[2] | 2,)) + said[3:]


BETWEEN = {
    "refuses": (answering(5), "unreachable", {"udp-silent", "tcp-silent"}, "it answers REFUSED"),
    "fails": (answering(2), "unreachable", {"udp-silent", "tcp-silent"}, "it answers SERVFAIL"),
    "is a resolver": (
        without_authority,
        "unreachable",
        {"udp-silent", "tcp-silent"},
        "its answer is not authoritative",
    ),
    "is silent": (
        lambda said, way: None,
        "unreachable",
        {"udp-silent", "tcp-silent"},
        "no answer in time",
    ),
    "speaks no DNS": (
        lambda said, way: said[:2] + b"\xff" * 30,
        "unreachable",
        {"udp-silent", "tcp-silent"},
        "it answers what is no DNS: 65535 questions",
    ),
    "cuts off, with TCP dead": (
        cut_off,
        "unreachable",
        {"udp-silent", "tcp-silent"},
        "its answer is cut off",
    ),
    "has no TCP": (
        lambda said, way: None if way == "tcp" else said,
        "faulty",
        {"tcp-silent", "transfer-refused"},
        "it ends the connection",
    ),
    "has no UDP": (
        lambda said, way: None if way == "udp" else said,
        "faulty",
        {"udp-silent"},
        "no answer in time",
    ),
    "lies over UDP": (
        lying_over_udp,
        "tampered",
        {"rrset-values", "signature-wrong"},
        "192.0.2.77",
    ),
}


@pytest.mark.parametrize("fault", BETWEEN)
def test_a_server_that(fleet, fault):
    meddle, verdict, expected, got = BETWEEN[fault]
    with Between(fleet.nsd, meddle) as between:
        report = check([between, fleet.plain], ds=fleet.ds)
    assert verdicts(report) == {"between": verdict, "plain": "equal"}
    assert rules(report, "between") == expected
    assert got in {one.got for one in report.findings}
    if fault == "lies over UDP":
        assert {one.by for one in report.findings} == {("udp",)}


def test_a_key_that_a_server_does_not_take_is_told(fleet):
    wrong = parse_tsig("hmac-sha256:audit:" + "AAAA" * 8)
    report = check([fleet.nsd, fleet.plain], ds=fleet.ds, keyed=wrong)
    assert rules(report, "nsd") == rules(report, "plain") == {"transfer-refused"}
    assert {one.extra for one in report.servers} == {"walk"}
    assert {one.got for one in report.findings} == {"NOTAUTH: BadSignature"}


def test_the_wrong_pop_is_told(fleet):
    server = fleet.nsd.server
    report = check([server._replace(pop="nsd"), server._replace(pop="par1")], ds=fleet.ds)
    assert [(one.server, one.rule) for one in report.findings] == [("nsd/par1", "nsid-differs")]


PARENT = """\
$ORIGIN net.
$TTL 3600
@ SOA ns.net. h.net. 1 3600 900 604800 3600
@ NS ns.net.
ns A 192.0.2.100
example NS ns1.example.net.
example NS ns2.example.org.
ns1.example A 192.0.2.53
"""
PARENTS = {
    "as it should be": ("", "", set()),
    "with another name server": ("ns2.example.org.", "ns3.example.org.", {"parent-ns"}),
    "without glue": ("ns1.example A 192.0.2.53\n", "", {"parent-glue"}),
    "with other glue": ("192.0.2.53", "192.0.2.54", {"parent-glue"}),
    "with another DS": ("DS", "", {"ds-no-key"}),
    "with a DS too many": ("DS+", "", {"ds-stray", "ds-cds"}),
}


@pytest.mark.parametrize("fault", PARENTS)
def test_a_parent(fleet, fault):
    old, new, expected = PARENTS[fault]
    ds = [f"example DS {text_ds(one)}\n" for one in fleet.ds]
    if old.startswith("DS"):
        ds = [*(ds if old == "DS+" else []), f"example DS 1 13 2 {'00' * 32}\n"]
        old = ""
    text = (PARENT.replace(old, new) if old else PARENT) + "".join(ds)
    parent = nsd(fleet.image, "parent", text, zone="net.")
    with running(parent):
        report = check([fleet.nsd], parent=parent.server)
    assert {one.rule for one in report.findings if not one.server} | (
        rules(report, "nsd") & {"ds-cds"}
    ) >= expected
    assert ({one.rule for one in report.findings} == set()) == (expected == set())
    assert all("parent was not asked" not in line for line in report.unknown)


# of the DS gate: a server that has every proof; its zone names others
NOT_ASKED = {"server-not-asked"}


@pytest.mark.parametrize("nsec3", ["on", "on\n    nsec3-opt-out: on"], ids=["all", "opt-out"])
def test_nsec3_denies_as_well_and_cannot_be_walked(fleet, nsec3):
    signer = knot(fleet.image, "hashed", TEXT, sign={"nsec3": nsec3})
    with running(signer):
        report = check([signer], keyed=False)
        assert report.findings == ()
        assert any("no NSEC chain" in line for line in report.unknown)
        assert check([signer]).findings == ()
        assert {one.rule for one in gate(signer).findings} == NOT_ASKED
        signer.reload(OTHERWISE)
        for keyed in (True, False):
            report = check([signer], keyed=keyed)
            assert verdicts(report) == {"hashed": "diverged"}
            assert missing(report) == MISSING
        signer.reload(f"{OTHERWISE.replace('hostmaster 9 ', 'hostmaster 10 ')}* A 192.0.2.88\n")
        assert {one.rule for one in gate(signer).findings} == NOT_ASKED  # proved by the wildcard


def test_damaged_answers_never_end_in_anything_but_a_report(fleet):
    chance = random.Random(20261121)  # noqa: S311  # damage, no secret

    def damaged(said, way):
        octets = bytearray(said)
        for _ in range(chance.choice((0, 1, 3))):
            octets[chance.randrange(12, len(octets))] = chance.randrange(256)
        return bytes(
            octets[: chance.randrange(12, len(octets))] if chance.random() < 0.1 else octets
        )

    for _ in range(8):
        with Between(fleet.nsd, damaged) as between:
            report = check([between, fleet.plain], ds=fleet.ds)
        assert verdicts(report)["between"] != "equal"
        assert json.dumps(report_tree(report))


def test_the_verb_ends_and_prints_as_it_says(fleet, tmp_path):
    (tmp_path / "zone").write_text(TEXT)
    (tmp_path / "key").write_text(KEY_LINE)
    words = ["check", tmp_path / "zone", "--ds", text_ds(fleet.ds[0])]
    words += ["--server", f"nsd={HOST}:{fleet.nsd.port}", "--server"]
    plain = f"plain/plain={HOST}:{fleet.plain.port}"
    metrics = tmp_path / "dns.prom"
    done = run_verb(*words, plain, "--tsig-file", tmp_path / "key", "--textfile", metrics)
    assert (done.exit_code, done.stdout.count("equal"), done.stdout.count("holds")) == (0, 2, 2)
    assert 'verdict="equal"} 1' in metrics.read_text()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    fleet.plain.reload(fleet.altered(lambda zone: put(zone, "www", "A")))
    done = run_verb(*words, plain, "--tsig-file", "-", "--json", stdin=KEY_LINE)
    found = json.loads(done.stdout)
    assert (done.exit_code, found["equal"], found["trust"]) == (3, False, "DS")
    assert [one["verdict"] for one in found["servers"]] == ["equal", "tampered"]
    assert {one["address"] for one in found["findings"]} == {f"{HOST}:{fleet.plain.port}"}
    assert SECRET not in done.output
    assert_drafted(tmp_path, done.stdout, found["checked_at"])
    done = run_verb(*words, plain)
    assert "www.example.net. A: 192.0.2.77; expected 192.0.2.2 by tcp, udp" in done.stderr
