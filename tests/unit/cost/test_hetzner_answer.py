"""Hetzner's own price list becomes a table of ours."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

from loopback_iac.cost import merge_prices, parse_prices, shipped_prices

DAY = dt.date(2026, 11, 21)
TB20 = 21990232555520


def both(net: str) -> dict[str, str]:
    return {"net": net, "gross": str(Decimal(net) * Decimal("1.19"))}


def at(location: str, net: str, **more: object) -> dict[str, object]:
    return {"location": location, "price_hourly": both("0"), "price_monthly": both(net), **more}


def answer() -> dict[str, object]:
    traffic = {"included_traffic": TB20, "price_per_tb_traffic": both("1.0000000000")}
    return {
        "pricing": {
            "currency": "EUR",
            "vat_rate": "19.000000",
            "server_types": [
                {"id": 1, "name": "ccx13", "prices": [at("fsn1", "41.1100000000", **traffic)]},
                {"id": 2, "name": "cx23", "prices": [at("hel1", "3.9900000000", **traffic)]},
            ],
            "primary_ips": [{"type": "ipv4", "prices": [at("fsn1", "0.5000000000")]}],
            "floating_ips": [{"type": "ipv6", "prices": [at("fsn1", "1.1900000000")]}],
            "volume": {"price_per_gb_month": both("0.0572000000")},
            "server_backup": {"percentage": "20.0000000000"},
        }
    }


def table():
    found = parse_prices("hetzner.json", json.dumps(answer()), DAY)
    return merge_prices(shipped_prices(), [("hetzner.json", found)])


def test_net_amounts_and_included_traffic_are_taken():
    cx23 = table().find("hetzner", "cx23", "hel1")
    assert (cx23.amount, cx23.includes_tb, cx23.read) == (Decimal("3.99"), Decimal(20), DAY)
    assert table().find("hetzner", "primary-ip/ipv4", "fsn1").amount == Decimal("0.5")
    assert table().find("hetzner", "floating-ip/ipv6", "fsn1").amount == Decimal("1.19")
    traffic = table().find("hetzner", "traffic", "hel1")
    assert (traffic.amount, traffic.per, traffic.internal_free) == (Decimal(1), "TB", True)


def test_it_wins_over_the_shipped_table_where_it_says_something():
    assert table().find("hetzner", "ccx13", "fsn1").amount == Decimal("41.11")
    assert table().find("hetzner", "ccx13", "hel1").amount == Decimal("42.99")


def test_a_location_without_a_price_has_none():
    assert table().find("hetzner", "cx23", "fsn1") is None
