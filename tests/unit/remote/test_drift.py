"""Differences between hosts and the state: each has its rule, and none is invented."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from loopback_iac.agent.arbiter import TAKES
from loopback_iac.cli.access import AccessError, parse_expected
from loopback_iac.cli.drift import print_differences
from loopback_iac.remote.drift import check_drift
from loopback_iac.remote.report import Report, Silence, parse_answers
from loopback_iac.remote.ssh import Answer, Expected

DIGEST = "ab" * 32
FRA1 = Expected("fra1", "pop", "198.18.1.11", "ssh-ed25519 AAAA", DIGEST)
WELL = {
    "format": 1,
    "host": "fra1",
    "role": "pop",
    "agent": "cd" * 32,
    "standing": "serving abababababab",
    "healed": None,
    "active": DIGEST,
    "pending": None,
    "rolled_back": None,
    "drain": [],
    "files": {"/etc/bird/bird.conf": "as applied"},
    "listening": ["203.0.113.10 443"],
    "bgp": {"t1_4": "up Established"},
    "tunnels": {"lb-w1": {"present": True, "handshake_age_s": 3, "rtt_ms": 0.4}},
    "workers": None,
    "gates": {"v4": {"position": "open", "reason": "healthy"}},
    "limits": {"https": {"new_connections": 5, "dropped": {}}},
    "blackholes": [],
    "memory_kib": {"total": 1, "available": 1},
    "versions": {"bird": "2.17.5"},
}

HOLE = {
    "address": "203.0.113.66",
    "origin": "declared",
    "reason": "a flood",
    "announced_to": ["up_t1_4"],
    "dropped_packets": 7,
}

ARBITER = {
    "api": TAKES,
    "up": {"m1": False, "m2": None},
    "holders": {"198.18.32.4": "m1"},
    "reasons": {},
    "moves": {},
}


def answer(**changed) -> Answer:
    return Answer(json.dumps(WELL | changed))


def rules(**changed) -> list[str]:
    found = check_drift([FRA1], parse_answers({"fra1": answer(**changed)}))
    assert all(d.host == "fra1" and d.got and d.need and d.fix for d in found)
    return [d.rule for d in found]


def test_a_host_as_it_was_applied_has_no_difference():
    assert rules() == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"active": "cd" * 32}, ["digest-as-applied"]),
        ({"active": None}, ["digest-as-applied"]),
        (
            {"active": None, "pending": {"digest": DIGEST, "phase": "unconfirmed", "changed": []}},
            ["change-confirmed", "digest-as-applied"],
        ),
        ({"files": {"/a": "changed by somebody else", "/b": "missing"}}, ["file-as-applied"] * 2),
        ({"drain": ["operator"]}, ["not-drained"]),
        ({"arbiter": ARBITER | {"up": {"m1": True, "m2": True}}}, []),
        ({"arbiter": ARBITER}, ["member-answers"] * 2),
        ({"arbiter": ARBITER | {"api": "refuses", "up": {}}}, ["arbiter-asks"]),
        ({"gates": {"v4": {"position": "closed", "reason": "bird is dead"}}}, ["gate-open"]),
        ({"gates": {"v4": {"position": None, "reason": None}}}, ["gate-open"]),
        ({"blackholes": [HOLE]}, []),
        (
            {"blackholes": [HOLE | {"origin": "by hand", "reason": "by hand since 02:00"}]},
            ["blackhole-declared"],
        ),
        (
            {"drain": ["operator"], "gates": {"v4": {"position": "closed", "reason": "drained"}}},
            ["not-drained"],
        ),
        (
            {"tunnels": {"lb-w1": {"present": False, "handshake_age_s": None, "rtt_ms": None}}},
            ["tunnel-carries"],
        ),
        (
            {"tunnels": {"lb-w1": {"present": True, "handshake_age_s": 900, "rtt_ms": None}}},
            ["tunnel-carries"],
        ),
        ({"host": "par1"}, ["host-is-itself"]),
        ({"role": "worker"}, ["host-is-itself"]),
    ],
)
def test_each_difference_has_its_rule(changed, expected):
    assert rules(**changed) == expected


@pytest.mark.parametrize(
    ("who", "fix"),
    [
        ("operator", "`loopback undrain fra1`"),
        ("apply", "`loopback up`"),
        ("update", "`loopback update fra1`"),
    ],
)
def test_what_ends_a_drain_depends_on_who_began_it(who, fix):
    (found,) = check_drift([FRA1], parse_answers({"fra1": answer(drain=[who])}))
    assert found.fix.startswith(fix)


def test_a_host_without_a_report_is_a_difference_with_its_reason():
    answers = {
        "fra1": Answer(unreachable="no answer within 20 s"),
        "w1": Answer(stderr="loopback-agent report: never enrolled\n", exit_status=1),
        "w2": Answer("Welcome to Debian"),
        "par1": Answer(json.dumps({k: v for k, v in WELL.items() if k != "files"})),
    }
    reports = parse_answers(answers)
    assert all(isinstance(r, Silence) for r in reports.values())
    hosts = [Expected(n, "pop", "192.0.2.1", "k", DIGEST) for n in (*answers, "unasked")]
    found = check_drift(hosts, reports)
    assert [d.rule for d in found] == ["host-answers"] * 5
    assert [d.got for d in found] == [
        "no answer within 20 s",
        "no report (exit 1): loopback-agent report: never enrolled",
        "what it printed is no JSON",
        "its report lacks or misstates: files; update its agent (`loopback up`)",
        "it was not asked",
    ]


def test_a_newer_agent_may_say_more():
    (report,) = parse_answers({"fra1": answer(moon="full")}).values()
    assert isinstance(report, Report)


def test_expected_hosts_come_from_the_output_of_the_stack():
    facts = {"role": "pop", "address": "198.18.1.11", "ssh_port": 2222.0, "ssh_user": "admin",
             "host_key": "ssh-ed25519 AAAA", "digest": DIGEST}  # fmt: skip
    (host,) = parse_expected({"fra1": facts})
    assert (host.ssh_port, host.user, host.digest) == (2222, "admin", DIGEST)
    with pytest.raises(AccessError, match="fra1 lacks"):
        parse_expected({"fra1": {"role": "pop"}})


def test_what_is_printed_names_host_rule_and_fix():
    told = io.StringIO()
    found = check_drift([FRA1], parse_answers({"fra1": answer(drain=["operator"])}))
    print_differences([FRA1], found, Console(file=told, width=200))
    assert "not-drained" in told.getvalue()
    assert "1 differences on 1 of 1 hosts" in told.getvalue()
    told = io.StringIO()
    print_differences([FRA1], [], Console(file=told, width=200))
    assert told.getvalue() == "1 hosts serve what was applied to them\n"
