"""EgressIpPool by itself: what a provider is asked for, and what may be given back."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Literal

from pydantic import Field

from loopback_iac.kube.policy import Pool
from loopback_iac.kube.pool import check_pools
from loopback_iac.kube.problems import inside
from loopback_iac.model.cloud_host import Labels
from loopback_iac.model.fields import Given, Int, LineList, Network, Value
from loopback_iac.model.places import HETZNER_LOCATIONS, IONOS_LOCATIONS
from loopback_iac.model.problem import InputRejected, Problem
from loopback_iac.model.structure import check_name, collect, plain

FLOATING, BLOCK = "hetzner-floating", "ionos-ip-block"
ORDERED = {FLOATING: HETZNER_LOCATIONS, BLOCK: IONOS_LOCATIONS}
ELSEWHERE = {
    "hetzner-primary": "it comes with its server: declare a HetznerHost, and write its address",
    "ionos-failover": "it comes with its server: declare an IonosHost with failover: true",
    "own-prefix": "write networks of the prefix; a registry gave it to you",
    "private-network": "write networks of yours",
}
BLOCK_MAX = 256
"""More at once is a typing error; IONOS has a quota per contract beside it."""


class AddressOrder(Value):
    """Addresses that a provider is asked for."""

    location: str
    family: Literal["ipv4", "ipv6"] = "ipv4"
    size: Int = Field(1, ge=1, le=BLOCK_MAX)
    server_id: Given = False


class KeptPool(Pool):
    """A pool whose addresses are kept."""

    orders: Mapping[str, AddressOrder] = Field(default_factory=dict)
    giving_back: LineList = ()
    labels: Labels = Field(default_factory=Labels)

    def is_kept(self, name: str) -> bool:
        """Whether an address, or an order by name, is not to be dropped."""
        return name not in self.giving_back


def parse_pool(name: str, tree: Mapping[str, object]) -> KeptPool:
    """A pool as declared.

    In: `name` for messages; late values are not looked into.
    Raises: InputRejected with every problem at once.
    """
    problems: list[Problem] = []
    pool = collect(KeptPool, name, plain(tree), problems)
    if pool is not None:
        problems += [
            replace(each, path=each.path.removeprefix("pools."))
            for each in check_pools({name: pool})
        ]
        problems += [*_check_orders(name, pool), *_check_giving_back(name, pool)]
    if problems or pool is None:
        raise InputRejected(name, tuple(problems))
    return pool


def _check_orders(name: str, pool: KeptPool) -> Iterator[Problem]:
    if not pool.addresses and not pool.orders:
        got, fix = "no address, and none is ordered", "write what you hold, or order some"
        yield Problem(f"{name}.addresses", got, "a network", fix, "pool-empty")
    for title, order in pool.orders.items():
        path = f"{name}.orders.{title}"
        yield from check_name(path, title)
        if pool.kind not in ORDERED:
            got, fix = f"{pool.kind} is not ordered here", ELSEWHERE[pool.kind]
            yield Problem(path, got, " or ".join(ORDERED), fix, "pool-order-kind")
            continue
        places = ORDERED[pool.kind]
        if order.location not in places:
            got, need = f"{order.location!r} is no location", ", ".join(places)
            fix = "write the location of the gateways"
            yield Problem(f"{path}.location", got, need, fix, "location-unknown")
        if pool.kind == FLOATING and order.size != 1:
            got, fix = f"{order.size}; Hetzner sells them one by one", "make an order for each"
            yield Problem(f"{path}.size", got, "1", fix, "pool-order-size")
        if pool.kind == BLOCK and order.family != "ipv4":
            got, fix = "ipv6; blocks of IONOS are IPv4", "leave family out"
            yield Problem(f"{path}.family", got, "ipv4", fix, "pool-order-family")
        if pool.kind == BLOCK and order.server_id:
            got, fix = "at IONOS an address is put on a card", "leave it out"
            yield Problem(f"{path}.server_id", got, "", fix, "pool-order-server")


def _check_giving_back(name: str, pool: KeptPool) -> Iterator[Problem]:
    known = {*pool.orders, *(str(a) for held in pool.allocations.values() for a in held)}
    for at, title in enumerate(pool.giving_back):
        if title not in known:
            got = f"{title!r} is neither an order nor allocated here"
            fix = "remove it, or write it as it stands there"
            path = f"{name}.giving_back[{at}]"
            yield Problem(path, got, ", ".join(sorted(known)), fix, "giving-back-unknown")


def check_ordered(name: str, pool: KeptPool, given: list[Network]) -> Iterator[Problem]:
    """Whether what is written is what the provider gave.

    In: `given`: every address that it did give.
    """
    four = [each for each in given if isinstance(each, IPv4Network)]
    six = [each for each in given if isinstance(each, IPv6Network)]
    known: list[Network] = [*collapse_addresses(four), *collapse_addresses(six)]
    for at, network in enumerate(pool.addresses):
        if not any(inside(network, each) for each in known):
            shown = ", ".join(map(str, given)) or "nothing"
            got, fix = f"{network} is not among what was ordered", "write what the provider gave"
            yield Problem(f"{name}.addresses[{at}]", got, shown, fix, "pool-not-ordered")
