"""EgressIpPool: addresses that are ours, and the table of who has which.

The table is written down and nothing is given out behind one's back: what is wanted and not chosen
yet is refused with the address to write. Putting addresses on nodes is not done here.
"""

from collections.abc import Iterator, Mapping
from itertools import islice

from loopback_iac.kube.policy import Pool
from loopback_iac.kube.problems import inside
from loopback_iac.model.fields import Address, Network
from loopback_iac.model.problem import Problem
from loopback_iac.model.reserved import PRIVATE, lies_in

SHOWN = 3
LOOKED_AT = 4096
"""Addresses of one network that are looked at for a free one; of an IPv6 network its first."""


def usable(address: Address, network: Network) -> bool:
    """Whether an address of a network can be given out: ends of a subnet are no hosts."""
    if network.num_addresses <= 2:
        return True
    if address == network.network_address:
        return False
    return address.version == 6 or address != network.broadcast_address


def free_addresses(pool: Pool, family: int) -> Iterator[Address]:
    """Addresses of a family that no tenant has, in order."""
    taken = {address for held in pool.allocations.values() for address in held}
    for network in sorted(
        (each for each in pool.addresses if each.version == family),
        key=lambda each: int(each.network_address),
    ):
        for at in range(min(network.num_addresses, LOOKED_AT)):
            address = network[at]
            if usable(address, network) and address not in taken:
                yield address


def owner_of(pools: Mapping[str, Pool], address: Address) -> tuple[str, str] | None:
    """Pool and tenant of an address."""
    for name, pool in pools.items():
        for tenant, held in pool.allocations.items():
            if address in held:
                return name, tenant
    return None


def check_pools(pools: Mapping[str, Pool]) -> Iterator[Problem]:
    """Whether what is given out is ours, once, and enough."""
    seen: dict[Address, str] = {}
    networks: list[tuple[str, Network]] = []
    for name, pool in pools.items():
        path = f"pools.{name}"
        for at, network in enumerate(pool.addresses):
            where = f"{path}.addresses[{at}]"
            yield from _check_ours(where, pool, network)
            for other, known in networks:
                if inside(network, known) or inside(known, network):
                    got = f"{network} overlaps {known} of {other}"
                    fix = "let each address be in one pool"
                    yield Problem(where, got, "addresses of one pool", fix, "pool-overlap")
            networks.append((path, network))
        yield from _check_table(path, pool, seen)


def _check_ours(path: str, pool: Pool, network: Network) -> Iterator[Problem]:
    private = lies_in(network, PRIVATE)
    if private and pool.kind != "private-network":
        got = f"{network} is private space: nobody owns it, and it leaves no network"
        fix = "write the addresses you hold; behind a NAT of yours: kind private-network"
        yield Problem(path, got, "addresses that are yours", fix, "pool-not-owned")
    if not private and pool.kind == "private-network":
        got, need = f"{network} is no private space", "RFC 1918, 6598 or 4193"
        yield Problem(path, got, need, "say whose addresses they are in kind", "pool-not-owned")


def _check_table(path: str, pool: Pool, seen: dict[Address, str]) -> Iterator[Problem]:
    left = {family: free_addresses(pool, family) for family in (4, 6)}
    for tenant, held in pool.allocations.items():
        for at, address in enumerate(held):
            where = f"{path}.allocations.{tenant}[{at}]"
            if isinstance(address, str):
                yield _wanted(where, tenant, address, next(left[int(address[1])], None))
                continue
            networks = [network for network in pool.addresses if address in network]
            if not networks:
                got = f"{address} is not in this pool"
                need = ", ".join(map(str, pool.addresses)) or "an address of it"
                fix = "take one of the pool, or add what you own to its addresses"
                yield Problem(where, got, need, fix, "pool-not-owned")
            elif not any(usable(address, network) for network in networks):
                got, need = f"{address} is an end of {networks[0]}", "an address of a host"
                fix = f"take another, or write {address}/{address.max_prefixlen} if it is routed"
                yield Problem(where, got, need, fix, "pool-network-end")
            if address in seen:
                got = f"{address} is {seen[address]}'s already"
                fix = "give each tenant addresses of its own"
                yield Problem(where, got, "one tenant per address", fix, "pool-allocated-twice")
            seen.setdefault(address, tenant)


def _wanted(path: str, tenant: str, family: str, free: Address | None) -> Problem:
    words = f"IP{family} address"
    if free is None:
        fix = "add addresses you own to the pool, or take one back from a tenant"
        got = f"{tenant} wants an {words}, and none is left"
        return Problem(path, got, "a free address", fix, "pool-exhausted")
    got, need = f"{tenant} wants an {words} that nobody has chosen", "an address"
    return Problem(path, got, need, f'write "{free}", the next free one', "pool-allocation-open")


def allocation_rows(pools: Mapping[str, Pool]) -> list[dict[str, str]]:
    """The table as rows: address, pool, tenant; by pool and address."""
    rows = [
        (name, address, tenant, pool.kind)
        for name, pool in pools.items()
        for tenant, held in pool.allocations.items()
        for address in held
        if not isinstance(address, str)
    ]
    rows.sort(key=lambda row: (row[0], row[1].version, int(row[1])))
    return [
        {"pool": name, "address": str(address), "tenant": tenant, "kind": kind}
        for name, address, tenant, kind in rows
    ]


def free_text(pool: Pool) -> str:
    """The next free addresses of a pool, in words."""
    found = [
        ", ".join(map(str, islice(free_addresses(pool, family), SHOWN))) or "none"
        for family in (4, 6)
        if any(network.version == family for network in pool.addresses)
    ]
    return "; ".join(found)
