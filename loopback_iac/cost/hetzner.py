"""Hetzner's own price list, as its API answers `GET /v1/pricing`, into our table's shape.

Sources: OpenAPI description of Hetzner Cloud, 2026-08: amounts are decimal strings, net and gross;
included traffic is in bytes.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from loopback_iac.model.problem import InputRejected, Problem

ANSWER = "pricing"  # the only key of the answer
PROVIDER = "hetzner"
BYTES_PER_TB = 2**40  # 20 TB of a server are 21990232555520 bytes in the API
Entry = dict[str, Any]


def hetzner_prices(title: str, answer: object, read: dt.date) -> dict[str, object]:
    """The tree of a PriceFile.

    Raises: InputRejected when it is no such answer.
    """
    try:
        return _tree(title, answer, read)
    except (KeyError, TypeError, AttributeError, ArithmeticError) as cause:
        got = f"is not as the API answers: {type(cause).__name__} {cause}"
        fix = "save the answer of GET https://api.hetzner.cloud/v1/pricing unchanged"
        problem = Problem(ANSWER, got, "", fix, "hetzner-pricing")
        raise InputRejected(title, (problem,)) from None


def _tree(title: str, answer: Any, read: dt.date) -> dict[str, object]:  # noqa: ANN401  # JSON
    made = {"provider": PROVIDER, "source": f"GET /v1/pricing, saved as {title}", "read": read}
    entries = [
        *_servers(answer["server_types"]),
        *_addresses("primary-ip", answer["primary_ips"]),
        *_addresses("floating-ip", answer["floating_ips"]),
        {"sku": "volume", "amount": answer["volume"]["price_per_gb_month"]["net"]},
        {"sku": "backups", "per": "percent", "amount": answer["server_backup"]["percentage"]},
    ]
    return {
        "format": 1,
        "currency": answer["currency"],
        "vat": "excluded",
        "prices": [{**made, **entry} for entry in entries],
    }


def _servers(types: list[Mapping[str, Any]]) -> Iterator[Entry]:
    per_tb: dict[str, str] = {}
    for kind in types:
        for price in kind["prices"]:
            per_tb.setdefault(price["location"], price["price_per_tb_traffic"]["net"])
            yield {
                "sku": kind["name"],
                "locations": [price["location"]],
                "amount": price["price_monthly"]["net"],
                "includes_tb": Decimal(price["included_traffic"]) / BYTES_PER_TB,
            }
    for location, amount in per_tb.items():
        yield {
            "sku": "traffic",
            "per": "TB",
            "locations": [location],
            "amount": amount,
            "internal_free": True,
        }


def _addresses(sku: str, kinds: list[Mapping[str, Any]]) -> Iterator[Entry]:

    for kind in kinds:
        for price in kind["prices"]:
            yield {
                "sku": f"{sku}/{kind['type']}",
                "locations": [price["location"]],
                "amount": price["price_monthly"]["net"],
            }
