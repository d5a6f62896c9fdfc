"""Arithmetic of bills: what one more adds, where traffic is counted, what stays unknown."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from loopback_iac.cost import bill_of, margins_of, merge_prices, parse_prices, shipped_prices
from loopback_iac.cost.chart import cost_lines, draw_cost
from loopback_iac.cost.inventory import read_inventory
from loopback_iac.cost.margin import with_copies, without
from loopback_iac.cost.traffic import flows_of
from tests.golden import bills


def asked(text: str = ""):
    given_files = [("ours.yaml", parse_prices("ours.yaml", text))] if text else []
    return merge_prices(shipped_prices(), given_files)


def server(**inputs):
    tree = [{"type": "hcloud:index/server:Server", "name": "s", "inputs": inputs}]
    return read_inventory(bills.expand(tree))


def test_a_bill_in_another_currency_leaves_the_shipped_prices_out_and_says_so():
    usd = asked("{format: 1, currency: USD, vat: excluded}")
    bill = bill_of(server(serverType="ccx13", location="fsn1"), usd, None)
    assert bill.currency == "USD"
    assert bill.total == 0
    assert next(line.item for line in bill.unknown) == "ccx13"
    assert any("are left out" in note for note in bill.notes)


def test_a_size_that_is_known_after_apply_is_unknown_and_not_one():
    tree = [{
        "type": "hcloud:index/volume:Volume",
        "name": "v",
        "inputs": {"size": "(known after apply)", "location": "fsn1"},
    }]  # fmt: skip
    (line,) = bill_of(read_inventory(bills.expand(tree)), asked(), None).lines
    assert (line.amount, line.quantity) == (None, "? GB")
    assert "known when it is built" in line.missing


def test_backups_are_a_part_of_the_price_of_their_server():
    bare = {"ipv4Enabled": False, "ipv6Enabled": False}
    inputs = {"serverType": "ccx13", "location": "fsn1", "backups": True, "publicNets": [bare]}
    bill = bill_of(server(**inputs), asked(), None)
    assert [line.amount for line in bill.lines] == [Decimal("42.99"), Decimal("8.60")]


def test_one_more_of_a_kind_costs_what_the_bill_then_says():
    case = bills.load("three-kinds")
    inventory, table = case.inventory(), case.table()
    now = bill_of(inventory, table, case.tb).total
    for margin in margins_of(inventory, table, case.tb):
        for name in margin.like:
            then = bill_of(with_copies(inventory, name, 1), table, case.tb)
            assert then.total - now == margin.amount


def test_without_traffic_the_cost_of_machines_is_a_straight_line():
    case = bills.load("three-kinds")
    inventory, table = case.inventory(), case.table()
    totals = [bill_of(with_copies(inventory, "par1", n), table, None).total for n in range(5)]
    steps = {after - before for before, after in pairwise(totals)}
    assert steps == {Decimal(129 + 250 + 300 + 95)}
    gone = bill_of(without(inventory, {"par1"}), table, None).total
    assert totals[0] - gone == Decimal(129 + 250 + 300 + 95)


@settings(max_examples=60, deadline=None)
@given(tb=st.decimals(0, 10_000, places=2), more=st.decimals(0, 10_000, places=2))
def test_more_traffic_never_costs_less_and_every_terabyte_leaves_once(tb, more):
    case = bills.load("three-kinds")
    inventory, table = case.inventory(), case.table()
    assert bill_of(inventory, table, tb).total <= bill_of(inventory, table, tb + more).total
    flows = list(flows_of(inventory, table, tb))
    (par,) = [flow.sent_tb for flow in flows if flow.host == "par1"]
    (fra,) = [flow.sent_tb for flow in flows if flow.host == "fra1"]
    # of the two upstreams of par1 one is flat and has no meter
    assert abs(fra + 2 * par - tb) < Decimal("1e-9")


def test_the_picture_has_a_line_each_and_the_same_bytes_each_time(tmp_path):
    case = bills.load("three-kinds")
    inventory, table = case.inventory(), case.table()
    lines = cost_lines(inventory, table, case.tb)
    assert [title.split(",")[0] for title, _, _ in lines] == [
        "PoPs",
        "workers",
        "TB sent to clients a month",
    ]
    assert all(any(x == here for x, _ in points) for _, here, points in lines)
    for name in ("one.svg", "two.svg", "three.png"):
        draw_cost(inventory, table, case.tb, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    text = " ".join(ET.parse(tmp_path / "one.svg").getroot().itertext())  # noqa: S314 - just drawn here
    assert f"{bill_of(inventory, table, case.tb).total} EUR a month now" in text
    assert (tmp_path / "three.png").read_bytes().startswith(b"\x89PNG")


def test_every_shipped_price_says_where_and_when_it_was_read():
    shipped = shipped_prices()
    assert (shipped.currency, shipped.vat) == ("EUR", "excluded")
    assert len(shipped.prices) > 5
    assert all(len(price.source) > 20 for price in shipped.prices)


def test_the_order_of_the_program_changes_nothing():
    case = bills.load("three-kinds")
    table = case.table()
    turned = read_inventory(reversed(case.resources))
    assert bill_of(turned, table, case.tb) == bill_of(case.inventory(), table, case.tb)


def test_a_disk_that_is_secret_as_a_whole_is_not_forgotten():
    inputs = {"type": "VCPU", "cores": 1, "ram": 1024, "volume": "[secret]"}
    tree = [{"type": "ionoscloud:compute/server:Server", "name": "s", "inputs": inputs}]
    bill = bill_of(read_inventory(bills.expand(tree)), asked(), None)
    assert "storage/?" in [line.item for line in bill.unknown]


def test_the_example_prices_the_whole_fleet_of_the_lab():
    path = Path(__file__).parents[3] / "docs/prices-example.yaml"
    table = asked(path.read_text())
    bill = bill_of(bills.load("bare-metal-alone").inventory(), table, table.traffic.tb_per_month)
    assert bill.unknown == ()
    assert bill.notes == ()
