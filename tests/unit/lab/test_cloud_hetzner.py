"""Hetzner's own rules: firewalls as nftables, selectors, labels, the token, the metadata."""

from __future__ import annotations

import json

import pytest

from loopback_iac.lab.cloud.book import Book, Machine, Port, parse_book, render_book
from loopback_iac.lab.cloud.filters import render_filters
from loopback_iac.lab.cloud.hetzner.firewalls import check_rules
from loopback_iac.lab.cloud.hetzner.machines import (
    allocate4,
    allocate6,
    describe,
    render_rule,
    selects,
)
from loopback_iac.lab.cloud.hetzner.vendor import Hetzner
from loopback_iac.lab.cloud.hetzner.words import check_labels
from loopback_iac.lab.cloud.metadata import find_text

SSH = {"direction": "in", "protocol": "tcp", "port": "22", "sourceIps": ["198.18.251.2/32"]}


def account() -> Book:
    """One server with a firewall, its two addresses, and a network."""
    book = Book()
    book.of("server")["7"] = {
        "name": "fra1", "location": "nbg1", "labels": {"role": "pop"}, "userData": "#cloud-config",
        "networks": [{"networkId": 3, "ip": "10.0.1.2", "macAddress": "86:00:00:00:00:01"}],
    }  # fmt: skip
    shared = {"assigneeId": 7, "ipNetwork": "", "location": "nbg1"}
    book.of("primary_ip")["1"] = {**shared, "type": "ipv4", "ipAddress": "198.18.32.2"}
    net = {"ipNetwork": "2001:db8:4000:1::/64", "ipAddress": "2001:db8:4000:1::1"}
    book.of("primary_ip")["2"] = {**shared, "type": "ipv6", **net}
    book.of("floating_ip")["9"] = {**shared, "type": "ipv4", "ipAddress": "198.18.32.3"}
    book.of("network_subnet")["3-10.0.1.0/24"] = {"network": "3", "ipRange": "10.0.1.0/24"}
    book.of("firewall")["4"] = {"rules": [SSH], "applied": [{"labelSelector": "role=pop"}]}
    return book


def test_a_server_has_its_addresses_routed_and_its_firewall_before_it():
    machine = describe(account(), "7", "fra1")
    public, private = machine.ports
    assert public.routes == ["198.18.32.2/32", "2001:db8:4000:1::/64", "198.18.32.3/32"]
    assert (public.v4, public.gateway4) == ("198.18.32.2/32", "172.31.1.1")
    assert public.inward == ["ip saddr 198.18.251.2/32 tcp dport 22"]
    assert public.outward is None
    assert (private.interface, private.v4, private.bridge) == ("enp7s0", "10.0.1.2/24", "net3")


def test_addresses_are_the_lowest_free_ones():
    book = account()
    assert allocate4(book) == "198.18.32.4"
    del book.of("primary_ip")["1"]
    assert allocate4(book) == "198.18.32.2"
    assert allocate6(book) == "2001:db8:4000:2::/64"


@pytest.mark.parametrize(
    ("rule", "lines"),
    [
        (SSH, ["ip saddr 198.18.251.2/32 tcp dport 22"]),
        (
            {**SSH, "protocol": "udp", "port": "any", "sourceIps": ["0.0.0.0/0", "::/0"]},
            ["ip saddr 0.0.0.0/0 udp dport 0-65535", "ip6 saddr ::/0 udp dport 0-65535"],
        ),
        (
            {"direction": "out", "protocol": "icmp", "destinationIps": ["10.0.0.0/8", "::/0"]},
            ["ip daddr 10.0.0.0/8 meta l4proto icmp", "ip6 daddr ::/0 meta l4proto ipv6-icmp"],
        ),
        ({"direction": "in", "protocol": "esp", "sourceIps": []}, []),
    ],
)
def test_a_rule_is_a_match_per_family_and_network(rule, lines):
    assert render_rule(rule) == lines


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"direction": "IN"}, "IN is not a valid direction"),
        ({"protocol": "sctp"}, "sctp is not a valid protocol"),
        ({"port": ""}, "port is required for tcp and udp, and for these only"),
        ({"sourceIps": ["1.2.3.4/24"]}, "1.2.3.4/24 is not the start of the cidr block 1.2.3.0/24"),
        ({"sourceIps": ["nowhere"]}, "invalid CIDR address: nowhere"),
    ],
)
def test_rules_the_provider_refuses(change, said):
    assert [text for _, text in check_rules([{**SSH, **change}])] == [said]
    assert check_rules([SSH]) == []


@pytest.mark.parametrize(
    ("selector", "meets"),
    [("role=pop", True), ("role==pop,env", False), ("env", False), ("role", True), ("", True),
     ("role!=pop", False), ("env!=prod", True), ("role=worker", False)],
)  # fmt: skip
def test_label_selectors(selector, meets):
    assert selects(selector, {"role": "pop"}) is meets


def test_labels_are_refused_by_key_and_by_value():
    found = check_labels({"labels": {"data class": "x", "owner": "-", "a/b": "c.d"}})
    assert [key for key, _ in found] == ["labels.data class", "labels.owner"]


@pytest.mark.parametrize(
    ("token", "said"),
    [(None, "Missing Hetzner Cloud API token"), ("a" * 63, "must be exactly 64 characters long")],
)
def test_a_token_that_cannot_be_one_is_refused(token, said):
    config = {} if token is None else {"token": token}
    ((place, text),) = Hetzner().check_config(config)
    assert (place, said in text) == ("token", True)
    assert Hetzner().check_config({"token": "a" * 64}) == []


def test_the_metadata_service_tells_only_the_server_that_asks():
    book = account()
    book.machines["fra1"] = describe(book, "7", "fra1")
    kept = json.loads(render_book(book))
    at = "/hetzner/v1"
    assert find_text(kept, "198.18.32.2", f"{at}/userdata") == "#cloud-config"
    assert find_text(kept, "198.18.32.2", f"{at}/metadata/instance-id") == "7"
    whole = json.loads(find_text(kept, "198.18.32.2", f"{at}/metadata"))
    assert (whole["instance-id"], whole["hostname"]) == (7, "fra1")
    assert find_text(kept, "198.18.32.9", f"{at}/userdata") is None
    assert find_text(kept, "10.0.1.2", f"{at}/userdata") is None
    assert find_text(kept, "198.18.32.2", "/latest/user-data") is None
    assert parse_book(render_book(book)) == book


def test_the_filter_holds_both_ways_and_leaves_private_cards_alone():
    public = Port("eth0", "s7", routes=["198.18.32.2/32"], inward=["tcp dport 22"])
    private = Port("enp7s0", "n7-0", bridge="net3")
    text = render_filters([Machine("fra1", "hcloud", [public, private], {})])
    assert 'oifname "s7" jump s7-in' in text
    assert "meta nfproto ipv4 ip saddr != { 198.18.32.2/32 } drop" in text
    # no IPv6 address was given to it: it sends none
    assert "meta nfproto ipv6 drop" in text
    assert "n7-0" not in text
    assert text.index("tcp dport 22 return") < text.index("counter drop")
