"""`loopback dns ds-gate`: the DS is named when every server proves itself, and not before."""

from __future__ import annotations

import contextlib
import json

import pytest

from loopback_iac.dns.rdata import parse_rdata
from tests.accept.name_servers import HOST, ZONE, Between, knot, running
from tests.accept.served_zone import (
    TEXT,
    gate,
    run_verb,
    strip,
    text_ds,
)


def test_the_gates_verb_prints_the_ds_or_who_fails(fleet):
    servers = ["--server", f"nsd={HOST}:{fleet.nsd.port}", "--server"]
    servers.append(f"plain={HOST}:{fleet.plain.port}")
    done = run_verb("ds-gate", "example.net", *servers)
    assert (done.exit_code, done.stdout) == (0, f"example.net. IN DS {text_ds(fleet.ds[0])}\n")
    fleet.plain.reload(fleet.altered(strip))
    done = run_verb("ds-gate", "example.net", *servers)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "rule: dnskey-unproven" in done.stderr
    assert "nsd " not in done.stderr
    done = run_verb("ds-gate", "example.net", *servers, "--json")
    assert (json.loads(done.stdout)["open"], json.loads(done.stdout)["ds"]) == (False, [])


def test_the_gate_opens_when_every_server_proves_itself(fleet):
    found = gate(fleet.signer, fleet.plain, fleet.nsd)
    assert (found.open, found.ds, found.findings) == (True, fleet.ds, ())
    (line,) = found.records(ZONE)
    assert parse_rdata("DS", line.split(" DS ")[1], ".") == fleet.ds[0]


def test_the_gate_stays_closed_and_names_who_fails(fleet):
    fleet.plain.reload(fleet.altered(strip))
    found = gate(fleet.nsd, fleet.plain)
    assert (found.open, found.ds, found.records(ZONE)) == (False, (), [])
    assert {(one.server, one.rule, one.by) for one in found.findings} == {
        ("plain", "dnskey-unproven", ("tcp",)),
        ("plain", "dnskey-unproven", ("udp",)),
    }


GATES = {
    "NSEC without signatures": ("NSEC", "denial-unproven"),
    "a SOA without signatures": ("SOA", "signature-missing"),
    "keys without signatures": ("DNSKEY", "dnskey-unproven"),
}


@pytest.mark.parametrize("fault", GATES)
def test_the_gate_wants(fleet, fault):
    kind, rule = GATES[fault]

    def change(zone):
        for name in list(zone.nodes):
            with contextlib.suppress(KeyError):
                zone.delete_rdataset(name, "RRSIG", kind)

    fleet.plain.reload(fleet.altered(change))
    found = gate(fleet.nsd, fleet.plain)
    assert not found.open
    assert {(one.server, one.rule) for one in found.findings} >= {("plain", rule)}
    assert {one.server for one in found.findings} == {"plain"}


def test_the_gate_wants_udp_and_tcp_and_one_set_of_keys(fleet):
    with Between(fleet.nsd, lambda said, way: None if way == "tcp" else said) as between:
        found = gate(fleet.nsd, between)
    assert not found.open
    assert {(one.server, one.rule, one.by) for one in found.findings} == {
        ("between", "tcp-silent", ("tcp",))
    }
    stranger = knot(fleet.image, "stranger", TEXT, sign={})
    with running(stranger):
        found = gate(fleet.nsd, fleet.plain, stranger)
    assert not found.open
    assert {(one.server, one.rule) for one in found.findings} == {("stranger", "dnskey-differs")}
