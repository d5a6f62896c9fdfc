"""The audit of flow records: what is broken is told, memory is bounded, nothing is left out."""

from __future__ import annotations

import gzip
import io
import itertools
import json
from functools import cache

import pytest

from loopback_iac.kube.audit import OTHER, Audit
from loopback_iac.kube.flows import LINE_MAX, Reading, parse_flow, read_flows
from loopback_iac.kube.verdicts import audit_rows, audit_tree
from tests.golden import egress as golden

DECLARED = {"from": "10.244.1.5", "to": "192.0.2.9", "namespace": "billing",
            "labels": {"app": "invoicer"}, "via": "203.0.113.20"}  # fmt: skip
LEAK = {**DECLARED, "via": "198.51.100.13"}


@cache
def declared():
    return golden.load("cilium-two-families").read()


def audited(*exports: bytes, rows: int = 1000):
    audit, readings = Audit(declared(), golden.TODAY, rows), []
    for at, export in enumerate(exports):
        readings.append(Reading(f"{at}.log"))
        for flow in read_flows(io.BytesIO(export), readings[-1]):
            audit.add(flow)
    return audit, readings


def test_a_leak_beside_declared_flows_is_found_with_its_time():
    audit, _ = audited(golden.export([DECLARED, LEAK, DECLARED]))
    (row,) = audit_rows(audit)
    assert (row["verdict"], row["finding"], row["flows"]) == ("leak", True, 3)
    assert row["via"]["198.51.100.13"] == {
        "flows": 1,
        "first": "2026-11-20T10:00:01.000000000Z",
        "last": "2026-11-20T10:00:01.000000000Z",
    }
    assert "node w3" in row["because"]


def test_a_packet_in_a_tunnel_is_no_egress_of_somebody_without_a_name():
    # as the gateway of a live cluster records it (Cilium 1.20.1), shortened
    outer = {
        "verdict": "FORWARDED",
        "IP": {"source": "10.244.1.5", "destination": "192.0.2.9", "ipVersion": "IPv4"},
        "l4": {"TCP": {"source_port": 53152, "destination_port": 443, "flags": {"SYN": True}}},
        "tunnel": {"protocol": "VXLAN", "vni": 25566},
        "source": {"identity": 6, "namespace": "billing", "labels": ["reserved:remote-node"]},
        "destination": {"identity": 16777217, "labels": ["cidr:192.0.2.0/24", "reserved:world"]},
        "trace_observation_point": "FROM_NETWORK",
    }
    line = json.dumps({"flow": outer, "time": "2026-11-20T10:00:00Z"}).encode() + b"\n"
    audit, _ = audited(golden.export([DECLARED]), line)
    (row,) = audit_rows(audit)
    assert (row["verdict"], row["flows"]) == ("as declared", 1)
    assert audit.skipped == {"in a tunnel between nodes": 1}


def test_what_is_dropped_was_seen_to_come_out_of_its_pod_first():
    tried = {**DECLARED, "via": "", "point": "FROM_ENDPOINT", "service": "tcp:80"}
    denied = {**tried, "verdict": "DROPPED", "because": "POLICY_DENIED", "point": ""}
    (row,) = audit_rows(audited(golden.export([tried, denied, tried, denied]))[0])
    assert (row["verdict"], row["finding"], row["dropped"]) == (
        "dropped",
        False,
        {"POLICY_DENIED": 2},
    )
    # one that went on, beside them, is told
    further = {**tried, "point": "TO_OVERLAY"}
    (row,) = audit_rows(audited(golden.export([tried, denied, tried, further]))[0])
    assert (row["verdict"], row["finding"]) == ("not denied", True)
    # and so is one of which nothing more is known
    (row,) = audit_rows(audited(golden.export([tried]))[0])
    assert (row["verdict"], row["finding"]) == ("not denied", True)


@pytest.mark.parametrize(
    "line",
    [
        b"no json\n",
        b"{}\n",
        b"[]\n",
        b"7\n",
        b'{"flow": 7}\n',
        b"\xff\xfe\n",
        b'{"a":' * 5000 + b"\n",
        b'{"flow": {"verdict"',
        b"x" * (LINE_MAX + 7) + b"\n",
    ],
)
def test_a_line_that_is_no_record_is_counted_and_the_rest_is_read(line):
    good = golden.export([DECLARED])
    rest = good if line.endswith(b"\n") else b""
    audit, (reading,) = audited(good + line + rest)
    assert reading.malformed == 1
    assert len(reading.told) == 1
    assert reading.told[0].startswith("0.log:2: ")
    assert next(iter(audit.rows.values())).flows.count == 1 + bool(rest)


