"""Attack traffic at the deployed fleet: what an operator sees, and what he can give up."""

from __future__ import annotations

import json
import re
import time

import pytest

from tests.lab.project import edge_otherwise

AGENT = "/usr/local/sbin/loopback-agent"
VIP, TARGET = "203.0.113.10", "203.0.113.66"
TARGET6 = "2001:db8:100::66"


def report(fleet, host):
    return json.loads(fleet.lab.exec(host, [AGENT, "report"]).stdout)


def routes(fleet, upstream, *words):
    return fleet.lab.exec(upstream, ["birdc", "show", "route", *words]).stdout


def until(fact, within_s=60.0):
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
    fleet.await_whole()


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
    # until the program says so too, it is told
    assert until(lambda: differs(fleet) == {("fra1", "blackhole-declared")}), differs(fleet)
    told = {hole["address"]: hole["origin"] for hole in report(fleet, "fra1")["blackholes"]}
    assert told == dict.fromkeys((TARGET, TARGET6), "by hand")


def differs(fleet):
    """Hosts and rules; sessions that fell as the machine stood still differ for a while."""
    told = json.loads(fleet.loopback("drift", "--json").stdout)
    return {(d["host"], d["rule"]) for d in told["differences"]}


@pytest.fixture
def declare(fleet, tmp_path):
    """Deploys the demonstration with one line changed; the fleet is as before afterwards."""

    def deploy(line, changed):
        edge_otherwise(tmp_path, (line, changed))
        done = fleet.loopback("up", "--yes", "--json", stack=tmp_path)
        assert done.returncode == 0, done.stderr
        return {c["name"] for c in json.loads(done.stdout)["changes"] if c["op"] == "update"}

    yield deploy
    done = fleet.loopback("up", "--yes")
    assert done.returncode == 0, done.stderr


def withdrawals(fleet, session):
    """Withdrawals that the upstream got since the session came up: fewer, if it fell meanwhile."""

    def shown():
        return fleet.lab.exec("t1", ["birdc", "show", "protocols", "all", session]).stdout

    assert until(lambda: "Established" in shown())  # a pause of the machine ends sessions, too
    return int(re.search(r"Import withdraws: +(\d+)", shown())[1])


def test_e13_a_declared_blackhole_touches_one_pop_and_drains_none(fleet, declare):
    before = withdrawals(fleet, "fra1_4")
    hole = f'{{"address": "{TARGET}", "reason": "a flood", "pops": ["fra1"]}}'
    touched = declare('"asn": 64500,', f'"asn": 64500, "blackholes": [{hole}],')
    assert {"edge-fra1-apply", "edge-fra1-confirm"} <= touched
    assert not [name for name in touched if re.search("par1|w1|w2", name)]
    at_fra1 = ("all", "for", f"{TARGET}/32", "protocol", "fra1_4")
    assert until(lambda: "(65535,666)" in routes(fleet, "t1", *at_fra1))
    assert TARGET not in routes(fleet, "t1", "protocol", "par1_4")
    assert withdrawals(fleet, "fra1_4") <= before
    (hole,) = report(fleet, "fra1")["blackholes"]
    assert (hole["origin"], hole["reason"]) == ("declared", "a flood")
    assert hole["announced_to"] == ["up_t1_4", "up_t2_4"]
    fleet.await_whole()


FLOOD = """
import socket, time
kept = []
for _ in range(60):
    kept.append(socket.socket())
    kept[-1].setblocking(False)
    kept[-1].connect_ex(("203.0.113.10", 443))
time.sleep(0.5)
"""


def test_e13_a_client_above_its_limit_is_kept_out_at_its_pop_and_others_serve(fleet, declare):
    before = {pop: withdrawals(fleet, f"{pop}_4") for pop in ("fra1", "par1")}
    limits = '"limits": {"new_connections_per_client": {"rate_per_s": 5, "burst": 20}}'
    touched = declare('"port": 443,', f'"port": 443, {limits},')
    assert {"edge-fra1-apply", "edge-par1-apply"} <= touched
    assert not [name for name in touched if re.search("w1|w2", name)]
    # nothing was drained for it: under attack that would hand the attack on
    assert all(withdrawals(fleet, f"{pop}_4") <= count for pop, count in before.items())
    assert fleet.lab.exec("c-fra", ["python3", "-c", FLOOD]).returncode == 0
    dropped = {
        pop: report(fleet, pop)["limits"]["https"]["dropped"]["new_connections_per_client"]
        for pop in before
    }
    assert dropped["fra1"] > 0
    assert dropped["par1"] == 0
    assert fleet.ask("c-par", VIP)["pop"] == "par1"
    assert fleet.ask("c-fra", VIP)["pop"] == "fra1"  # as soon as its rate allows
