"""What a PoP is drained for when workers come, go and take another share: on files as rendered."""

from __future__ import annotations

import copy

import pytest

from loopback_iac.agent.bundle import SetFile
from loopback_iac.agent.disturbing import touches_data_plane
from loopback_iac.model import parse_fleet, parse_host
from loopback_iac.render import render_pop
from tests.golden.case import load

BASE = load("two-pops")
KEY = "v6nSTKWEkJx2QlI8jLkkcDQJMw1T0TDJ9CC6SRKtJm4="
NEW = {"host": "late", "node_id": 9, "rtt_ms": 20}


def files(**workers: dict | None) -> dict[str, str]:
    """Texts of a PoP with these workers changed; None: gone."""
    tree = copy.deepcopy(BASE.fleet)
    found = tree["pools"]["web"]["workers"]
    for name, change in workers.items():
        if change is None:
            del found[name]
        else:
            found[name] = {**found.get(name, {}), **change}
    hosts = {name: parse_host(name, facts) for name, facts in BASE.hosts.items()}
    hosts["h1"] = hosts["w1"]
    keys = {(name, 1): key for name, key in BASE.keys.items()} | {("h1", 1): KEY}
    rendered = render_pop(parse_fleet("edge", tree), "fra1", hosts, keys)
    return {path: file.text for path, file in rendered.files.items()}


def drained(before: dict[str, str], after: dict[str, str]) -> bool:
    changed = {p for p in before | after if before.get(p) != after.get(p)}
    assert changed
    sets = [
        {path: SetFile(text, 0o644, "root", "root") for path, text in texts.items()}
        for texts in (after, before)
    ]
    return touches_data_plane(changed, "pop", before, *sets)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"w1": {"weight": 7}}),
        ({}, {"w1": {"drained": True}}),
        ({"w1": {"drained": True}}, {}),
        ({"w1": {"weight": 0}}, {"w1": {"weight": 100}, "w2": {"weight": 1}}),
        ({}, {"h1": NEW}),
        ({}, {"h1": {**NEW, "weight": 0}}),
        ({}, {"h1": NEW, "w1": {"drained": True}}),
        ({"w1": {"drained": True}}, {"w1": None}),
        ({"w1": {"weight": 0}}, {"w1": None, "w2": {"weight": 5}}),
        ({"h1": {**NEW, "drained": True}}, {}),
    ],
)
def test_workers_come_and_go_and_share_otherwise_without_a_drain(before, after):
    assert not drained(files(**before), files(**after))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"w1": None}),  # it still takes connections
        ({}, {"w1": {"node_id": 9}}),  # its address is another one
        ({"w1": {"weight": 0}}, {"w2": None, "w1": {"weight": 1}}),
        ({}, {"w1": {"rtt_ms": 50}}),  # checks with other times
    ],
)
def test_a_worker_that_serves_does_not_go_without_a_drain(before, after):
    assert drained(files(**before), files(**after))


def test_a_file_of_the_tunnel_that_somebody_deleted_is_no_new_tunnel():
    texts = files()
    path = "/etc/wireguard/lb-w1.conf"
    kept = {p: SetFile(text, 0o644, "root", "root") for p, text in texts.items()}
    standing = {p: text for p, text in texts.items() if p != path}
    assert touches_data_plane([path], "pop", standing, kept, kept)
    assert not touches_data_plane([path], "pop", standing, kept, {})


def test_a_tunnel_to_a_router_carries_everybody():
    idle = files(w1={"drained": True})
    path = "/etc/wireguard/up-w1.conf"  # of an upstream that is called like a worker
    assert drained({**idle, path: "[Interface]\n"}, idle)


def test_what_else_changes_beside_workers_still_counts():
    before, after = files(), files(h1=NEW)
    for path, line in (
        ("/etc/haproxy/haproxy.cfg", "  maxconn 5\n"),
        ("/etc/loopback/nftables.conf", "table inet other { }\n"),
        ("/etc/loopback/sysctl.conf", "net.ipv4.tcp_syncookies = 0\n"),
        ("/etc/bird/bird.conf", "# another\n"),
    ):
        assert drained(before, after | {path: after[path] + line}), path
