"""The DS gate and who was left out: closed until every address of every name server is asked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loopback_iac.dns.served import Silence
from loopback_iac.dns.served.ds_gate import check_ds_gate
from tests.unit.dns.signed import ORIGIN, TEXT, gate_views, honest, message, now, sign, signed

NS = ORIGIN, "NS"
INSIDE = "ns1.example.net."


def gate(views):
    found = check_ds_gate(ORIGIN, views, now())
    assert found.open == bool(found.records(ORIGIN)) == (not found.findings)
    return found


def left_out(views):
    return {
        (one.server, one.address, one.need)
        for one in gate(views).findings
        if one.rule == "server-not-asked"
    }


def answering(view, records, *keys):
    return replace(view, answers={**view.answers, **{key: honest(records, *key) for key in keys}})


def test_a_name_server_that_was_not_asked_closes_the_gate():
    first, second = gate_views(signed())
    assert gate([first, second]).open
    everywhere = "--server ns2.example.org=ADDRESS, for each of its addresses"
    assert left_out([first]) == {("ns2.example.org.", "", everywhere)}
    at = "192.0.2.53"
    assert left_out([second]) == {("ns1.example.net.", at, f"--server ns1.example.net={at}")}


def test_a_name_is_the_same_in_capitals_and_with_its_last_dot():
    first, second = gate_views(signed())
    server = first.server._replace(name="NS1.Example.net.")
    assert gate([replace(first, server=server), second]).open


@pytest.mark.parametrize("address", ["192.0.2.99", "2001:db8::53"])
def test_each_address_within_the_zone_is_asked(address):
    kind = "AAAA" if ":" in address else "A"
    first, second = gate_views(sign(f"{TEXT}ns1 {kind} {address}\n"))
    assert left_out([first, second]) == {
        ("ns1.example.net.", address, f"--server ns1.example.net={address}")
    }
    server = first.server._replace(address=address.replace("::", ":0::"))
    assert gate([first, replace(first, server=server), second]).open


def test_who_is_named_by_one_server_alone_is_asked():
    first, second = gate_views(signed())
    more = sign(f"{TEXT}@ NS ns3.example.org.\n")
    assert {name for name, *_ in left_out([first, answering(second, more, NS)])} == {
        "ns3.example.org."
    }


def test_a_name_server_below_a_delegation_has_the_address_of_its_glue():
    held = sign(TEXT.replace("@ NS ns2.example.org.", "@ NS ns.child"))
    first, _ = gate_views(held)
    view = answering(first, held, ("ns.child.example.net.", "A"), ("ns.child.example.net.", "AAAA"))
    assert left_out([view]) == {
        ("ns.child.example.net.", "192.0.2.9", "--server ns.child.example.net=192.0.2.9")
    }
    there = view.server._replace(name="ns.child.example.net", address="192.0.2.9")
    assert gate([view, replace(view, server=there)]).open


HARMS = {
    "silence": Silence("no answer in time"),
    "no authority": message(NS, authoritative=False),
    "nothing": message(NS),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_server_that_does_not_say_who_serves_the_zone_closes_the_gate(harm):
    first, second = gate_views(signed())
    mute = replace(second, answers={**second.answers, NS: HARMS[harm]})
    assert {(one.server, one.rule) for one in gate([first, mute]).findings} == {
        ("ns2.example.org", "no-answer")
    }
    unsure = replace(second, answers={**second.answers, (INSIDE, "AAAA"): Silence("cut off")})
    assert {(one.server, one.type, one.rule) for one in gate([first, unsure]).findings} == {
        ("ns2.example.org", "AAAA", "no-answer")
    }
