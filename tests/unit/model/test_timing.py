"""Check timing follows from the declared round trip; each pair is checked once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopback_iac.model.timing import checks_per_s, timing
from loopback_iac.model.traffic import Health, Pool, Service, Worker


def worker(rtt_ms):
    return Worker(host=True, node_id=1, rtt_ms=rtt_ms)


@pytest.mark.parametrize(
    ("rtt_ms", "inter_ms", "downinter_ms", "connect_ms"),
    [(0.2, 20, 100, 30), (1.0, 20, 100, 30), (10.0, 20, 100, 40), (24.5, 49, 100, 98)],
)
def test_timing(rtt_ms, inter_ms, downinter_ms, connect_ms):
    found = timing(None, worker(rtt_ms), "fra1")
    assert (found.inter_ms, found.downinter_ms, found.connect_ms) == (
        inter_ms,
        downinter_ms,
        connect_ms,
    )


@given(st.floats(0.01, 1000), st.none() | st.integers(1, 60_000))
def test_a_check_has_time_to_connect(rtt_ms, interval_ms):
    found = timing(interval_ms, worker(rtt_ms), "fra1")
    # HAProxy cuts a check's connect at the smaller of the two
    assert min(found.inter_ms, found.connect_ms) >= 2 * rtt_ms
    assert found.downinter_ms >= found.inter_ms
    assert found.inter_ms >= (interval_ms or 20)


def test_services_of_one_pool_are_checked_once():
    pools = {"web": Pool(workers={"w1": worker(1.0), "w2": worker(1.0)})}
    one = Service(vip="www", port=443, pool="web", worker_port=8443)
    two = Service(vip="www", port=80, pool="web", worker_port=8080)
    assert checks_per_s(pools, {"a": one}, "fra1") == 100
    assert checks_per_s(pools, {"a": one, "b": two}, "fra1") == 100
    slow = two.model_copy(update={"health": Health(interval_ms=100)})
    assert checks_per_s(pools, {"a": one, "b": slow}, "fra1") == 20
