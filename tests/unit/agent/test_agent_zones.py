"""Zones in the agent: where they may stand, what is reloaded for them, what an answer is worth."""

import struct

import dns.message
import pytest

from loopback_iac.agent.allowed import parse_place
from loopback_iac.agent.bundle import HostSet, SetFile
from loopback_iac.agent.converge import WORK_S
from loopback_iac.agent.plan import plan_retired, plan_steps, services_of
from loopback_iac.agent.refusal import RefusedError
from loopback_iac.agent.zones import (
    AWAIT_S,
    LOAD_S,
    listen_addresses,
    parse_answer,
    render_question,
    zone_of,
    zones_of,
)

KNOT, NSD = "/etc/knot/knot.conf", "/etc/nsd/nsd.conf"
ZONE, OTHER = "/etc/loopback/zones/example.net.zone", "/etc/loopback/zones/example.org.zone"
HEAD = "server:\n    listen: [192.0.2.1@53, 2001:db8::1@53]\n"
CONF = HEAD + "key:\n  - id: a\n"


def file(text: str) -> SetFile:
    return SetFile(text, 0o644, "root", "root")


def words(steps) -> list[str]:
    return [f"{step.kind} {step.name}".strip() for step in steps]


def test_a_zone_stands_on_a_primary_and_nowhere_else():
    assert parse_place(ZONE, "primary").kind == "zone"
    for role in ("pop", "nameserver"):
        with pytest.raises(RefusedError):
            parse_place(ZONE, role)
    for path in (
        "/etc/loopback/zones/../shadow.zone",
        "/etc/loopback/zones/a/b.zone",
        "/etc/loopback/zones/.zone",
        "/etc/loopback/zones/example.net",
    ):
        assert zone_of(path) is None
        with pytest.raises(RefusedError):
            parse_place(path, "primary")


def test_a_changed_zone_is_loaded_and_knot_left_alone():
    old = {KNOT: file(CONF), ZONE: file("one"), OTHER: file("one")}
    assert words(plan_steps([ZONE], old, {**old, ZONE: file("two")}, "primary")) == [
        "zones example.net."
    ]


def test_all_changed_zones_are_loaded_at_once():
    """One wait for all of them, which ends before the apply is taken back."""
    old = {KNOT: file(CONF), ZONE: file("one"), OTHER: file("one")}
    new = {KNOT: file(CONF), ZONE: file("two"), OTHER: file("two")}
    assert words(plan_steps([OTHER, ZONE], old, new, "primary")) == [
        "zones example.net. example.org."
    ]
    assert AWAIT_S + LOAD_S < WORK_S


def test_a_zone_that_comes_is_configured_before_it_is_loaded():
    old = {KNOT: file(CONF), ZONE: file("one")}
    new = {**old, KNOT: file(CONF + "zone: more\n"), OTHER: file("one")}
    steps = words(plan_steps([KNOT, OTHER], old, new, "primary"))
    assert steps == ["knot", "new-zones example.org."]


def test_a_zone_that_changes_beside_a_new_one_is_loaded_by_itself():
    old = {KNOT: file(CONF), ZONE: file("one")}
    new = {KNOT: file(CONF + "zone: more\n"), ZONE: file("two"), OTHER: file("one")}
    steps = words(plan_steps([KNOT, ZONE, OTHER], old, new, "primary"))
    assert steps == ["knot", "new-zones example.org.", "zones example.net."]


def test_a_zone_that_goes_needs_the_configuration_alone():
    new = {KNOT: file(CONF), ZONE: file("one")}
    old = {**new, KNOT: file(CONF + "zone: more\n"), OTHER: file("one")}
    assert words(plan_steps([KNOT, OTHER], old, new, "primary")) == ["knot"]
    assert plan_retired(old, new, "primary") == []


def test_addresses_take_hold_at_a_start_only():
    old = {KNOT: file(CONF)}
    new = {KNOT: file(CONF.replace("192.0.2.1", "192.0.2.2"))}
    assert words(plan_steps([KNOT], old, new, "nameserver")) == ["knot-restart"]
    assert words(plan_steps([KNOT], {}, new, "nameserver")) == ["knot-restart"]


def test_what_runs_and_what_stops():
    primary, server = {KNOT: file(CONF), ZONE: file("one")}, {NSD: file("")}
    assert services_of(primary, "primary") == ["knot"]
    assert services_of(server, "nameserver") == ["nsd"]
    assert words(plan_retired(primary, {}, "primary")) == ["knot"]
    assert words(plan_retired(server, {}, "nameserver")) == ["nsd"]
    # from one program to the other: the first has the port
    both = plan_retired(server, {KNOT: file(CONF)}, "nameserver")
    assert words(both) == ["nsd"]


def test_zones_and_addresses_are_read_from_the_set():
    kept = HostSet("d", "primary", {KNOT: file(CONF), OTHER: file(""), ZONE: file("")})
    assert zones_of(kept) == ["example.net.", "example.org."]
    assert listen_addresses(CONF) == ["192.0.2.1", "2001:db8::1"]
    assert listen_addresses("server:\n  ip-address: 192.0.2.1\n  ip-address: ::1\n") == [
        "192.0.2.1",
        "::1",
    ]


def test_a_question_is_what_dnspython_reads():
    asked = dns.message.from_wire(render_question(7, "example.net."))
    assert asked.id == 7
    assert asked.question[0].to_text() == "example.net. IN SOA"


@pytest.mark.parametrize(
    ("flags", "answers", "says"),
    [
        (0x8400, 1, "served"),
        (0x8000, 1, "no authoritative answer"),
        (0x8400, 0, "no authoritative answer"),
        (0x8405, 0, "rcode 5"),
        (0x8402, 1, "rcode 2"),
        (0x0400, 1, None),
    ],
)
def test_an_answer_counts_when_it_is_authoritative_and_has_the_record(flags, answers, says):
    assert parse_answer(7, struct.pack("!6H", 7, flags, 1, answers, 0, 0)) == says
    assert parse_answer(8, struct.pack("!6H", 7, flags, 1, answers, 0, 0)) is None
    assert parse_answer(7, b"\0" * 11) is None
