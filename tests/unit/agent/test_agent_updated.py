"""Zones that change by update in the agent: what is set, what is left alone, what may not go."""

import json

import pytest

from loopback_iac.agent.allowed import parse_place
from loopback_iac.agent.bundle import HostSet, SetFile
from loopback_iac.agent.plan import plan_steps
from loopback_iac.agent.refusal import RefusedError
from loopback_iac.agent.updated import check_ended, parse_ended, parse_top, plan_top, read_held
from loopback_iac.agent.zones import zones_of

KNOT = "/etc/knot/knot.conf"
FOLDER = "/etc/loopback/zones"
ZONE = "_acme-challenge.example.net."
TOP, RECORDS = f"{FOLDER}/{ZONE}json", f"{FOLDER}/{ZONE}zone"
SOA = "ns1.example.org. hostmaster.example.net. 1 600 300 604800 60"
NOW = 1795300000
TREE = {
    "NS": {"ttl_s": 600, "values": ["ns1.example.org.", "ns2.example.org."]},
    "SOA": {"ttl_s": 3600, "values": [SOA]},
    "updated": ["TXT"],
}
HELD = f"""\
[{ZONE}] {ZONE} 600 NS ns2.example.org.
[{ZONE}] {ZONE} 600 NS ns1.example.org.
[{ZONE}] {ZONE} 3600 SOA {SOA.replace(" 1 600", " 1795299612 600")}
[{ZONE}] {ZONE} 3600 RRSIG NS 13 3 3600 20261212222010 20261121205010 14260 {ZONE} xE1L
[{ZONE}] {ZONE} 60 NSEC {ZONE} NS SOA RRSIG NSEC DNSKEY
[{ZONE}] www.{ZONE} 60 TXT "a token" "of two"
"""


def file(text: str = "") -> SetFile:
    return SetFile(text, 0o644, "root", "root")


def kept(*paths: str, ended: str = "") -> HostSet:
    files = {path: file() for path in (KNOT, *paths)}
    if ended:
        files[f"{FOLDER}/ended"] = file(ended)
    return HostSet("d1", "primary", files)


def test_a_zone_of_updates_is_no_file_of_records():
    assert parse_place(TOP, "primary").kind == "top"
    assert zones_of(kept(TOP)) == [ZONE]
    steps = plan_steps([TOP, RECORDS], {}, kept(TOP, RECORDS).files, "primary")
    assert [(step.kind, step.name) for step in steps] == [("tops", ZONE), ("new-zones", ZONE)]
    # one that is declared from now on was there: it is loaded, for its old answers prove nothing
    steps = plan_steps([TOP, RECORDS], kept(TOP).files, kept(RECORDS).files, "primary")
    assert [(step.kind, step.name) for step in steps] == [("zones", ZONE)]
    # what ended is read before anything changes, and by nobody afterwards
    path = f"{FOLDER}/ended"
    assert plan_steps([path], {}, kept(ended="a.example.\n").files, "primary") == []


@pytest.mark.parametrize(
    ("path", "step"),
    [("/etc/knot/transport.key", "knot-restart"), ("/etc/knot/transport.pem", "knot-restart")],
)
def test_another_key_of_transfers_starts_knot_anew(path, step):
    assert parse_place(path, "primary").mode == 0o640
    for role in ("pop", "nameserver"):  # the primary's alone
        with pytest.raises(RefusedError):
            parse_place(path, role)
    assert [s.kind for s in plan_steps([path], {}, kept(path).files, "primary")] == [step]


def test_another_certificate_starts_nsd_anew():
    path = "/etc/nsd/transport.pem"
    assert [s.kind for s in plan_steps([path], {}, kept(path).files, "nameserver")] == ["nsd"]


def test_what_is_as_declared_is_left_alone():
    assert plan_top(TREE, read_held(HELD), ZONE, NOW) == []
    assert read_held(HELD)[f"www.{ZONE}", "TXT"] == ("60", ['"a token" "of two"'])
    assert read_held("") == {}


def test_a_new_zone_gets_its_top():
    assert plan_top(TREE, {}, ZONE, NOW) == [
        ("zone-set", "@", "600", "NS", "ns1.example.org."),
        ("zone-set", "@", "600", "NS", "ns2.example.org."),
        ("zone-set", "@", "3600", "SOA", SOA.replace(" 1 600", f" {NOW} 600")),
    ]


def test_a_set_goes_as_a_whole_and_the_serial_is_the_signers():
    other = TREE | {
        "NS": {"ttl_s": 300, "values": ["ns1.example.org."]},
        "SOA": {"ttl_s": 3600, "values": [SOA.replace(" 60", " 30")]},
    }
    assert plan_top(other, read_held(HELD), ZONE, NOW) == [
        ("zone-unset", "@", "NS"),
        ("zone-set", "@", "300", "NS", "ns1.example.org."),
        ("zone-unset", "@", "SOA"),
        ("zone-set", "@", "3600", "SOA", other["SOA"]["values"][0].replace(" 1 ", " 1795299613 ")),
    ]


def test_what_its_types_do_not_allow_goes_wherever_it_came_from():
    held = HELD + f"[{ZONE}] www.{ZONE} 60 A 192.0.2.1\n[{ZONE}] sub.{ZONE} 60 NS a.example.\n"
    assert plan_top(TREE, read_held(held), ZONE, NOW) == [
        ("zone-unset", f"www.{ZONE}", "A"),
        ("zone-unset", f"sub.{ZONE}", "NS"),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"NS": {"ttl_s": 600, "values": []}},
        {"NS": {"ttl_s": "x", "values": ["a."]}},
        {"NS": {"ttl_s": 600, "values": ["a.\nzone-purge"]}},
        {"SOA": {"ttl_s": 600, "values": ["a. b. 1 2 3"]}},
        {"SOA": {"ttl_s": 600, "values": [SOA, SOA]}},
        {"updated": []},
        {"updated": [7]},
        {"SOA": None},
    ],
)
def test_a_top_that_is_not_whole_is_refused(change):
    assert parse_top(json.dumps(TREE).encode()) == TREE
    with pytest.raises(RefusedError, match="no top of a zone"):
        parse_top(json.dumps(TREE | change).encode())
    with pytest.raises(RefusedError):
        parse_top(b"[")


def test_a_zone_of_updates_goes_when_it_is_said_by_name():
    check_ended(None, kept())
    check_ended(kept(TOP), kept(TOP))
    check_ended(kept(RECORDS), kept())  # what a file had comes back with the file
    check_ended(kept(TOP), kept(ended=f"{ZONE}\n"))
    for coming in (kept(), kept(RECORDS), kept(ended="other.example.\n")):
        with pytest.raises(RefusedError, match=r"_acme-challenge\.example\.net\. would go"):
            check_ended(kept(TOP), coming)
    parse_ended(f"{ZONE}\n".encode())
    with pytest.raises(RefusedError):
        parse_ended(b"../shadow\n")
