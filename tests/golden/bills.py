"""Golden bills: a folder each, with the resources of a stack, prices, and the bill they make.

fleet.yaml holds
  resources  a short form: type, name, inputs, and the name of the parent
  base       instead: another case's resources
  prices     texts of price files, in the order of --prices
  tb         TB a month, where the traffic counts
  means      rejected: every "rule at path", in order
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from loopback_iac.cli.cost import cost_tree, print_cost
from loopback_iac.cost import (
    Bill,
    Inventory,
    Margin,
    PriceTable,
    bill_of,
    margins_of,
    merge_prices,
    parse_prices,
    read_inventory,
    shipped_prices,
)

CASES = Path(__file__).parent / "bills"


@dataclass(frozen=True)
class Case:
    """One folder."""

    name: str
    resources: list[dict[str, Any]]
    prices: dict[str, str] = field(default_factory=dict)
    tb: Decimal | None = None
    means: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return CASES / self.name

    def table(self) -> PriceTable:
        given = [(title, parse_prices(title, text)) for title, text in self.prices.items()]
        return merge_prices(shipped_prices(), given)

    def inventory(self) -> Inventory:
        return read_inventory(self.resources)

    def asked(self) -> tuple[Bill, tuple[Margin, ...]]:
        inventory, table = self.inventory(), self.table()
        return bill_of(inventory, table, self.tb), margins_of(inventory, table, self.tb)


def load(name: str) -> Case:
    tree = yaml.safe_load((CASES / name / "fleet.yaml").read_text())
    if "base" in tree:
        resources = load(tree["base"]).resources
    else:
        resources = expand(tree.get("resources", []))
    tb = Decimal(str(tree["tb"])) if "tb" in tree else None
    return Case(name, resources, tree.get("prices", {}), tb, tree.get("means", []))


def expand(short: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Resources as the engine lists them."""
    urns = {each["name"]: f"urn:pulumi:dev::t::{each['type']}::{each['name']}" for each in short}
    return [
        {
            "urn": urns[each["name"]],
            "type": each["type"],
            "name": each["name"],
            "parent": urns.get(each.get("parent", ""), ""),
            "inputs": each.get("inputs", {}),
        }
        for each in short
    ]


def names(*, rejected: bool) -> list[str]:
    found = sorted(p.parent.name for p in CASES.glob("*/fleet.yaml"))
    return [name for name in found if bool(load(name).means) is rejected]


def texts(case: Case) -> dict[str, str]:
    """The bill as a person and as a program read it."""
    bill, margins = case.asked()
    out = io.StringIO()
    print_cost(bill, margins, Console(file=out, width=200))
    shown = "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())
    return {"bill.txt": shown, "bill.json": json.dumps(cost_tree(bill, margins), indent=2) + "\n"}
