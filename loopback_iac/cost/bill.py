"""The bill of a month: a line for everything, with a price or with the word that it is unknown."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal

from loopback_iac.cost.inventory import METAL, Host, Inventory, Item
from loopback_iac.cost.prices import Charge, Price
from loopback_iac.cost.table import PriceTable
from loopback_iac.cost.traffic import Flow, flows_of

CENT = Decimal("0.01")
HOURS_PER_MONTH = Decimal(730)  # 365 days / 12
OWN_FILE = "your price file"


@dataclass(frozen=True)
class Line:
    """One thing on the bill."""

    host: str
    supplier: str
    item: str
    quantity: str
    unit_price: str
    amount: Decimal | None
    """A month, in whole cents; None: unknown."""
    source: str
    missing: str
    """What to write in a price file so that it becomes known."""


@dataclass(frozen=True)
class Bill:
    """What a month costs; a lower bound while any line is unknown."""

    currency: str
    vat: str
    tb: Decimal | None
    lines: tuple[Line, ...]
    notes: tuple[str, ...]

    @property
    def total(self) -> Decimal:
        """The sum of the lines that have a price."""
        return sum((line.amount for line in self.lines if line.amount is not None), Decimal("0.00"))

    @property
    def unknown(self) -> tuple[Line, ...]:
        """Lines without a price."""
        return tuple(line for line in self.lines if line.amount is None)


def bill_of(inventory: Inventory, table: PriceTable, tb: Decimal | None) -> Bill:
    """In: `tb`: terabytes clients are sent within a month; None: not said, so not billed."""
    lines = [line for host in inventory.hosts for line in _host_lines(host, inventory, table)]
    lines += [line for pop in inventory.pops for line in _upstream_lines(pop, inventory, table)]
    lines += _other_lines(inventory, table)
    lines += [
        Line("", kind.partition(":")[0], kind, f"{count}", "", None, "", f"other: {kind}")
        for kind, count in sorted(inventory.foreign.items())
        if kind not in table.other
    ]
    if tb:
        lines += [_flow_line(flow) for flow in flows_of(inventory, table, tb)]
    order = {host.name: at for at, host in enumerate(inventory.hosts)}
    lines.sort(key=lambda line: (not line.host, order.get(line.host, len(order))))
    notes = tuple(_notes(inventory, table, tb))
    return Bill(table.currency, table.vat, tb, tuple(lines), notes)


def in_cents(amount: Decimal) -> Decimal:
    """Rounded as an invoice does."""
    return amount.quantize(CENT, ROUND_HALF_UP)


def _host_lines(host: Host, inventory: Inventory, table: PriceTable) -> Iterator[Line]:
    name = inventory.like(host.name)
    charge = table.machines.get(name)
    if charge is not None or host.provider == METAL:
        yield _charge_line(host.name, METAL, "machine", charge, f"machines: {name}")
    for item in host.items:
        yield _item_line(host.name, item, table)


def _amount(item: Item, table: PriceTable) -> Decimal | None:
    price = table.find(item.provider, item.sku, item.location)
    if price is None or price.amount is None or item.quantity is None:
        return None
    if price.per == "percent":
        whole = _amount(replace(item, sku=item.of, of=""), table) if item.of else None
        return None if whole is None else whole * price.amount / 100
    hours = HOURS_PER_MONTH if price.per == "hour" else Decimal(1)
    return item.quantity * price.amount * hours


def _item_line(host: str, item: Item, table: PriceTable) -> Line:
    price, amount = table.find(item.provider, item.sku, item.location), _amount(item, table)
    known = price is not None and price.amount is not None
    at = f" at {item.location}" if item.location else ""
    how_much = "?" if item.quantity is None else _plain(item.quantity)
    missing = f"prices: {item.provider}{at}, sku {item.sku}"
    if item.quantity is None:
        missing = f"how much of {item.sku} at {host or '-'}: known when it is built, use --state"
    return Line(
        host=host,
        supplier=item.provider,
        item=item.sku,
        quantity=f"{how_much} {item.unit}".rstrip(),
        unit_price=_unit_price(price) if price and known else "",
        amount=None if amount is None else in_cents(amount),
        source=f"{price.source}, {price.read}" if price and known else "",
        missing="" if amount is not None else missing,
    )


def _unit_price(price: Price) -> str:
    amount = _plain(price.amount or Decimal(0))
    return f"{amount} %" if price.per == "percent" else f"{amount} / {price.per}"


def _upstream_lines(pop: str, inventory: Inventory, table: PriceTable) -> Iterator[Line]:
    for name, kind in inventory.pops[pop].items():
        key = f"{inventory.like(pop)}/{name}"
        item = f"upstream {name} ({kind})"
        yield _charge_line(pop, name, item, table.upstreams.get(key), f"upstreams: {key}")


def _other_lines(inventory: Inventory, table: PriceTable) -> Iterator[Line]:
    every = [*(host.name for host in inventory.hosts), *inventory.pops, *inventory.workers]
    for name, charge in table.other.items():
        owners = [h for h in dict.fromkeys(every) if inventory.like(h) == charge.of]
        for owner in owners if charge.of else [""]:
            yield _charge_line(owner, "other", name, charge, "")


def _charge_line(host: str, supplier: str, item: str, charge: Charge | None, missing: str) -> Line:
    if charge is None:
        return Line(host, supplier, item, "1", "", None, "", missing)
    read = f", {charge.read}" if charge.read else ""
    source = (charge.source or OWN_FILE) + read
    price = f"{_plain(charge.monthly)} / month"
    return Line(host, supplier, item, "1", price, in_cents(charge.monthly), source, "")


def _flow_line(flow: Flow) -> Line:
    billed, amount = flow.billed_tb, None
    if billed is not None and flow.per_tb is not None:
        amount = in_cents(billed * flow.per_tb)
    elif billed == 0:
        amount = in_cents(Decimal(0))
    within = "?" if flow.included_tb is None else _plain(flow.included_tb)
    return Line(
        host=flow.host,
        supplier=flow.supplier,
        item=f"traffic over {flow.over}" if flow.over else "traffic",
        quantity=f"{_plain(flow.sent_tb)} TB, {within} included",
        unit_price="" if flow.per_tb is None else f"{_plain(flow.per_tb)} / TB",
        amount=amount,
        source=flow.source,
        missing="" if amount is not None else flow.missing,
    )


def _plain(number: Decimal) -> str:
    text = f"{number.quantize(Decimal('0.0001'), ROUND_HALF_UP):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _notes(inventory: Inventory, table: PriceTable, tb: Decimal | None) -> Iterable[str]:
    yield from table.notes
    if tb is None and inventory.pops:
        yield "traffic is not in this bill: say with --tb how many TB clients are sent a month"
    for name in (*inventory.pops, *inventory.workers):
        if inventory.host(inventory.like(name)) is None:
            yield f"{name} has no host component of its name: its machine's lines stand elsewhere"
    hosts = {host.name for host in inventory.hosts}
    ups = {f"{pop}/{up}" for pop, names in inventory.pops.items() for up in names}
    shares = set(table.traffic.shares) if table.traffic else set()
    for section, given, known in (
        ("machines", set(table.machines), hosts),
        ("upstreams", set(table.upstreams), ups),
        ("other (of)", {c.of for c in table.other.values() if c.of}, hosts | set(inventory.pops)),
        ("traffic.shares", shares, set(inventory.pops)),
    ):
        for name in sorted(given - known):
            yield f"{section}: {name} is in your price file and not in this stack; left out"
