"""`loopback cost` on a stack of the embedded engine, from its plan and from its state."""

from __future__ import annotations

import json

import pytest
import yaml
from typer.testing import CliRunner

from loopback_iac.cli import app

PROGRAM = """
import pulumi

edge = {"pops": {"fra1": {"upstreams": {"t1": {"kind": "transit"}}}}, "pools": {}}
pulumi.ComponentResource("loopback-iac:index:AnycastEdge", "edge", {"fleet": edge})
host = pulumi.ComponentResource("loopback-iac:index:BareMetalHost", "fra1", {"ipv4": "192.0.2.1"})
"""
ORDERED = """
from loopback_iac.components import HetznerHost, IonosHost

BOTH = {
    "admin_sources": ["198.51.100.0/28"],
    "fleet_secret": "0123456789abcdefghijklmnopqrstuvwxyz",
    "ssh_agent_socket": "/run/agent",
    "ssh_public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA"
    "IEbqz0w0Jq5wQ3v0o4m8mS8u2m6mFfT1j7Xw0Qm4y1bV",
}
HetznerHost("fra1", {**BOTH, "location": "fsn1", "role": "pop", "server_type": "ccx13"})
IonosHost("w1", {**BOTH, "location": "de/fra", "role": "worker", "cores": 2, "ram_mb": 4096})
"""
OURS = """
format: 1
currency: EUR
vat: excluded
machines: {fra1: {monthly: 100, source: order 1}}
upstreams: {fra1/t1: {monthly: 200, includes_tb: 1, per_tb: 3, source: order 2}}
"""


@pytest.fixture
def stack(tmp_path, monkeypatch):
    (tmp_path / "Pulumi.yaml").write_text(yaml.safe_dump({"name": "t", "runtime": "python"}))
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {}\n")
    (tmp_path / "__main__.py").write_text(PROGRAM)
    (tmp_path / "ours.yaml").write_text(OURS)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse battery staple")
    return tmp_path


def run(*argv: str):
    return CliRunner().invoke(app, argv)


def test_plan_and_state_have_the_same_bill(stack):
    asked = ("cost", "-C", str(stack), "--prices", str(stack / "ours.yaml"), "--tb", "3", "--json")
    planned = run(*asked, "--plan")
    assert planned.exit_code == 0, planned.output
    tree = json.loads(planned.stdout)
    assert tree["total_per_month"] == "306.00"
    assert tree["lower_bound"] is False
    assert [(each["what"], each["per_month"]) for each in tree["one_more"]] == [
        ("PoP", "297.00"),
        ("TB", "3.00"),
        ("service", "0.00"),
    ]
    before = run(*asked)
    assert before.exit_code == 2
    assert "--plan" in before.output
    assert run("up", "-C", str(stack), "--yes").exit_code == 0
    assert json.loads(run(*asked).stdout) == tree


def test_machines_as_the_components_order_them_are_billed(stack):
    (stack / "__main__.py").write_text(ORDERED)
    planned = run("cost", "-C", str(stack), "--plan", "--json")
    assert planned.exit_code == 0, planned.output
    lines = [(x["host"], x["item"], x["quantity"]) for x in json.loads(planned.stdout)["lines"]]
    assert lines == [
        ("fra1", "ccx13", "1"),
        ("fra1", "primary-ip/ipv4", "1"),
        ("fra1", "primary-ip/ipv6", "1"),
        ("w1", "core/VCPU", "2 cores"),
        ("w1", "ipv4", "1 IPv4"),
        ("w1", "ram", "4 GB"),
        ("w1", "storage/SSD Standard", "20 GB"),
    ]


def test_an_unknown_price_is_said_and_fails_only_where_it_may(stack):
    said = run("cost", "-C", str(stack), "--plan")
    assert said.exit_code == 0, said.output
    assert "at least 0.00 EUR" in said.output
    assert "machines: fra1" in said.output
    assert run("cost", "-C", str(stack), "--plan", "--complete").exit_code == 1


def test_a_wrong_file_is_refused_before_anything_runs(stack):
    (stack / "ours.yaml").write_text(OURS.replace("monthly: 100", "monthly: -1"))
    refused = run("cost", "-C", str(stack), "--prices", str(stack / "ours.yaml"))
    assert refused.exit_code == 2
    assert "machines.fra1.monthly: -1 is a number; expected a number from 0" in refused.output
    gone = run("cost", "-C", str(stack), "--prices", str(stack / "none.yaml"))
    assert (gone.exit_code, "none.yaml" in gone.output) == (2, True)
    assert run("cost", "-C", str(stack), "--chart", "cost.gif").exit_code == 2


def test_the_shipped_table_is_printed_as_it_can_be_given_back(stack):
    (stack / "shipped.yaml").write_text(run("cost", "--show-prices").stdout)
    given = run("cost", "-C", str(stack), "--plan", "--prices", str(stack / "shipped.yaml"))
    assert given.exit_code == 0, given.output
