"""Attack traffic at the deployed fleet: what an operator sees, and what he can give up."""

from __future__ import annotations

import json
import re
import time

import pytest

AGENT = "/usr/local/sbin/loopback-agent"
VIP, TARGET = "203.0.113.10", "203.0.113.66"
TARGET6 = "2001:db8:100::66"


def report(fleet, host):
    return json.loads(fleet.lab.exec(host, [AGENT, "report"]).stdout)


def routes(fleet, upstream, *words):
    return fleet.lab.exec(upstream, ["birdc", "show", "route", *words]).stdout


def until(fact, within_s=20.0):
    """Wait for something that takes its time; its last answer."""
    end = time.monotonic() + within_s
    while not (answer := fact()) and time.monotonic() < end:
        time.sleep(0.2)
    return answer


@pytest.fixture
def given_up(fleet):
    """Two unused addresses given up by hand at fra1, and taken back."""
    try:
        yield [
            json.loads(fleet.lab.exec("fra1", [AGENT, "blackhole", "add", address]).stdout)
            for address in (TARGET, TARGET6)
        ]
    finally:
        for address in (TARGET, TARGET6):
            fleet.lab.exec("fra1", [AGENT, "blackhole", "remove", address])
    assert until(lambda: TARGET not in routes(fleet, "t1"))
    assert fleet.loopback("drift").returncode == 0


def test_e13_new_connections_are_counted_where_nothing_is_limited(fleet):
    before = report(fleet, "fra1")["limits"]["https"]
    fleet.ask("c-fra", VIP)
    after = report(fleet, "fra1")["limits"]["https"]
    assert after["new_connections"] > before["new_connections"]
    assert after["dropped"] == {}
    assert report(fleet, "w1")["limits"] == {}


def test_e13_what_is_given_up_is_dropped_by_the_upstreams_and_the_rest_serves(fleet, given_up):
    assert [one["announced_to"] for one in given_up] == [
        ["up_t1_4", "up_t2_4"],
        ["up_t1_6", "up_t2_6"],
    ]
    assert [one["delivered_by"] for one in given_up] == [[], []]
    for upstream in ("t1", "t2"):
        for network in (f"{TARGET}/32", f"{TARGET6}/128"):
            family = "6" if ":" in network else "4"
            words = ("all", "for", network, "protocol", f"fra1_{family}")
            assert until(lambda u=upstream, w=words: "(65535,666)" in routes(fleet, u, *w))
        # nothing else of ours came beside the prefix and the address, and nothing was refused
        learned = routes(fleet, upstream, "protocol", "fra1_4")
        assert set(re.findall(r"^\S+/\d+", learned, re.MULTILINE)) == {
            "203.0.113.0/24",
            f"{TARGET}/32",
        }
        assert "/32" not in routes(fleet, upstream, "filtered", "protocol", "fra1_4")
    dropped = ["ip", "route", "show", f"{TARGET}/32"]
    assert until(lambda: "blackhole" in fleet.lab.exec("t1", dropped).stdout)
    assert TARGET not in routes(fleet, "core")  # no-export: it ends with the carrier
    assert fleet.ask("c-fra", VIP)["pop"] == "fra1"
    assert fleet.ask("c-par", VIP)["pop"] == "par1"


def test_e13_drift_names_what_was_given_up_by_hand(fleet, given_up):
    done = fleet.loopback("drift", "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)["differences"]
    assert {(d["host"], d["rule"]) for d in found} == {("fra1", "blackhole-declared")}
    assert [TARGET in d["got"] or TARGET6 in d["got"] for d in found] == [True, True]
    told = {hole["address"]: hole["origin"] for hole in report(fleet, "fra1")["blackholes"]}
    assert told == dict.fromkeys((TARGET, TARGET6), "by hand")
