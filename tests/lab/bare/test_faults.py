"""Faults do what they say and leave no trace when undone."""

from __future__ import annotations

import json
import time

import pytest

from loopback_iac.lab import bring_up
from loopback_iac.lab.faults import silenced


def answers(lab, host, address):
    return lab.exec(host, ["ping", "-c1", "-W1", address]).returncode == 0


def reaches(lab, host, address):
    """By and by: a neighbour given up is looked for again, and a busy machine is late."""
    end = time.monotonic() + 60
    while not (found := answers(lab, host, address)) and time.monotonic() < end:
        time.sleep(0.2)
    return found


def addresses(lab, host):
    """Interfaces with their global addresses and whether they are set up."""
    links = json.loads(lab.exec(host, ["ip", "-json", "address"]).stdout)
    return {
        link["ifname"]: (
            sorted(a["local"] for a in link["addr_info"] if a["scope"] == "global"),
            "UP" in link["flags"],
        )
        for link in links
    }


def carrier_seen(lab, host, interface):
    links = json.loads(lab.exec(host, ["ip", "-json", "link", "show", interface]).stdout)
    return "LOWER_UP" in links[0]["flags"]


def test_carrier_loss_is_seen_by_the_host_and_undone(lab):
    before = {host: addresses(lab, host) for host in ("fra1", "t1")}
    lab.carrier("fra1", "t1", up=False)
    try:
        assert not carrier_seen(lab, "fra1", "t1")
        assert carrier_seen(lab, "fra1", "t2")
        assert not answers(lab, "fra1", "2001:db8:ff::")
        # the host's own side is as it was: the fault is at the other end
        assert addresses(lab, "fra1") == before["fra1"]
    finally:
        lab.carrier("fra1", "t1", up=True)
    assert {host: addresses(lab, host) for host in ("fra1", "t1")} == before
    assert reaches(lab, "fra1", "192.0.2.0")
    assert reaches(lab, "fra1", "2001:db8:ff::")


def test_silence_drops_everything_and_the_host_cannot_see_it(lab):
    lab.silent("fra1", silent=True)
    try:
        for address in ("192.0.2.0", "2001:db8:ff::", "192.0.2.4", "198.18.1.1", "2001:db8:1::1"):
            assert not answers(lab, "fra1", address)
        assert not answers(lab, "c-par", "198.18.1.11")
        assert all(carrier_seen(lab, "fra1", interface) for interface in ("t1", "t2", "eth0"))
        assert lab.exec("fra1", ["nft", "list", "ruleset"]).stdout == ""
        # nobody else is hurt
        assert reaches(lab, "c-par", "198.18.2.11")
        assert silenced(lab.paths, lab.topology) == {"fra1"}
        lab.silent("fra1", silent=True)
    finally:
        lab.silent("fra1", silent=False)
    for address in ("192.0.2.0", "2001:db8:ff::", "198.18.1.1", "2001:db8:1::1"):
        assert reaches(lab, "fra1", address)
    for router in ("t1", "t2", "core"):
        assert lab.exec(router, ["nft", "list", "ruleset"]).stdout == ""


def test_power_failure_keeps_the_disk_and_forgets_the_kernel(lab):
    lab.exec("w2", ["sh", "-c", "echo kept > /root/kept; sync"])
    lab.exec("w2", ["nft", "add", "table", "inet", "forgotten"])
    lab.exec("w2", ["ip", "rule", "add", "pref", "77", "from", "203.0.113.0/24", "lookup", "100"])
    lab.power_off("w2")
    try:
        assert {h.name: h.state for h in lab.status()}["w2"] == "absent"
        assert not answers(lab, "svc1", "198.18.12.22")
    finally:
        lab.power_on("w2")
    assert lab.exec("w2", ["cat", "/root/kept"]).stdout == "kept\n"
    assert lab.exec("w2", ["nft", "list", "ruleset"]).stdout == ""
    assert "lookup 100" not in lab.exec("w2", ["ip", "rule"]).stdout
    assert addresses(lab, "w2") == {
        "lo": ([], True),
        "eth0": (["198.18.12.22", "2001:db8:c::22"], True),
    }
    for address in ("198.18.12.22", "2001:db8:c::22"):
        assert reaches(lab, "svc1", address)
    lab.exec("w2", ["rm", "/root/kept"])


@pytest.mark.parametrize("router", ["core"])
def test_a_router_that_lost_power_comes_back_with_all_its_links(lab, router):
    before = addresses(lab, router)
    lab.power_off(router)
    assert lab.exec("fra1", ["ip", "-br", "link", "show", "eth0"]).returncode != 0
    lab.power_on(router)
    assert addresses(lab, router) == before
    assert all(lab.bgp()[router].values())
    assert reaches(lab, "c-fra", "2001:db8:fa::11")
    assert reaches(lab, "c-par", "198.18.11.21")


def test_up_ends_faults_that_a_killed_drill_left(lab):
    lab.silent("par1", silent=True)
    lab.carrier("par1", "t2", up=False)
    lab.power_off("c-par")
    _, changes = bring_up(lab.paths.name)
    assert changes.hosts_started == ("c-par",)
    assert not silenced(lab.paths, lab.topology)
    assert reaches(lab, "par1", "2001:db8:ff:3::")
    assert reaches(lab, "c-par", "198.18.2.11")
    assert not bring_up(lab.paths.name)[1]


def test_a_host_switched_off_from_inside_is_booted_cold(lab):
    lab.exec("w2", ["nft", "add", "table", "inet", "forgotten"])
    lab.exec("w2", ["systemctl", "poweroff"])
    deadline = time.monotonic() + 60
    while {h.name: h.state for h in lab.status()}["w2"] != "off" and time.monotonic() < deadline:
        time.sleep(0.1)
    _, changes = bring_up(lab.paths.name)
    assert changes.hosts_started == ("w2",)
    assert lab.exec("w2", ["nft", "list", "ruleset"]).stdout == ""
    assert reaches(lab, "c-fra", "2001:db8:c::22")
