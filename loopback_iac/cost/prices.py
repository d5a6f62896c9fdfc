"""Prices as somebody writes them: each with its unit, its source and the day it was read."""

import datetime as dt
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from loopback_iac.model.fields import Int, Line, LineList, Several, Value, described, refuse

CURRENCY = re.compile(r"[A-Z]{3}")  # ISO 4217
LARGEST = Decimal(10) ** 9
Vat = Literal["excluded", "included"]
Per = Literal["month", "hour", "TB", "percent"]


def _amount(value: object) -> object:
    """Floats go through their shortest text: 0.1 in a file means one tenth."""
    wrong = isinstance(value, bool) or not isinstance(value, int | float | str | Decimal)
    try:
        found = Decimal(0) if wrong else Decimal(str(value))
    except InvalidOperation:
        wrong, found = True, Decimal(0)
    if wrong or not found.is_finite() or not 0 <= found <= LARGEST:
        refuse("amount", described(value), "a number from 0 to 1e9", "write it as in 42.99")
    return found


def _day(value: object) -> object:
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    try:
        return dt.date.fromisoformat(str(value))
    except ValueError:
        refuse("date", described(value), "a day", "write it as in 2026-11-21")


def _currency(value: object) -> object:
    if not isinstance(value, str) or not CURRENCY.fullmatch(value):
        refuse("currency-code", described(value), "three capitals of ISO 4217", "for example EUR")
    return value


Amount = Annotated[Decimal, BeforeValidator(_amount)]
Day = Annotated[dt.date, BeforeValidator(_day)]
Currency = Annotated[str, BeforeValidator(_currency)]


class Price(Value):
    """What a provider asks for one unit of something it sells."""

    provider: Line
    sku: Line
    locations: LineList = ()
    """Empty: wherever it is sold."""
    per: Per = "month"
    amount: Amount | None = None
    """None: only `includes_tb` is known."""
    includes_tb: Amount | None = None
    """Outgoing traffic that comes with a server each month."""
    internal_free: bool = False
    """Of traffic: none is counted between machines of this provider in the same zone."""
    currency: Currency | None = None
    vat: Vat | None = None
    source: Line
    read: Day
    note: Line | None = None


class Charge(Value):
    """What a contract of one's own costs: a machine, an upstream, a cross-connect, a membership."""

    monthly: Amount
    per_tb: Amount | None = None
    """Of each TB beyond `includes_tb`; None: the charge is flat."""
    includes_tb: Amount = Decimal(0)
    of: Line | None = None
    """The host it belongs to, under `other`: a copy of that host has it as well."""
    currency: Currency | None = None
    vat: Vat | None = None
    source: Line | None = None
    read: Day | None = None


class Traffic(Value):
    """What clients are sent, and through which PoPs."""

    tb_per_month: Amount
    shares: Mapping[str, Amount] = Field(default_factory=dict)
    """By PoP, in any unit; one that is not named has none. Empty: evenly."""


class PriceFile(Value):
    """A table of prices, and contracts that no provider's list has."""

    format: Int = Field(ge=1, le=1)
    currency: Currency
    vat: Vat
    prices: Several[Price] = ()
    machines: Mapping[str, Charge] = Field(default_factory=dict)
    """By host."""
    upstreams: Mapping[str, Charge] = Field(default_factory=dict)
    """By POP/UPSTREAM."""
    other: Mapping[str, Charge] = Field(default_factory=dict)
    traffic: Traffic | None = None
