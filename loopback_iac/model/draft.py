"""What parsed of a fleet so far: the checks across parts run on it even when a part is missing."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from loopback_iac.model.bgp import Upstream
from loopback_iac.model.fields import Network
from loopback_iac.model.fleet import Pop, Settings
from loopback_iac.model.traffic import Pool, Prefix, Service, Vip, Worker


@dataclass(frozen=True)
class Draft:
    """Parts by name, sorted; `named` holds every name that was written, parsed or not."""

    settings: Settings | None
    prefixes: dict[str, Prefix]
    vips: dict[str, Vip]
    pops: dict[str, Pop]
    pools: dict[str, Pool]
    services: dict[str, Service]
    named: dict[str, frozenset[str]]
    today: date

    def sections(self) -> dict[str, dict[str, object]]:
        """Parts as Fleet takes them, each map sorted by name."""
        parts: dict[str, dict[str, object]] = {
            "prefixes": dict(self.prefixes),
            "vips": dict(self.vips),
            "pops": dict(self.pops),
            "pools": dict(self.pools),
            "services": dict(self.services),
        }
        return {key: dict(sorted(items.items())) for key, items in parts.items()}

    def upstreams(self) -> Iterator[tuple[str, str, Upstream]]:
        """(path, PoP, upstream) of every upstream that parsed."""
        for pop_name, pop in sorted(self.pops.items()):
            for name, upstream in sorted(pop.upstreams.items()):
                yield f"pops.{pop_name}.upstreams.{name}", pop_name, upstream

    def workers(self) -> Iterator[tuple[str, str, Worker]]:
        """(path, name, worker) of every worker that parsed."""
        for pool_name, pool in sorted(self.pools.items()):
            for name, worker in sorted(pool.workers.items()):
                yield f"pools.{pool_name}.workers.{name}", name, worker

    def networks(self) -> list[Network]:
        """Own prefixes that parsed."""
        return [prefix.cidr for _, prefix in sorted(self.prefixes.items())]
