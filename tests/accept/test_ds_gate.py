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
    signed_fleet,
    strip,
    text_ds,
)

# whoever it names has to be asked, under that name
GATED = TEXT.replace("@ NS ns1\n", "@ NS gate-plain.\n").replace(
    "@ NS ns2.example.org.", "@ NS gate-nsd."
)


@pytest.fixture(scope="module")
def gated(image):
    with signed_fleet(image, GATED, "gate-") as made:
        yield made


@pytest.fixture
def fleet(gated):
    yield gated
    gated.as_signed()


def test_the_gates_verb_prints_the_ds_or_who_fails(fleet):
    servers = ["--server", f"gate-nsd={HOST}:{fleet.nsd.port}", "--server"]
    servers.append(f"gate-plain={HOST}:{fleet.plain.port}")
    done = run_verb("ds-gate", "example.net", *servers)
    assert (done.exit_code, done.stdout) == (0, f"example.net. IN DS {text_ds(fleet.ds[0])}\n")
    fleet.plain.reload(fleet.altered(strip))
    done = run_verb("ds-gate", "example.net", *servers)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "rule: dnskey-unproven" in done.stderr
    assert "gate-nsd " not in done.stderr
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
        ("gate-plain", "dnskey-unproven", ("tcp",)),
        ("gate-plain", "dnskey-unproven", ("udp",)),
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
    assert {(one.server, one.rule) for one in found.findings} >= {("gate-plain", rule)}
    assert {one.server for one in found.findings} == {"gate-plain"}


def test_the_gate_wants_udp_and_tcp_and_one_set_of_keys(fleet):
    with Between(fleet.nsd, lambda said, way: None if way == "tcp" else said) as between:
        found = gate(fleet.nsd, fleet.plain, between)
    assert not found.open
    assert {(one.server, one.rule, one.by) for one in found.findings} == {
        ("between", "tcp-silent", ("tcp",))
    }
    stranger = knot(fleet.image, "stranger", GATED, sign={})
    with running(stranger):
        found = gate(fleet.nsd, fleet.plain, stranger)
    assert not found.open
    assert {(one.server, one.rule) for one in found.findings} == {("stranger", "dnskey-differs")}


def test_who_was_left_out_keeps_the_gate_closed(fleet):
    done = run_verb("ds-gate", "example.net", "--server", f"gate-nsd={HOST}:{fleet.nsd.port}")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "expected --server gate-plain=ADDRESS" in done.stderr
    assert "rule: server-not-asked" in done.stderr
    inside = GATED.replace("@ NS gate-plain.\n@ NS gate-nsd.", "@ NS ns1").replace(
        "ns1 A 192.0.2.53", f"ns1 A {HOST}\nns1 AAAA 2001:db8::53"
    )
    alone = knot(fleet.image, "gate-inside", inside, sign={})
    with running(alone):
        server = f"ns1.example.net={HOST}:{alone.port}"
        done = run_verb("ds-gate", "example.net", "--server", server, "--json")
    told = json.loads(done.stdout)
    assert (told["open"], told["ds"]) == (False, [])
    assert [(one["rule"], one["need"]) for one in told["findings"]] == [
        ("server-not-asked", "--server ns1.example.net=2001:db8::53")
    ]
