"""Name servers of PoPs die, hang and lose zones: their prefixes follow, ingress never does."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from loopback_iac.agent.namestats import NameCounts
from tests.accept.network import wait_for
from tests.accept.pop_names import counted, opened, site

NAMES = {"198.51.100.0/24", "2001:db8:153::/48"}
INGRESS = {"203.0.113.0/24", "2001:db8:100::/48"}
ZONE, OTHER = "example.net.", "example.org."
SERVERS = (("fra1", "knot"), ("par1", "nsd"))


@pytest.fixture(scope="module")
def whole(image, tmp_path_factory):
    with site(image, tmp_path_factory.mktemp("pop-names")) as made:
        opened(made)
        yield made


@pytest.fixture
def made(whole):
    """As it was at the beginning, and still is at the end."""
    opened(whole)
    yield whole
    opened(whole)


def test_the_carrier_learns_both_and_clients_are_answered(made):
    wait_for(lambda: made.heard() == NAMES | INGRESS)
    for name, pop in made.pops.items():
        for address in ("198.51.100.53", "2001:db8:153::53"):
            for tcp in (False, True):
                told = pop.ask(ZONE, "SOA", address, tcp=tcp)
                assert (told["nsid"], told["aa"], told["rcode"]) == (name, True, "NOERROR")


def test_others_get_answers_at_the_anycast_address_and_nowhere_else(made):
    """The carrier stands for the Internet: all it may ask is the anycast address."""
    fra1, asker = made.pops["fra1"], made.carrier
    for own in ("198.51.100.53", fra1.address):
        asker.space.ip(f"route replace {own} via 192.0.2.1")
    for tcp in (False, True):
        told = asker.ask(ZONE, "SOA", "198.51.100.53", tcp=tcp)
        assert (told["nsid"], told["aa"]) == ("fra1", True)
    before = counted(fra1, "input")
    assert "error" in asker.ask(ZONE, "SOA", fra1.address)
    assert counted(fra1, "input") > before
    # nor does anybody there get a zone, or the list of them
    for zone in (ZONE, "catalog.invalid."):
        told = asker.ask(zone, "AXFR", "198.51.100.53", transfer=True)
        assert "error" in told, told
    # a flood of questions fills no table of connections
    tracked = Path(f"/proc/{made.daemons['fra1', 'bird'].pid}/net/nf_conntrack").read_text()
    assert "198.51.100.53" not in tracked
    assert "192.0.2.0" in tracked  # BGP is in it, so it does say something


def ingress_stood(made, said_before) -> bool:
    """Whether no gate of ingress moved on any PoP since."""
    new = {name: pop.said[said_before[name] :] for name, pop in made.pops.items()}
    lines = [line for told in new.values() for line in told.splitlines()]
    return not [line for line in lines if re.match(r"v[46] is (closed|deprefer)", line)]


@pytest.fixture
def mark(made):
    return {name: len(pop.said) for name, pop in made.pops.items()}


@pytest.mark.parametrize(("name", "unit"), SERVERS)
def test_a_killed_name_server_withdraws_names_and_leaves_ingress(made, mark, name, unit):
    pop, daemon = made.pops[name], made.daemons[name, unit]
    daemon.kill()
    daemon.wait(60)
    wait_for(lambda: pop.stand("closed"))
    assert "the name server is not running" in pop.said[mark[name] :]
    if name == "fra1":
        wait_for(lambda: made.heard() == INGRESS)
    for left in ("knot.pid", "knot.sock"):
        (pop.ground / "run/knot" / left).unlink(missing_ok=True)
    made.daemons[name, unit] = pop.run_unit(unit)
    opened(made)
    assert ingress_stood(made, mark)


@pytest.mark.parametrize(("name", "unit"), SERVERS)
def test_one_that_hangs_is_withdrawn_once_it_is_sure(made, mark, name, unit):
    pop = made.pops[name]
    family = [made.daemons[name, unit].pid, *children(made.daemons[name, unit].pid)]
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    try:
        wait_for(lambda: pop.stand("closed"))
        assert "the name server answers nothing" in pop.said[mark[name] :]
    finally:
        for pid in family:
            os.kill(pid, signal.SIGCONT)
    opened(made)
    assert ingress_stood(made, mark)


def children(pid: int) -> list[int]:
    """All processes below one."""
    mine = [
        int(found)
        for thread in Path(f"/proc/{pid}/task").iterdir()
        for found in (thread / "children").read_text().split()
    ]
    return [*mine, *(below for child in mine for below in children(child))]


def test_one_that_is_silent_over_udp_is_only_avoided(made, mark):
    pop = made.pops["fra1"]
    hook = "{ type filter hook input priority 0; udp dport 53 drop; }"
    done = pop.run("nft", f"table inet silence {{ chain input {hook}; }}")
    assert done.returncode == 0, done.stderr
    try:
        wait_for(lambda: pop.stand("deprefer"))
        assert "silent over udp" in pop.said[mark["fra1"] :]
        wait_for(lambda: made.heard() == NAMES | INGRESS)
    finally:
        pop.run("nft", "delete table inet silence")
    opened(made)
    assert ingress_stood(made, mark)


def test_a_zone_that_is_lost_is_avoided_and_most_of_them_withdrawn(made, mark):
    """The primary is away meanwhile: nothing comes back by itself."""
    pop = made.pops["fra1"]
    made.primary.stop(kill=True)
    assert pop.knotc("-b", "-f", "zone-purge", ZONE).returncode == 0
    wait_for(lambda: pop.stand("deprefer"))
    assert f"1 of 2 zones are not answered for: {ZONE}" in pop.said[mark["fra1"] :]
    assert pop.knotc("-b", "-f", "zone-purge", OTHER).returncode == 0
    wait_for(lambda: pop.stand("closed"))
    # the other PoP has its zones, and no primary either
    assert made.pops["par1"].stand("open")
    made.primary.start()
    wait_for(lambda: made.primary.serial(ZONE) > 0)
    pop.knotc("zone-refresh")
    opened(made)
    assert ingress_stood(made, mark)


def test_a_server_without_zones_is_not_announced(made, mark):
    pop = made.pops["par1"]
    made.primary.stop(kill=True)
    daemon = made.daemons["par1", "nsd"]
    daemon.terminate()
    daemon.wait(60)
    for left in (pop.ground / "var/lib/nsd").iterdir():
        left.unlink()
    made.daemons["par1", "nsd"] = pop.run_unit("nsd")
    wait_for(lambda: "2 of 2 zones are not answered for" in pop.said[mark["par1"] :])
    # a watch that knew its zones and one that never did come to the same
    made.daemons["par1", "watch"].kill()
    made.daemons["par1", "watch"].wait(60)
    made.daemons["par1", "watch"] = pop.run_unit("watch")
    wait_for(lambda: "has no zones yet" in pop.said[mark["par1"] :])
    assert pop.stand("closed")
    made.primary.start()
    wait_for(lambda: made.primary.serial(ZONE) > 0)
    pop.run("nsd-control", "transfer")
    opened(made)
    assert ingress_stood(made, mark)


COUNTS = """
import json, os, sys
sys.path.insert(0, "/usr/local/sbin/loopback-agent")
from loopback_agent import namestats
unit = sys.argv[1]
told = namestats.run(*namestats.COMMANDS[unit], timeout_s=namestats.PATIENCE_S)
assert told.code == 0, told.complaint
os.makedirs("/run/loopback-names", exist_ok=True)
namestats.write_plain(namestats.TOLD, told.out)
print(json.dumps(namestats.read_name_counts(unit)))
"""


@pytest.mark.parametrize(("name", "unit"), SERVERS)
def test_what_the_name_server_counts_is_what_it_was_asked(made, name, unit):
    pop = made.pops[name]

    def counts():
        done = pop.run("python3", "-IBc", COUNTS, unit)
        assert done.returncode == 0, done.stderr
        return NameCounts(*json.loads(done.stdout))

    before = counts()
    assert set(before.questions) == {"udp4", "udp6", "tcp4", "tcp6"}
    for _ in range(5):
        assert pop.ask(f"www.{ZONE}", "A", "198.51.100.53")["rcode"] == "NOERROR"
        assert pop.ask(f"no.{ZONE}", "A", "2001:db8:153::53", tcp=True)["rcode"] == "NXDOMAIN"
    after = counts()
    # the watch asks all the time as well, and for nothing that is not
    for transport in ("udp4", "tcp6"):
        assert after.questions[transport] - before.questions[transport] >= 5
    assert after.answers["NXDOMAIN"] - before.answers["NXDOMAIN"] == 5
    assert after.answers["NOERROR"] - before.answers["NOERROR"] >= 5
    assert after.limited == before.limited


def test_zones_that_go_and_come_move_no_gate(made, mark):
    path = made.primary.ground / "etc/knot/knot.conf"
    text = path.read_text()
    path.write_text(text.replace(f"  - domain: {OTHER}\n    file: {OTHER}zone\n", ""))
    assert made.primary.knotc("reload").returncode == 0
    for pop in made.pops.values():
        wait_for(lambda pop=pop: pop.ask(OTHER, "SOA")["rcode"] == "REFUSED")
    for _ in range(15):  # longer than a wrong answer may last
        assert all(pop.stand("open") for pop in made.pops.values())
        time.sleep(0.2)
    path.write_text(text)
    assert made.primary.knotc("reload").returncode == 0
    for pop in made.pops.values():
        wait_for(lambda pop=pop: pop.serial(OTHER) > 0)
    for name, pop in made.pops.items():
        assert " is closed" not in pop.said[mark[name] :]
        assert " is deprefer" not in pop.said[mark[name] :]
