"""The door for prices: the text of a file in, a PriceFile or every problem out."""

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from importlib.resources import files

import yaml

from loopback_iac.cost.hetzner import ANSWER, hetzner_prices
from loopback_iac.cost.prices import Charge, Price, PriceFile
from loopback_iac.model.problem import InputRejected, Problem
from loopback_iac.model.structure import collect, plain

SHIPPED = "prices.yaml"


def shipped_prices() -> PriceFile:
    """The table this package comes with."""
    return parse_prices(SHIPPED, files(__package__).joinpath(SHIPPED).read_text())


def parse_prices(title: str, text: str, today: dt.date | None = None) -> PriceFile:
    """A table of prices, or Hetzner's own answer to `GET /v1/pricing`.

    In: `title` names the file in refusals; `today`: when an answer of Hetzner's was saved.
    Raises: InputRejected with every problem at once.
    """
    tree = _load(title, text)
    if isinstance(tree, dict) and ANSWER in tree:
        tree = hetzner_prices(title, tree[ANSWER], today or dt.datetime.now(dt.UTC).date())
    problems: list[Problem] = []
    found = collect(PriceFile, "", plain(tree), problems)
    if found is not None:
        problems = [*_check_words(found), *_check_twice(found), *_check_shares(found)]
    if problems or found is None:
        raise InputRejected(title, tuple(problems))
    return found


def _load(title: str, text: str) -> object:
    try:
        return json.loads(text, parse_float=Decimal)  # its numbers keep all their digits
    except ValueError:
        pass
    try:
        tree: object = yaml.safe_load(text)
    except yaml.YAMLError as cause:
        got = " ".join(str(cause).split())
        fix = "write it like the table `loopback cost --show-prices` prints"
        problem = Problem(title, got, "a table in YAML or JSON", fix, "price-file-syntax")
        raise InputRejected(title, (problem,)) from None
    return tree


def _entries(found: PriceFile) -> Iterator[tuple[str, Price | Charge]]:
    yield from ((f"prices[{at}]", price) for at, price in enumerate(found.prices))
    for section in ("machines", "upstreams", "other"):
        charges: Mapping[str, Charge] = getattr(found, section)
        yield from ((f"{section}.{name}", charge) for name, charge in charges.items())


def _check_words(found: PriceFile) -> Iterator[Problem]:
    """One currency and one kind of VAT per table: amounts are added, never converted."""
    for path, entry in _entries(found):
        if entry.currency not in (None, found.currency):
            yield Problem(
                f"{path}.currency",
                f"{entry.currency} among amounts in {found.currency}",
                found.currency,
                "convert it, with the day's rate in its source: nothing is converted here",
                "currency-mixed",
            )
        if entry.vat not in (None, found.vat):
            yield Problem(
                f"{path}.vat",
                f"VAT {entry.vat} among amounts with VAT {found.vat}",
                found.vat,
                "write the other amount",
                "vat-mixed",
            )
        if isinstance(entry, Price) and entry.amount is None and entry.includes_tb is None:
            yield Problem(path, "says nothing", "amount", "add amount", "price-missing")


def _check_twice(found: PriceFile) -> Iterator[Problem]:
    seen: dict[tuple[str, str, str], int] = {}
    for at, price in enumerate(found.prices):
        for location in price.locations or ("",):
            key = (price.provider, price.sku, location)
            if key in seen:
                what = " ".join(part for part in key if part)
                got = f"{what} is priced by prices[{seen[key]}] already"
                yield Problem(f"prices[{at}]", got, "", "keep one of them", "price-twice")
            seen.setdefault(key, at)


def _check_shares(found: PriceFile) -> Iterator[Problem]:
    shares = found.traffic.shares if found.traffic else {}
    if shares and not sum(shares.values()):
        yield Problem(
            "traffic.shares", "add up to 0", "more than 0", "leave them out", "traffic-shares"
        )
