"""Several price files as one table: the last that knows a price has it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from loopback_iac.cost.prices import Charge, Price, PriceFile, Traffic
from loopback_iac.model.problem import InputRejected, Problem

Key = tuple[str, str, str]  # provider, SKU, location ("": everywhere)


@dataclass(frozen=True)
class PriceTable:
    """All that is known of prices, in one currency."""

    currency: str
    vat: str
    prices: Mapping[Key, Sequence[tuple[int, Price]]] = field(default_factory=dict)
    """Each with the number of its file; the later file counts."""
    machines: Mapping[str, Charge] = field(default_factory=dict)
    upstreams: Mapping[str, Charge] = field(default_factory=dict)
    other: Mapping[str, Charge] = field(default_factory=dict)
    traffic: Traffic | None = None
    notes: tuple[str, ...] = ()

    def find(self, provider: str, sku: str, location: str) -> Price | None:
        """What the last file says; within one file the location itself comes first.

        A file that only says what traffic is included leaves the amount to the ones before it.
        """
        keys = dict.fromkeys([(provider, sku, location), (provider, sku, "")])
        entries = [pair for key in keys for pair in self.prices.get(key, ())]
        known = [price for _, price in sorted(entries, key=lambda pair: -pair[0])]
        if not known:
            return None
        priced = next((price for price in known if price.amount is not None), known[0])
        includes = next((p.includes_tb for p in known if p.includes_tb is not None), None)
        return priced.model_copy(update={"includes_tb": includes})

    def share_of(self, pop: str, pops: Sequence[str]) -> Decimal:
        """The part of the traffic that leaves at one of `pops`; 0 to 1."""
        shares = self.traffic.shares if self.traffic else {}
        total = sum((shares.get(name, Decimal(0)) for name in pops), Decimal(0))
        if not total:
            return Decimal(1) / len(pops)
        return shares.get(pop, Decimal(0)) / total


def merge_prices(shipped: PriceFile, given: Sequence[tuple[str, PriceFile]]) -> PriceTable:
    """One table; what was given replaces what was shipped, price by price.

    In: (title, file) in the order in which they were given. A shipped table in another currency,
    or with the other kind of VAT, is left out and that is noted.
    Raises: InputRejected when the given ones differ in that from each other.
    """
    first = given[0][1] if given else shipped
    problems = tuple(_check_same(title, first, other) for title, other in given[1:])
    if any(problems):
        raise InputRejected(given[0][0], tuple(p for p in problems if p))
    used, notes = [file for _, file in given], []
    if (shipped.currency, shipped.vat) == (first.currency, first.vat):
        used.insert(0, shipped)
    else:
        notes.append(
            f"the shipped prices ({shipped.currency}, VAT {shipped.vat}) are left out:"
            f" yours are {first.currency}, VAT {first.vat}"
        )
    return PriceTable(
        currency=first.currency,
        vat=first.vat,
        prices=_by_key(used),
        machines={name: c for file in used for name, c in file.machines.items()},
        upstreams={name: c for file in used for name, c in file.upstreams.items()},
        other={name: c for file in used for name, c in file.other.items()},
        traffic=next((file.traffic for file in reversed(used) if file.traffic), None),
        notes=tuple(notes),
    )


def _by_key(files: Sequence[PriceFile]) -> dict[Key, list[tuple[int, Price]]]:
    found: dict[Key, list[tuple[int, Price]]] = {}
    for number, file in enumerate(files):
        for price in file.prices:
            for location in price.locations or ("",):
                key = (price.provider, price.sku, location)
                found.setdefault(key, []).append((number, price))
    return found


def _check_same(title: str, first: PriceFile, other: PriceFile) -> Problem | None:
    if (first.currency, first.vat) == (other.currency, other.vat):
        return None
    return Problem(
        title,
        f"is in {other.currency}, VAT {other.vat}",
        f"{first.currency}, VAT {first.vat}, as the first file",
        "write both alike: nothing is converted here",
        "currency-mixed",
    )
