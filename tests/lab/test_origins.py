"""ROAs at the lab's caches: what a plan refuses is what the upstreams' BIRD calls invalid."""

from __future__ import annotations

import json
import re
import time
from ipaddress import ip_network

import pytest

from loopback_iac.model.origin import Roa
from tests.lab.project import edge_otherwise

CACHES, UPSTREAMS, POPS = ("svc1", "svc2"), ("t1", "t2"), ("fra1", "par1")
ROAS = "/etc/loopback-lab/roas.json"
PREFIX, ORIGIN = ip_network("203.0.113.0/24"), 64500
GOOD = {"asn": ORIGIN, "prefix": "203.0.113.0/24", "max_length": 24}
BAD = {
    "another AS number": GOOD | {"asn": 64511},
    "maxLength too short": GOOD | {"prefix": "203.0.112.0/23", "max_length": 23},
    "AS0": GOOD | {"asn": 0},
}
FACT = {"asn": ORIGIN, "valid_on": "2020-01-01"}
LONG = {"cidr": str(PREFIX), "origin": "byoip", "holder": "Example Edge GmbH"}
LINE = '"v4": {"cidr": "203.0.113.0/24"}'


def until(fact, within_s=60.0):
    """Wait for something that takes its time; its last answer."""
    end = time.monotonic() + within_s
    while not (answer := fact()) and time.monotonic() < end:
        time.sleep(0.1)
    return answer


@pytest.fixture
def publish(fleet):
    """Replaces every ROA of the fleet's IPv4 prefix; the first ones are back afterwards."""
    kept = {cache: fleet.lab.exec(cache, ["cat", ROAS]).stdout for cache in CACHES}

    def write(cache, text):
        assert fleet.lab.exec(cache, ["tee", ROAS], text=text).returncode == 0
        # it reads its file again at once, and tells routers that there is something new
        told = fleet.lab.exec(cache, ["systemctl", "kill", "--signal=HUP", "stayrtr"])
        assert told.returncode == 0, told.stderr

    def made(roa):
        for cache, text in kept.items():
            tree = json.loads(text)
            tree["roas"] = [r for r in tree["roas"] if not r["prefix"].startswith("203.0.11")]
            tree["roas"].append(
                {
                    "prefix": roa["prefix"],
                    "maxLength": roa["max_length"],
                    "asn": f"AS{roa['asn']}",
                    "ta": "lab",
                }
            )
            write(cache, json.dumps(tree))

    yield made
    for cache, text in kept.items():
        write(cache, text)
    assert until(lambda: all(learned(fleet, u, p) for u in UPSTREAMS for p in POPS))


def learned(fleet, upstream, pop):
    shown = fleet.lab.exec(upstream, ["birdc", "show", "route", "protocol", f"{pop}_4"]).stdout
    return re.findall(r"^\S+/\d+", shown, re.MULTILINE) == [str(PREFIX)]


def refused(fleet, upstream, pop):
    words = ["birdc", "show", "route", "filtered", "protocol", f"{pop}_4"]
    return str(PREFIX) in fleet.lab.exec(upstream, words).stdout


def verdict(fleet, upstream):
    """What the upstream's BIRD says of our announcement by the ROAs it has now."""
    ask = f"roa_check(rpki4, {PREFIX}, {ORIGIN})"
    values = {"ROA_VALID": True, "ROA_INVALID": False}
    said = [
        value
        for name, value in values.items()
        if "TRUE" in fleet.lab.exec(upstream, ["birdc", "eval", f"{ask} = {name}"]).stdout.upper()
    ]
    return said[0] if said else None


def test_e10_upstreams_accept_what_a_roa_makes_valid_and_refuse_what_one_makes_invalid(
    fleet, publish
):
    for roa in (GOOD, *BAD.values(), GOOD):
        publish(roa)
        fact = Roa.model_validate(FACT | roa)
        valid = fact.matches(PREFIX, ORIGIN)
        assert valid is (roa is GOOD)
        for upstream in UPSTREAMS:
            assert until(lambda u=upstream, v=valid: verdict(fleet, u) is v), (upstream, roa)
            for pop in POPS:
                held = learned if valid else refused
                assert until(lambda u=upstream, p=pop, h=held: h(fleet, u, p)), (upstream, roa)
                other = refused if valid else learned
                assert not other(fleet, upstream, pop), (upstream, roa)
    assert fleet.ask("c-fra", "203.0.113.10")["client"] == "198.51.100.2"


