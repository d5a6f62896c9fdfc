"""What one more of anything adds: the fleet is billed with and without it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from loopback_iac.cost.bill import Bill, bill_of
from loopback_iac.cost.inventory import Inventory
from loopback_iac.cost.table import PriceTable


@dataclass(frozen=True)
class Margin:
    """What one more costs a month."""

    what: str
    like: tuple[str, ...]
    """Those it would be like; they all add the same."""
    amount: Decimal | None
    """None: unknown altogether."""
    unknown: int
    """Lines of it without a price: the amount is a lower bound."""
    because: str = ""


def margins_of(inventory: Inventory, table: PriceTable, tb: Decimal | None) -> tuple[Margin, ...]:
    """One more PoP, worker, terabyte, service."""
    now = bill_of(inventory, table, tb)
    found = [
        *_grouped("PoP", [_copy_margin(n, inventory, table, now) for n in inventory.pops]),
        *_grouped("worker", [_copy_margin(n, inventory, table, now) for n in inventory.workers]),
    ]
    if inventory.pops and tb is not None:
        more = bill_of(inventory, table, tb + 1)
        found.append(_terabyte(now, more))
    if inventory.pops:
        because = "runs on the PoPs and workers that are there; its traffic counts as any"
        found.append(Margin("service", (), Decimal("0.00"), 0, because))
    return tuple(found)


def with_copies(inventory: Inventory, like: str, count: int) -> Inventory:
    """The fleet with `count` more PoPs or workers like one it has."""
    for number in range(1, count + 1):
        name = f"{like}+{number}"
        host = inventory.host(like)
        hosts = inventory.hosts if host is None else (*inventory.hosts, replace(host, name=name))
        pops, workers = dict(inventory.pops), dict(inventory.workers)
        if like in pops:
            pops[name] = pops[like]
        if like in workers:
            workers[name] = workers[like]
        likes = {**inventory.likes, name: like}
        inventory = replace(inventory, hosts=hosts, pops=pops, workers=workers, likes=likes)
    return inventory


def without(inventory: Inventory, names: set[str]) -> Inventory:
    """The fleet without some of its PoPs or workers."""
    return replace(
        inventory,
        hosts=tuple(host for host in inventory.hosts if host.name not in names),
        pops={name: ups for name, ups in inventory.pops.items() if name not in names},
        workers={name: w for name, w in inventory.workers.items() if name not in names},
    )


def _copy_margin(name: str, inventory: Inventory, table: PriceTable, now: Bill) -> Margin:
    then = bill_of(with_copies(inventory, name, 1), table, now.tb)
    unknown = len(then.unknown) - len(now.unknown)
    known = any(line.amount is not None for line in then.lines if line.host == f"{name}+1")
    amount = then.total - now.total
    own = sum((x.amount for x in then.lines if x.host == f"{name}+1" and x.amount), Decimal("0.00"))
    moved = f"{own} of its own, {amount - own} as traffic moves" if own != amount else ""
    return Margin("", (name,), amount if known else None, unknown, moved)


def _grouped(what: str, found: list[Margin]) -> Iterator[Margin]:
    alike: dict[Margin, list[str]] = {}
    for margin in found:
        alike.setdefault(replace(margin, what=what, like=()), []).extend(margin.like)
    for margin, names in alike.items():
        yield replace(margin, like=tuple(names))


def _terabyte(now: Bill, more: Bill) -> Margin:
    traffic = [line for line in more.lines if line.item.startswith("traffic")]
    unknown = sum(1 for line in traffic if line.amount is None)
    if traffic and unknown == len(traffic):
        return Margin("TB", (), None, unknown)
    because = "" if traffic else "nothing here is billed by the TB"
    return Margin("TB", (), more.total - now.total, unknown, because)
