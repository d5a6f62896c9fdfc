"""The fleet: all of it, parsed, cross-checked and frozen."""

import re
from functools import cached_property
from typing import Annotated

from pydantic import BeforeValidator, Field

from loopback_iac.model.bgp import Upstream
from loopback_iac.model.egress import Egress
from loopback_iac.model.fields import (
    Address,
    AdminSources,
    AnyAddress,
    Asn,
    Given,
    Int,
    Line,
    LineList,
    MetricsSources,
    Network,
    Port,
    ServerList,
    Several,
    Value,
    refuse,
)
from loopback_iac.model.key_epochs import Tunnels
from loopback_iac.model.name_server import NameService, Software
from loopback_iac.model.traffic import Pool, Prefix, Service, Vip, Worker

# 51820 + 51 is the port of Cilium's own WireGuard mesh; a worker may run it
LAST_POP_ID = 50
CACHE = re.compile(r"(?:\[([0-9a-fA-F:]+)\]|([0-9.]+)):(\d{1,5})")


class Pop(Value):
    """A point of presence: a host that announces the fleet's prefixes and balances connections."""

    host: Given
    node_id: Int = Field(ge=1, le=LAST_POP_ID)
    upstreams: dict[str, Upstream]
    name_server: Software | None = None


class Roll(Value):
    """How a change travels: drained for so long, trusted again after so long."""

    drain_s: Int = Field(30, ge=0, le=3600)
    return_hold_s: Int = Field(10, ge=0, le=3600)


class RpkiCache(Value):
    """A validator that serves checked ROAs over RTR (RFC 8210)."""

    address: AnyAddress
    port: Port


def _cache(value: object) -> object:
    """From address:port, the IPv6 address in brackets."""
    if not isinstance(value, str):
        return value
    found = CACHE.fullmatch(value)
    if not found:
        refuse(
            "rpki-cache-syntax",
            f"{value!r} is no cache",
            "address:port",
            "write it as in 198.51.100.5:323 or [2001:db8::5]:323",
        )
    return {"address": found.group(1) or found.group(2), "port": int(found.group(3))}


def _caches(value: object) -> object:
    return tuple(_cache(item) for item in value) if isinstance(value, list) else value


class Announcement(Value):
    """A prefix with the services that gate it, or with the name service that does."""

    name: str
    prefix: Prefix
    services: tuple[str, ...]
    names: tuple[AnyAddress, ...] = ()
    """Addresses in it at which the PoPs answer for zones."""


class Blackhole(Value):
    """An own address that is given up: upstreams drop what is sent to it, and so do the PoPs."""

    address: AnyAddress
    reason: Line
    pops: LineList | None = None

    def holds_at(self, pop: str) -> bool:
        """Whether it is announced at a PoP; without a list, at every one."""
        return self.pops is None or pop in self.pops


class Settings(Value):
    """What holds for the whole fleet."""

    asn: Asn
    admin_sources: AdminSources
    metrics_sources: MetricsSources = ()
    roll: Roll = Roll()
    tunnels: Tunnels = Tunnels()
    rpki: Annotated[tuple[RpkiCache, ...], BeforeValidator(_caches)] = ()
    blackholes: Several[Blackhole] = ()
    egress: dict[str, Egress] = Field(default_factory=dict)
    time_servers: ServerList = ()
    check_budget_per_s: Int = Field(1000, ge=1, le=100_000)
    name_service: NameService | None = None
    baseline: Given = False


class Fleet(Settings):
    """All of it. Maps are sorted by name.

    What is asked for each tunnel or session is found once: a wide fleet has thousands of them.
    """

    name: str = Field(exclude=True)
    prefixes: dict[str, Prefix]
    vips: dict[str, Vip]
    pops: dict[str, Pop]
    pools: dict[str, Pool]
    services: dict[str, Service]

    @cached_property
    def workers(self) -> dict[str, Worker]:
        """Workers of all pools by name; names are unique across pools."""
        found = {n: w for pool in self.pools.values() for n, w in pool.workers.items()}
        return dict(sorted(found.items()))

    @cached_property
    def networks(self) -> tuple[Network, ...]:
        """Own prefixes, IPv4 first."""
        return tuple(
            sorted(
                (p.cidr for p in self.prefixes.values()),
                key=lambda n: (n.version, n.network_address.packed),
            )
        )

    @cached_property
    def announcements(self) -> tuple[Announcement, ...]:
        """Each prefix with the services that gate it, sorted by name.

        A service gates every prefix that holds an address of its VIP, unless its gate is none.
        """
        return tuple(
            Announcement(
                name=name,
                prefix=prefix,
                services=self._gating(prefix),
                names=self._names(prefix),
            )
            for name, prefix in self.prefixes.items()
        )

    def announcements_at(self, pop: str) -> tuple[Announcement, ...]:
        """Announcements that a PoP's own sessions carry, sorted by name."""
        return tuple(a for a in self.announcements if a.prefix.announced_at(pop))

    def networks_at(self, pop: str) -> tuple[Network, ...]:
        """Own prefixes that a PoP's own sessions carry, IPv4 first."""
        here = {a.prefix.cidr for a in self.announcements_at(pop)}
        return tuple(network for network in self.networks if network in here)

    def name_server_at(self, pop: str) -> Software | None:
        """What answers for zones at a PoP: wherever the name service's address is announced."""
        here = (p for p in self.prefixes.values() if p.announced_at(pop) or p.hosted_at(pop))
        if not any(map(self._names, here)):
            return None
        return self.pops[pop].name_server or "knot"

    def _names(self, prefix: Prefix) -> tuple[Address, ...]:
        """Addresses of the name service in it."""
        vip = self.vips[self.name_service.vip] if self.name_service else Vip()
        return tuple(a for a in vip.addresses if _within(a, prefix.cidr))

    def _gating(self, prefix: Prefix) -> tuple[str, ...]:
        return tuple(
            name
            for name, service in self.services.items()
            if service.gate != "none"
            and any(_within(a, prefix.cidr) for a in self.vips[service.vip].addresses)
        )

    def blackholes_at(self, pop: str, family: int) -> tuple[Blackhole, ...]:
        """Blackholes of one family at a PoP, sorted by address."""
        found = (b for b in self.blackholes if b.address.version == family and b.holds_at(pop))
        return tuple(sorted(found, key=lambda b: b.address.packed))

    def may_leave_by(self, worker: str, pop: str | None = None) -> tuple[Address, ...]:
        """Egress addresses that a worker may have, sorted.

        In: a PoP, for those whose prefix its own sessions carry.
        """
        found = (a for e in self.egress.values() if worker in e.workers for a in e.addresses)
        here = self.networks if pop is None else self.networks_at(pop)
        return tuple(sorted(a for a in found if any(_within(a, network) for network in here)))

    def leaves_by(self, worker: str) -> tuple[Address, ...]:
        """Egress addresses that stand on a worker, sorted."""
        found = (a for e in self.egress.values() if worker == e.workers[0] for a in e.addresses)
        return tuple(sorted(found))

    def pool_of(self, worker: str) -> str:
        """Name of the pool a worker belongs to."""
        return next(name for name, pool in self.pools.items() if worker in pool.workers)

    def services_of(self, pool: str) -> dict[str, Service]:
        """Services that a pool serves."""
        return {n: s for n, s in self.services.items() if s.pool == pool}


def _within(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network
