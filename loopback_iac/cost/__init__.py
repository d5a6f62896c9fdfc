"""What a fleet costs a month, line by line, and what one more of anything adds."""

from loopback_iac.cost.bill import Bill, Line, bill_of
from loopback_iac.cost.inventory import Host, Inventory, Item, read_inventory
from loopback_iac.cost.margin import Margin, margins_of
from loopback_iac.cost.parse import parse_prices, shipped_prices
from loopback_iac.cost.prices import PriceFile
from loopback_iac.cost.table import PriceTable, merge_prices

__all__ = [
    "Bill",
    "Host",
    "Inventory",
    "Item",
    "Line",
    "Margin",
    "PriceFile",
    "PriceTable",
    "bill_of",
    "margins_of",
    "merge_prices",
    "parse_prices",
    "read_inventory",
    "shipped_prices",
]
