"""Properties of every rendered fleet."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from loopback_iac.model import parse_fleet, parse_host
from loopback_iac.render import packages_of, render_pop, render_worker
from loopback_iac.render.bogons import BOGON_ASNS, bogon_asns, bogon_networks
from loopback_iac.render.transport import NEEDED
from tests.golden.fleets import fleets


def rendered(drawn):
    fleet = parse_fleet("edge", drawn.tree)
    hosts = {name: parse_host(name, tree) for name, tree in drawn.hosts.items()}
    pops = {name: render_pop(fleet, name, hosts, drawn.keys) for name in fleet.pops}
    workers = {name: render_worker(fleet, name, hosts, drawn.keys) for name in fleet.workers}
    return fleet, pops, workers


@given(fleets())
def test_marks_are_the_declared_secrets(drawn):
    fleet, pops, workers = rendered(drawn)
    announced = {network.version for network in fleet.networks}
    for name, files in pops.items():
        software = fleet.name_server_at(name)
        of_transfers = {"tsig-audit", f"tsig-{name}", *NEEDED[software]} if software else set()
        of_sessions = {
            f"md5-{name}-{up}"
            for up, facts in fleet.pops[name].upstreams.items()
            if facts.md5 and announced & {family for family, _, _ in facts.sessions}
        }
        assert files.secrets == tuple(sorted(of_sessions | of_transfers))
    assert all(files.secrets == () for files in workers.values())


@given(fleets())
def test_both_ends_of_a_tunnel_fit(drawn):
    fleet, pops, workers = rendered(drawn)
    for pop, at_pop in pops.items():
        for worker, epoch in product(workers, fleet.tunnels.key_epochs):
            at_worker, kind = workers[worker], "lb" if epoch % 2 else "lc"
            one = at_pop.files[f"/etc/wireguard/{kind}-{worker}.conf"].text
            two = at_worker.files[f"/etc/wireguard/{kind}-{pop}.conf"].text
            assert value(one, "MTU") == value(two, "MTU")
            (*pair, near), (*same, far) = allowed(one), allowed(two)
            assert pair == same
            leaving = [f"{address}/32" for address in fleet.may_leave_by(worker, pop)]
            assert (near, far) == (leaving, ["0.0.0.0/0"] if leaving else [])
            if "Endpoint" in one:
                assert value(one, "Endpoint").endswith(f":{value(two, 'ListenPort')}")
            assert value(two, "Endpoint").endswith(f":{value(one, 'ListenPort')}")
            assert value(one, "Address") != value(two, "Address")
            assert value(one, "PublicKey") == drawn.keys[worker, epoch]
            assert f"/wireguard-{epoch}.key\n" in one
            assert "PrivateKey" not in one + two


def allowed(text):
    """Both ends of the pair, and what else may come out of the tunnel."""
    v4, v6, *more = value(text, "AllowedIPs").split(", ")
    return v4, v6, more


def value(text, field):
    return re.search(rf"^{field} = (.*)$", text, re.MULTILINE)[1]


@given(fleets())
def test_text_is_tidy_and_the_same_twice(drawn):
    fleet, pops, workers = rendered(drawn)
    assert rendered(drawn)[1:] == (pops, workers)
    for files in (pops | workers).values():
        assert list(files.files) == sorted(files.files)
        for path, file in files.files.items():
            assert file.text.endswith("\n"), path
            assert not re.search(r"[ \t]$|\r|\{\{|\{%", file.text, re.MULTILINE), path
    for name, files in pops.items():
        software = fleet.name_server_at(name)
        assert files.packages == packages_of("pop", *([software] if software else []))
    for name, files in workers.items():
        more = ["egress"] if fleet.may_leave_by(name) else []
        assert files.packages == packages_of("worker", *more)


NETWORKS = st.sampled_from(["203.0.113.0/24", "10.20.0.0/16", "8.8.8.0/24", "0.0.0.0/8"])


@given(st.lists(NETWORKS, max_size=3), st.integers(0, 2**32 - 1))
def test_bogons_are_all_bogons_but_the_own(own, number):
    mine = [ip_network(text) for text in own]
    address = ip_address(number)
    everything = bogon_networks(4, ())
    expected = any(address in n for n in everything) and not any(address in n for n in mine)
    assert any(address in n for n in bogon_networks(4, mine)) is expected


@given(st.lists(st.integers(1, 2**32 - 1), max_size=6), st.integers(0, 2**32 - 1))
def test_bogon_as_numbers_are_all_but_the_known(known, asn):
    everywhere = any(low <= asn <= high for low, high in BOGON_ASNS)
    found = any(low <= asn <= high for low, high in bogon_asns(known))
    assert found is (everywhere and asn not in known)
