"""The widest fleet that is measured: 50 PoPs, 200 workers, 100 services."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from bench.wide import tree
from loopback_iac.model import InputRejected, parse_fleet, tunnel
from loopback_iac.model.tunnel import tunnel_net_v6

PLAN_V4 = IPv4Network("10.88.0.0/13")


def wide(count=50, interval_ms=tree.INTERVAL_MS):
    args = tree.fleet(tree.machines(count), count, "nobody-knows")
    for service in args["services"].values():
        if "health" in service:
            service["health"] = {"interval_ms": interval_ms}
    return args


def refused(args):
    with pytest.raises(InputRejected) as caught:
        parse_fleet("edge", args)
    return [(problem.rule, problem.path, problem.got) for problem in caught.value.problems]


def test_every_pair_has_addresses_and_ports_of_its_own():
    fleet = parse_fleet("edge", wide())
    pairs = [tunnel(fleet, pop, worker) for pop in fleet.pops for worker in fleet.workers]
    assert len({pair.net_v4 for pair in pairs}) == len({pair.net_v6 for pair in pairs}) == 10_000
    assert all(pair.net_v4.subnet_of(PLAN_V4) for pair in pairs)
    assert all(pair.net_v6.subnet_of(tunnel_net_v6("edge")) for pair in pairs)
    assert len({(pair.pop, pair.pop_port) for pair in pairs}) == 10_000
    assert len({(pair.worker, pair.worker_port) for pair in pairs}) == 10_000


def test_the_last_numbers_are_inside_and_the_next_ones_refused():
    args = wide()
    args["pools"]["p50"]["workers"]["w200"]["node_id"] = 1023
    last = tunnel(parse_fleet("edge", args), "pop50", "w200")
    assert last.net_v4.subnet_of(PLAN_V4)
    args["pools"]["p50"]["workers"]["w200"]["node_id"] = 1024
    args["pops"]["pop50"]["node_id"] = 51
    assert {path: rule for rule, path, _ in refused(args)} == {
        "pops.pop50.node_id": "field-range",
        "pools.p50.workers.w200.node_id": "field-range",
    }


def test_what_would_drown_pops_or_workers_is_refused_by_name():
    found = refused(wide(interval_ms=100))
    assert len(found) == 50
    assert found[0] == (
        "check-budget",
        "pops.pop1",
        "2000 health checks per second for 200 workers",
    )
    # a fleet of few workers: each PoP sends little, and all of it arrives at the same machines
    narrow = wide(interval_ms=20)
    for part in ("pools", "vips"):
        narrow[part] = {name: narrow[part][name] for name in list(narrow[part])[:1]}
    narrow["services"] = {n: s for n, s in narrow["services"].items() if s["pool"] == "p1"}
    assert refused(narrow) == [
        (
            "check-budget-worker",
            "pools.p1.workers.w1",
            "2500 health checks per second from 50 PoPs",
        )
    ]
