"""Check intervals and timeouts that follow from the declared round trip time.

A worker's death shows after about three intervals. The numbers were measured in the lab: with
`fall 3 error-limit 5` one per cent of loss made no false DOWN, with `error-limit 1` it made 59
in seven seconds.
"""

import math
from collections.abc import Iterable

from loopback_iac.model.fields import Value
from loopback_iac.model.traffic import Pool, Service, Worker

INTERVAL_FLOOR_MS = 20
CONNECT_FLOOR_MS = 30
DOWN_FLOOR_MS = 100
FALL = 3
"""Checks in a row that must fail."""
ANSWER_MS = 500
"""How long a worker that is asked whether it is ready may think: it collects garbage at times."""


class Timing(Value):
    """Milliseconds for HAProxy's `inter`, `downinter` and `timeout connect`."""

    inter_ms: int
    downinter_ms: int
    connect_ms: int


def checked_service(services: dict[str, Service], pool: str) -> str:
    """The one service of a pool whose port is checked; the others of the pool follow it.

    The one that declares health, else the first by name: each PoP-worker pair is checked once.
    """
    members = sorted(name for name, service in services.items() if service.pool == pool)
    return next((name for name in members if services[name].health), members[0])


def timing(interval_ms: int | None, worker: Worker, pop: str) -> Timing:
    """Timing of one PoP-worker pair.

    HAProxy ends a check's connect after the smaller of `timeout connect` and `inter`, so the
    interval stays at twice the round trip or more.
    """
    rtt_ms = worker.rtt_ms_of(pop)
    inter_ms = max(interval_ms or INTERVAL_FLOOR_MS, math.ceil(2 * rtt_ms))
    return Timing(
        inter_ms=inter_ms,
        downinter_ms=max(DOWN_FLOOR_MS, inter_ms),
        connect_ms=max(CONNECT_FLOOR_MS, math.ceil(4 * rtt_ms)),
    )


def pool_interval_ms(services: dict[str, Service], pool: str) -> int | None:
    """The interval that the checked service of a pool asks for."""
    health = services[checked_service(services, pool)].health
    return health.interval_ms if health else None


def noticed_after_ms(
    services: dict[str, Service], pool: Pool, named: str, pops: Iterable[str]
) -> int:
    """How long the slowest pair of PoP and worker takes to see that a worker leaves.

    In: a pool that a service names, and its name. A check that begins as it leaves still passes.
    """
    interval_ms = pool_interval_ms(services, named)
    pairs = [timing(interval_ms, w, pop) for w in pool.workers.values() for pop in pops]
    return max(((FALL + 1) * t.inter_ms + t.connect_ms for t in pairs), default=0)


def checks_at_worker_per_s(interval_ms: int | None, worker: Worker, pops: Iterable[str]) -> float:
    """Checks a worker answers each second while it is up: one stream from every PoP."""
    return sum(1000 / timing(interval_ms, worker, pop).inter_ms for pop in pops)


def checks_per_s(pools: dict[str, Pool], services: dict[str, Service], pop: str) -> float:
    """Checks a PoP starts each second while every worker is up."""
    used = {service.pool for service in services.values()}
    return sum(
        1000 / timing(pool_interval_ms(services, name), worker, pop).inter_ms
        for name, pool in pools.items()
        if name in used
        for worker in pool.workers.values()
    )
