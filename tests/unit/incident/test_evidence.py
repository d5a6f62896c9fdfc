"""Files of the project's own verbs and daemons, read; anything else refused with the fix."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from loopback_iac.dns.served.check import Report, Verdict
from loopback_iac.dns.served.texts import report_tree
from loopback_iac.dns.served.view import Server
from loopback_iac.incident import Evidence, EvidenceFile, make_draft, parse_evidence
from loopback_iac.model import Problem
from tests.unit.incident.facts_of import NOW, facts

DRILL = {
    "schema": 2, "drill": "silent-pop", "what": "every packet is dropped", "repair": "they pass",
    "lost": "fra1", "held": True, "at": "2026-11-20T01:20:00+00:00",
    "runs": [{
        "fault": {"at_realtime_ns": 1795137180_250000000, "command_ms": 1.5, "lasted_ms": 2000.0},
        "route_changes": [{"family": 4, "realtime_ns": 1795137180_500000000, "towards": "par1"}],
    }],
}  # fmt: skip
FAR = {"at_realtime_ns": 10**40, "lasted_ms": 1}
LINE = {
    "__REALTIME_TIMESTAMP": "1795137180250000",
    "_HOSTNAME": "fra1",
    "_SYSTEMD_UNIT": "loopback-watch.service",
    "MESSAGE": "v4 is closed: bird is not running",
}
DRIFT = {
    "hosts": ["fra1"],
    "differences": [{"host": "fra1", "rule": "r", "got": "g", "need": "n", "fix": "f"}],
}
AGENT = {
    "format": 1, "host": "fra1", "role": "pop", "agent": "abc", "standing": "serving abc",
    "gates": {"v4": {"position": "closed", "reason": "drained"}},
}  # fmt: skip


def dns_report(*verdicts):
    """As `loopback dns check --json` prints it, by its own code."""
    servers = tuple(
        Verdict(Server(f"ns{n}", "", f"192.0.2.{n}", 53), verdict, 1, "", {}, "", "", "", 0, 0)
        for n, verdict in enumerate(verdicts)
    )
    return report_tree(Report("example.net.", 1795137180, "trust", 1, servers, ()))


def read(tree, **given):
    content = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    return parse_evidence("evidence[0]", EvidenceFile(path="x.json", **given), content)


def told(found):
    assert isinstance(found, Evidence), found
    return [(each.at.isoformat() if each.at else None, each.what) for each in found.entries]


def test_a_drill_is_told_as_one():
    found = read(DRILL)
    assert found.kind == "drill-record"
    assert told(found)[0] == (
        "2026-11-20T01:13:00.250000+00:00",
        "drill silent-pop, run 1: fault begun: every packet is dropped (lost: fra1)",
    )
    assert all(what.startswith("drill silent-pop") for _, what in told(found))
    assert len(told(found)) == 4
    assert len(told(read([DRILL, DRILL]))) == 8


def test_a_check_of_names_says_which_server_and_what_that_may_mean():
    found = read(dns_report("equal", "tampered"))
    assert told(found) == [
        ("2026-11-20T01:13:00+00:00", "zone example.net. at ns1 192.0.2.1: tampered")
    ]
    assert [sign.fact for sign in found.signs] == ["data_compromised"]
    assert told(read(dns_report("equal", "equal")))[0][1].endswith("2 servers looked at, all equal")
    silent = read(dns_report("unreachable", "unreachable"))
    assert [sign.fact for sign in silent.signs] == ["unavailable_minutes"]
    assert read(dns_report("unreachable", "equal")).signs == ()


def test_a_journal_has_times_and_bytes_that_are_no_text():
    strange = LINE | {"MESSAGE": [104, 105, 255]}
    content = "\n".join(json.dumps(each) for each in (LINE, strange, LINE | {"MESSAGE": None}))
    found = read(content.encode())
    assert told(found)[0] == (
        "2026-11-20T01:13:00.250000+00:00",
        "fra1 loopback-watch: v4 is closed: bird is not running",
    )
    assert told(found)[1][1] == "fra1 loopback-watch: hi\N{REPLACEMENT CHARACTER}"
    assert read(LINE).kind == "journal"


def test_what_a_terminal_obeys_is_not_passed_on():
    found = read(LINE | {"MESSAGE": "a\x1b[2Jb\ud800\nc"})
    assert told(found)[0][1].endswith(": a\ufffd[2Jb\ufffd\ufffdc")
    zone = read(dns_report("tampered") | {"zone": "x\x1b."})
    assert zone.signs[0].says.startswith("zone x\ufffd. was served")


def test_reports_without_a_time_have_one_only_when_somebody_says_it():
    assert told(read(DRIFT)) == [(None, "fra1: r: g")]
    assert told(read(AGENT))[1] == (None, "fra1: v4 is closed: drained")
    dated = read(DRIFT, taken_at="2026-11-20T02:00:00Z")
    assert told(dated)[0][0] == "2026-11-20T02:00:00+00:00"


def test_what_is_attached_is_listed_and_not_read():
    found = read(b"\xff\x00", kind="attachment")
    assert (found.kind, found.entries, len(found.sha256)) == ("attachment", (), 64)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"[1]", b"{}", b"\xff\xfe", b"null", b'"x"', b"1\n2",
        json.dumps(DRILL | {"schema": 3}).encode(),
        json.dumps(DRILL | {"at": "2026-11-20T01:20:00"}).encode(),
        json.dumps(DRILL | {"runs": [{}]}).encode(),
        json.dumps(DRILL | {"runs": [{"fault": FAR}]}).encode(),
        json.dumps(DRILL | {"at": "9999-12-31T23:59:59+00:00"}).encode(),
        json.dumps(DRILL | {"runs": [{"fault": FAR | {"at_realtime_ns": -(10**10)}}]}).encode(),
        json.dumps(dns_report("equal") | {"checked_at": 10**15}).encode(),
        json.dumps(LINE | {"__REALTIME_TIMESTAMP": "soon"}).encode(),
        json.dumps(DRIFT | {"differences": 3}).encode(),
        b"[" * 100_000,
        b"\n".join([json.dumps(LINE).encode()] * 2001),
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_a_fix(content):
    found = read(content)
    assert isinstance(found, Problem)
    assert (found.path, found.rule, bool(found.fix)) == ("evidence[0]", "evidence-unread", True)


def test_a_kind_that_it_is_not_is_refused():
    assert "it is drift" in read(DRIFT, kind="journal").got


def settled(*verdicts, **changes):
    draft = make_draft(facts(**changes), [read(dns_report(*verdicts))], "early-warning", NOW)
    return [each["fact"] for each in draft["to_settle"]]


def test_evidence_never_fills_in_a_fact_and_is_held_beside_it():
    assert settled("tampered") == ["data_compromised"]
    assert settled("tampered", service__data_compromised="no") == ["data_compromised"]
    assert settled("tampered", service__data_compromised="yes") == []
    assert settled("unreachable") == ["unavailable_minutes"]
    assert settled("unreachable", service__unavailable_minutes={"at_least": 1}) == []
    draft = make_draft(facts(), [read(dns_report("tampered"))], "early-warning", NOW)
    assert draft["facts"]["services"][0]["data_compromised"] == "unknown"


def test_the_timeline_is_one_of_all_sources_and_what_has_no_time_comes_last():
    measure = {"at": "2026-11-20T01:13:00.300Z", "what": "drained"}
    draft = make_draft(facts(measures=[measure]), [read(DRILL), read(DRIFT)], "final", NOW)
    told_at = [each["at"] for each in draft["timeline"]]
    known = [dt.datetime.fromisoformat(each["utc"]) for each in told_at if each != "unknown"]
    assert known == sorted(known)
    assert told_at[-1] == "unknown"
    assert {each["source"] for each in draft["timeline"]} == {"facts", "x.json"}
    assert len(draft["timeline"]) == 1 + 1 + 4 + 1
