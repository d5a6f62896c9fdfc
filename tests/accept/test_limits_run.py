"""Rate limits in a real kernel: what is above is dropped and counted, nothing else."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from loopback_iac.agent import build
from loopback_iac.model import parse_fleet, tunnel
from tests.accept.firewall import (
    STRANGER,
    STRANGER6,
    VIP,
    VIP6,
    counters,
    edge_and_world,
    hear,
    is_heard,
    load,
    reach,
    tracked,
)
from tests.accept.network import wait_for
from tests.accept.parsers import STAGE
from tests.golden import case as golden

FLOOD = Path(__file__).parent / "flood.py"
OTHER, SIBLING6, OTHER6 = "198.51.100.3", "2001:db8:c1::3", "2001:db8:c2::2"
FORGED = "198.18.128.0/17"  # nobody in the world answers for it
SLOW = {"rate_per_s": 1, "burst": 10}


@pytest.fixture
def pop(image):
    with edge_and_world(image) as (fra1, world):
        for address in (OTHER, SIBLING6, OTHER6):
            world.ip(f"addr add {address} dev lo")
        for address in (VIP, VIP6):
            hear(fra1, address, 443)
        yield fra1, world


def limited(**limits):
    """The fleet of the golden case with other limits on its service."""
    case = golden.load("limits")
    case.fleet["services"]["https"]["limits"] = limits
    return case


def flood(space, verb, *words):
    """Starts a flood; its answer, while what it opened stays open."""
    process = space.start(sys.executable, str(FLOOD), verb, *map(str, words))
    return json.loads(process.stdout.readline())


def test_a_client_above_its_rate_is_dropped_and_counted_and_others_pass(image, pop):
    fra1, world = pop
    load(image, fra1, "fra1", limited(new_connections_per_client=SLOW))
    taken = flood(world, "burst", VIP, 443, STRANGER, 40)[STRANGER]
    seen = counters(image, fra1)
    # the burst, and one more for each second that the kernel needed for it
    assert 10 <= taken < 40
    assert seen["client-https"] >= 40 - taken
    # what was not dropped was taken; on a slow machine SYNs were sent again meanwhile
    assert taken <= seen["new-https"] - seen["client-https"] < 40
    # another one is served at the same moment
    assert is_heard(world, VIP, 443, OTHER)
    # what was established before is not touched: its packets open nothing
    assert tracked(fra1) == 0


def test_a_client_of_ipv6_is_its_whole_network(image, pop):
    fra1, world = pop
    load(image, fra1, "fra1", limited(new_connections_per_client=SLOW))
    taken = flood(world, "burst", VIP6, 443, f"{STRANGER6},{SIBLING6}", 20)
    assert 10 <= sum(taken.values()) < 40
    assert is_heard(world, VIP6, 443, OTHER6)


def test_a_service_above_its_rate_drops_whoever_comes(image, pop):
    fra1, world = pop
    load(image, fra1, "fra1", limited(new_connections=SLOW))
    taken = flood(world, "burst", VIP, 443, f"{STRANGER},{OTHER}", 20)
    assert 10 <= sum(taken.values()) < 40
    seen = counters(image, fra1)
    assert sum(taken.values()) <= seen["new-https"] - seen["service-https"] < 40
    # both families draw on the same limit
    before = seen["service-https"]
    six = flood(world, "burst", VIP6, 443, STRANGER6, 40)[STRANGER6]
    assert six < 40
    assert counters(image, fra1)["service-https"] > before


def test_without_a_limit_all_come_through_and_are_counted(image, pop):
    fra1, world = pop
    load(image, fra1, "fra1")
    assert flood(world, "crowd", VIP, 443, STRANGER, 40)[STRANGER] == 40
    seen = counters(image, fra1)
    assert set(seen) == {"new-https"}
    assert seen["new-https"] >= 40


def test_a_full_memory_of_clients_shuts_nobody_out(image, pop):
    """Forged sources fill it; a client that finds no room is let through, not dropped."""
    fra1, world = pop
    slow = limited(new_connections_per_client=SLOW)
    load(image, fra1, "fra1", slow, lambda text: text.replace("size 65536", "size 2"))
    flood(world, "syns", VIP, 443, FORGED, 50)
    assert flood(world, "crowd", VIP, 443, STRANGER, 40)[STRANGER] == 40
    assert counters(image, fra1)["client-https"] == 0


REPORT = """
import json, sys
sys.path.insert(0, "/agent.pyz")
from loopback_agent.limits import report_limits
from loopback_agent.watchfile import read_watch
print(json.dumps(report_limits(read_watch(sys.argv[1]))))
"""


def test_the_agent_reports_what_each_limit_kept_out(image):
    """nftables and HAProxy in a row: the first drops by rate, the second what is held beyond."""
    limits = {
        "new_connections_per_client": SLOW,
        "new_connections": {"rate_per_s": 1000},
        "concurrent_per_client": 3,
    }
    with edge_and_world(image) as (fra1, world):
        case = limited(**limits)
        fleet = parse_fleet(golden.NAME, case.fleet)
        fra1.ip("addr add 203.0.113.25/32 dev lo")
        for worker in fleet.workers:
            address = str(tunnel(fleet, "fra1", worker).worker_v4)
            fra1.ip(f"addr add {address}/32 dev lo")
            fra1.serve(worker, address, 8443)
        load(image, fra1, "fra1", case)
        (image.root / "run/haproxy").mkdir(parents=True, exist_ok=True)
        config = f"{STAGE}/etc/haproxy/haproxy.cfg"
        fra1.start("haproxy", "-Ws", "-f", config, root=image.root)
        wait_for(lambda: f"{VIP}:443 " in fra1.run("ss", "-Hlnt").stdout)
        flood(world, "burst", VIP, 443, STRANGER, 40)
        (image.root / "agent.pyz").write_bytes(build())
        ask = ("chroot", str(image.root), "python3", "-c", REPORT)

        def told():
            return json.loads(fra1.run(*ask, f"{STAGE}/etc/loopback/watch.json").stdout)

        https = {}

        def whole():
            https.update(told()["https"])
            # of ten that the first lets in at once the second keeps three; none: it said nothing
            return (https["dropped"]["concurrent_per_client"] or 0) >= 7

        wait_for(whole)
        assert https["dropped"]["new_connections_per_client"] > 0
        assert https["dropped"]["new_connections"] == 0
        assert https["new_connections"] >= 40
        assert told()["smtp"] == {"new_connections": 0, "dropped": {}}


@pytest.mark.parametrize(("cookies", "answer"), [("0", "silent"), ("1", "heard")])
def test_syn_cookies_answer_when_the_backlog_is_full(image, pop, cookies, answer):
    """The kernel's own: no table, so they work where connections are not tracked."""
    fra1, world = pop
    load(image, fra1, "fra1")
    fra1.run("sysctl", "-qw", f"net.ipv4.tcp_syncookies={cookies}")
    flood(world, "syns", VIP, 443, FORGED, 2000)  # the ear's backlog is 128
    assert reach(world, VIP, 443, STRANGER, likely=answer) == answer
    assert (cookies_sent(fra1) > 0) == (cookies == "1")
    assert tracked(fra1) == 0


def cookies_sent(space):
    head, row = (
        line.split()
        for line in space.run("cat", "/proc/net/netstat").stdout.splitlines()
        if line.startswith("TcpExt:")
    )
    return int(dict(zip(head, row, strict=True))["SyncookiesSent"])