def written(folder, prefix):
    """The demonstration with another IPv4 prefix, as a project in a folder."""
    return edge_otherwise(folder, (LINE, f'"v4": {prefix!r}'))


def test_e10_a_plan_takes_the_valid_roa_without_touching_a_host_and_refuses_the_invalid(
    fleet, tmp_path
):
    def plan(roa):
        ours = {"asn": ORIGIN, "roa": FACT | roa}
        long = written(tmp_path, LONG | {"origins": {"ours": ours}})
        return fleet.loopback("plan", "--json", stack=long)

    done = plan(GOOD)
    assert done.returncode == 0, done.stderr
    changed = {c["name"]: c["op"] for c in json.loads(done.stdout)["changes"] if c["op"] != "same"}
    assert not [name for name in changed if name.startswith("edge-")], changed
    done = plan(BAD["another AS number"])
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "prefixes.v4.origins.ours.roa.asn" in said
    assert "RPKI-invalid" in said
    assert "Traceback" not in said


@pytest.fixture
def deploy(fleet, tmp_path):
    """Deploys the demonstration with another IPv4 prefix; the fleet is as before afterwards."""

    def made(long):
        done = fleet.loopback("up", "--yes", "--json", stack=written(tmp_path, long))
        assert done.returncode == 0, done.stderr
        return {c["name"] for c in json.loads(done.stdout)["changes"] if c["op"] == "update"}

    yield made
    done = fleet.loopback("up", "--yes")
    assert done.returncode == 0, done.stderr
    assert until(lambda: all(learned(fleet, u, p) for u in UPSTREAMS for p in POPS))


def test_e10_where_a_provider_originates_the_pop_announces_nothing_and_keeps_the_rest(
    fleet, deploy
):
    origins = {
        "ours": {"asn": ORIGIN, "pops": ["fra1"], "roa": FACT},
        "provider": {
            "asn": 8560,
            "asn_source": "the provider's page",
            "announced_by": "provider",
            "pops": ["par1"],
            "roa": {"asn": 8560, "valid_on": "2020-01-01"},
        },
    }
    touched = deploy(LONG | {"origins": origins})
    assert {"edge-par1-apply", "edge-par1-confirm"} <= touched
    assert not [name for name in touched if re.search("fra1|w1|w2", name)]

    def told(upstream, session):
        words = ["birdc", "show", "route", "protocol", session]
        return fleet.lab.exec(upstream, words).stdout

    for upstream in UPSTREAMS:
        assert learned(fleet, upstream, "fra1")
        assert until(lambda u=upstream: "2001:db8:100::/48" in told(u, "par1_6"))
        assert str(PREFIX) not in told(upstream, "par1_4")
    rules = fleet.lab.exec("par1", ["ip", "rule"]).stdout
    assert str(PREFIX) not in rules  # answers would leave by the hoster's own default route
    assert "203.0.113.10" in fleet.lab.exec("par1", ["ip", "addr", "show", "dev", "lo"]).stdout
    assert {fleet.ask(c, "203.0.113.10")["pop"] for c in ("c-fra", "c-par")} == {"fra1"}
    assert fleet.ask("c-par", "[2001:db8:100::10]")["pop"] == "par1"
    # and what the provider would bring in is served, with answers by its own way out
    direct = ["curl", "-sk", "-m", "5", "--resolve", "www.example.net:443:203.0.113.10"]
    to_par1 = ["ip", "route", "replace", "203.0.113.10/32", "via", "198.18.2.11"]
    assert fleet.lab.exec("core", to_par1).returncode == 0
    try:
        said = fleet.lab.exec("ops", [*direct, "https://www.example.net/"])
        assert json.loads(said.stdout)["pop"] == "par1", said.stderr
    finally:
        fleet.lab.exec("core", ["ip", "route", "del", "203.0.113.10/32", "via", "198.18.2.11"])
