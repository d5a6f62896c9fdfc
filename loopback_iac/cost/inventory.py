"""What of a stack is billed: hosts with their parts, PoPs with their upstreams, workers."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from loopback_iac.cost.meters import METERS, OURS, PLANNED, PROVIDERS, UNBILLED
from loopback_iac.model.places import HETZNER_LOCATIONS, IONOS_LOCATIONS

Tree = Mapping[str, Any]
METAL = "metal"
_HOST = re.compile(r"loopback-iac:index:(\w+)Host")
_EDGE = "loopback-iac:index:AnycastEdge"


@dataclass(frozen=True)
class Item:
    """Something a provider bills, before its price is looked up."""

    provider: str
    sku: str
    quantity: Decimal | None
    unit: str
    location: str
    of: str = ""
    """Of a surcharge: the SKU it is a part of."""

    @property
    def is_server(self) -> bool:
        """Whether it is sold whole, as a size: traffic may come with it."""
        return not self.unit and not self.of and "/" not in self.sku


@dataclass(frozen=True)
class Host:
    """A machine and what is ordered for it; without a name, what belongs to no machine."""

    name: str
    provider: str
    location: str = ""
    items: tuple[Item, ...] = ()
    like: str = ""
    """The host whose contracts count for this one; for a copy not its own name."""

    @property
    def zone(self) -> tuple[str, str]:
        """Where the provider counts no traffic, if it does so at all."""
        places = {"hetzner": HETZNER_LOCATIONS, "ionos": IONOS_LOCATIONS}.get(self.provider, {})
        place = places.get(self.location)
        return self.provider, place.zone if place else self.location


@dataclass(frozen=True)
class Inventory:
    """Everything of one stack that somebody bills, or could."""

    hosts: tuple[Host, ...] = ()
    pops: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By PoP: its upstreams and their kinds."""
    workers: Mapping[str, Decimal] = field(default_factory=dict)
    """By worker: its weight; 0 while drained."""
    likes: Mapping[str, str] = field(default_factory=dict)
    """Of a copied PoP or worker: what it was copied from."""
    foreign: Mapping[str, int] = field(default_factory=dict)
    """Resource types that nobody here knows the bill of, and how many."""

    def host(self, name: str) -> Host | None:
        """The machine of that name."""
        return next((host for host in self.hosts if host.name == name), None)

    def like(self, name: str) -> str:
        """What a host is a copy of; itself otherwise."""
        return self.likes.get(name, name)


def read_inventory(resources: Iterable[Tree]) -> Inventory:
    """What is billed.

    In: resources with `urn`, `type`, `name`, `parent` and `inputs`, parents before children.
    """
    trees = {str(tree["urn"]): tree for tree in resources}
    owners = {urn: _owner(urn, trees) for urn in trees}
    items: dict[str, list[Item]] = {"": []}
    foreign: Counter[str] = Counter()
    for urn, tree in trees.items():
        owner = trees.get(owners[urn])
        found = _items(tree, _location(owner))
        if found is None:
            foreign[tree["type"]] += 1
        items.setdefault(owners[urn], []).extend(found or ())
    pops, workers = _fleet(trees.values())
    hosts = [
        Host(
            name=str(trees[urn]["name"]),
            provider=_provider(trees[urn]),
            location=_location(trees[urn]),
            items=tuple(sorted(items.get(urn, ()), key=_place_in_bill)),
        )
        for urn in trees
        if owners[urn] == urn
    ]
    # neither the program's threads nor the protocol's maps keep an order
    hosts.sort(key=lambda host: (host.name not in pops, host.name not in workers, host.name))
    if items[""]:
        hosts.append(Host("", "", items=tuple(sorted(items[""], key=_place_in_bill))))
    return Inventory(tuple(hosts), pops, workers, {}, dict(foreign))


def _place_in_bill(item: Item) -> tuple[object, ...]:
    return not item.is_server, item.sku, item.location, item.quantity or 0


def _owner(urn: str, trees: Mapping[str, Tree]) -> str:
    """URN of the host component a resource is part of, or ""."""
    while urn in trees and not _HOST.fullmatch(trees[urn]["type"]):
        urn = str(trees[urn].get("parent") or "")
    return urn if urn in trees else ""


def _machine(host: Tree | None) -> Tree:
    found = (host or {}).get("inputs", {}).get("machine")
    return found if isinstance(found, Mapping) else {}


def _location(host: Tree | None) -> str:
    return str(_machine(host).get("location") or "")


def _provider(host: Tree) -> str:
    return str(_machine(host).get("provider") or METAL)


def _items(tree: Tree, location: str) -> list[Item] | None:
    """None: of a type that is not known here."""
    kind, inputs = str(tree["type"]), tree.get("inputs") or {}
    package = kind.partition(":")[0]
    if package in OURS or kind in UNBILLED:
        return []
    if kind not in METERS:
        return None
    own = inputs.get("location") or inputs.get("homeLocation")
    place = str(own) if own not in (None, PLANNED) else location
    return [
        Item(PROVIDERS[package], meter.sku, meter.quantity, meter.unit, place, meter.of)
        for meter in METERS[kind](inputs)
    ]


def _fleet(trees: Iterable[Tree]) -> tuple[dict[str, dict[str, str]], dict[str, Decimal]]:
    pops: dict[str, dict[str, str]] = {}
    workers: dict[str, Decimal] = {}
    for tree in trees:
        fleet = tree["inputs"].get("fleet") if tree["type"] == _EDGE else None
        if not isinstance(fleet, Mapping):
            continue
        for name, pop in fleet["pops"].items():
            pops[name] = {up: facts["kind"] for up, facts in pop["upstreams"].items()}
        for pool in fleet["pools"].values():
            for name, facts in pool["workers"].items():
                workers[name] = Decimal(0 if facts["drained"] else facts["weight"])
    pops = {name: dict(sorted(ups.items())) for name, ups in sorted(pops.items())}
    return pops, dict(sorted(workers.items()))
