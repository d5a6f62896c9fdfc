"""Where what clients are sent is counted: at the PoP it leaves from, and at the worker before it.

A terabyte of answers leaves the worker into a tunnel and the PoP to the client. Requests, and the
headers of the tunnel, are not counted; see docs/cost.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from loopback_iac.cost.inventory import METAL, Host, Inventory
from loopback_iac.cost.prices import Charge
from loopback_iac.cost.table import PriceTable

ZERO = Decimal(0)


@dataclass(frozen=True)
class Flow:
    """Traffic on one meter within a month."""

    host: str
    supplier: str
    over: str
    """Which meter: the provider's, or an upstream's."""
    sent_tb: Decimal
    included_tb: Decimal | None
    """None: not known."""
    per_tb: Decimal | None
    source: str
    missing: str
    """What has to be given when something is not known."""

    @property
    def billed_tb(self) -> Decimal | None:
        """None: not known, as nobody said what is included."""
        if self.included_tb is None:
            return None
        return max(ZERO, self.sent_tb - self.included_tb)


def flows_of(inventory: Inventory, table: PriceTable, tb: Decimal) -> Iterator[Flow]:
    """Every meter that `tb` terabytes a month to clients move."""
    pops = list(inventory.pops)
    parts = {name: _share(inventory, table, name) for name in pops}
    for name in pops:
        yield from _upstream_flows(inventory, table, name, tb * parts[name])
        host = inventory.host(name)
        if host is not None and host.provider != METAL:
            yield _provider_flow(host, table, tb * parts[name])
    weights = sum(inventory.workers.values(), ZERO)
    for name, weight in inventory.workers.items():
        host = inventory.host(name)
        if host is None or not weights or not pops:
            continue
        sent = tb * weight / weights
        if host.provider == METAL:
            yield from _charge_flow(name, "", table.machines.get(inventory.like(name)), sent)
        else:
            near = sum((parts[p] for p in pops if _same_zone(inventory, table, p, host)), ZERO)
            yield _provider_flow(host, table, sent * (1 - near))


def _share(inventory: Inventory, table: PriceTable, pop: str) -> Decimal:
    """A copy has the weight of what it was copied from, so the parts still add up to 1."""
    weights = [table.share_of(inventory.like(p), list(inventory.pops)) for p in inventory.pops]
    own = table.share_of(inventory.like(pop), list(inventory.pops))
    total = sum(weights, ZERO)
    return own / total if total else Decimal(1) / len(weights)


def _same_zone(inventory: Inventory, table: PriceTable, pop: str, worker: Host) -> bool:
    other = inventory.host(pop)
    price = table.find(worker.provider, "traffic", worker.location)
    free = price is not None and price.internal_free
    return free and other is not None and other.zone == worker.zone


def _upstream_flows(
    inventory: Inventory, table: PriceTable, pop: str, tb: Decimal
) -> Iterator[Flow]:
    upstreams = inventory.pops[pop]
    for name in upstreams:
        charge = table.upstreams.get(f"{inventory.like(pop)}/{name}")
        yield from _charge_flow(pop, f"upstream {name}", charge, tb / len(upstreams))


def _charge_flow(host: str, over: str, charge: Charge | None, tb: Decimal) -> Iterator[Flow]:
    # one that is missing is a line of the bill already; a flat one moves nothing
    if charge is not None and charge.per_tb is not None:
        source = charge.source or "your price file"
        yield Flow(
            host,
            over.removeprefix("upstream ") or METAL,
            over,
            tb,
            charge.includes_tb,
            charge.per_tb,
            source,
            "",
        )


def _provider_flow(host: Host, table: PriceTable, tb: Decimal) -> Flow:
    price = table.find(host.provider, "traffic", host.location)
    servers = [item for item in host.items if item.is_server]
    priced = [table.find(item.provider, item.sku, item.location) for item in servers]
    # where nothing is sold by size, what is included stands with the traffic itself
    included = [p.includes_tb if p else None for p in priced or [price]]
    place = f"prices: {host.provider} at {host.location}"
    missing = f"{place}, sku traffic, per TB" if price is None or price.amount is None else ""
    if None in included:
        what = ", ".join(item.sku for item in servers) or "traffic"
        missing = f"{missing}; {place}, includes_tb of {what}".removeprefix("; ")
    return Flow(
        host=host.name,
        supplier=host.provider,
        over="",
        sent_tb=tb,
        included_tb=None if None in included else sum((t for t in included if t), ZERO),
        per_tb=price.amount if price else None,
        source=f"{price.source}, {price.read}" if price else "",
        missing=missing,
    )