@pytest.mark.parametrize("at", range(20, 60, 8))
def test_a_damaged_file_is_counted_and_told(at):
    """Octets inside of the deflate stream: zlib tells of them, not gzip."""
    packed = bytearray(gzip.compress(golden.export([DECLARED, LEAK])))
    packed[at] ^= 0xFF
    reading = Reading("0.log.gz")
    with gzip.open(io.BytesIO(packed)) as stream:
        list(read_flows(stream, reading))
    assert reading.malformed >= 1
    assert "ends in the middle" in reading.told[-1]


def test_many_broken_lines_are_counted_and_few_are_told():
    _, (reading,) = audited(b"x\n" * 1000)
    assert (reading.malformed, len(reading.told)) == (1000, 5)


@pytest.mark.parametrize("field", ["IP", "verdict", "source", "destination"])
def test_a_flow_without_a_field_that_is_needed_is_told_by_that_field(field):
    record = golden.record(0, DECLARED)
    del record["flow"][field]
    _, (reading,) = audited(json.dumps(record).encode() + b"\n")
    assert dict(reading.unusable) == {field: 1}


@pytest.mark.parametrize("wrong", [None, 7, "x", [], [None], {}, {"TCP": 7}, {"labels": 7}, True])
def test_no_value_in_a_flow_ends_the_audit(wrong):
    whole = golden.record(0, {**DECLARED, "names": ["x"], "pod": "p"})["flow"]
    for field in whole:
        parse_flow({**whole, field: wrong})
        audited(json.dumps({"flow": {**whole, field: wrong}}).encode())


def test_a_bare_flow_as_hubble_observe_writes_it_is_read():
    audit, (reading,) = audited(json.dumps(golden.record(0, LEAK)["flow"]).encode() + b"\n")
    assert reading.flows == 1
    assert audit_rows(audit)[0]["finding"]


def test_rows_are_bounded_and_every_flow_is_still_counted():
    many = [
        {**DECLARED, "to": f"192.0.2.{n % 64}", "service": f"tcp:{443 + n // 64}",
         "namespace": f"n{n % 40}", "via": "198.51.100.13"} for n in range(2000)
    ]  # fmt: skip
    many += [LEAK, LEAK]
    audit, (reading,) = audited(golden.export(many), rows=50)
    assert len(audit.rows) <= 100 + 6
    assert sum(row.flows.count for row in audit.rows.values()) == reading.flows == len(many)
    assert audit.folded > 0
    rows = audit_rows(audit)
    assert sum(row["flows"] for row in rows if row["verdict"] == "leak") == 2
    assert any(row["destination"] == OTHER and row["finding"] for row in rows)


def test_the_result_does_not_depend_on_the_order_of_files():
    flows = golden.load("audit").flows
    parts = [golden.export(flows[at::3]) for at in range(3)]
    found = []
    for order in itertools.permutations(range(3)):
        audit, _ = audited(*(parts[at] for at in order))
        found.append(audit_tree(audit, [], {}))
    assert all(each == found[0] for each in found)


def test_an_acceptance_ends():
    case = golden.load("audit")
    rows = {row["namespace"]: row["verdict"] for row in golden.audited(case)["rows"]}
    assert (rows["kube-system"], rows["old"]) == ("accepted", "undeclared")


def test_a_packet_before_translation_proves_nothing():
    before = {**DECLARED, "point": "TO_NETWORK"}
    del before["via"]
    audit, _ = audited(golden.export([before]))
    assert audit_rows(audit)[0]["verdict"] == "address not seen"
    audit, _ = audited(golden.export([before, DECLARED]))
    assert audit_rows(audit)[0]["verdict"] == "as declared"


def test_times_sort_as_times_whatever_digits_they_have():
    records = [golden.record(0, DECLARED)["flow"] for _ in range(4)]
    for record, time in zip(records, ("03Z", "03.5Z", "03.25Z", "04Z"), strict=True):
        record["time"] = f"2026-11-20T10:00:{time}"
    audit, _ = audited(b"".join(json.dumps(each).encode() + b"\n" for each in records))
    row = audit_rows(audit)[0]
    assert (row["first"][17:21], row["last"][17:21]) == ("03.0", "04.0")
    assert parse_flow({**records[0], "time": "yesterday"}).time == ""
