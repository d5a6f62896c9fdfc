"""IONOS's own rules: firewall rules as nftables, failover groups, what never changes in place."""

from __future__ import annotations

import base64
import copy
import json

import pytest

from loopback_iac.lab.cloud.book import Book
from loopback_iac.lab.cloud.growth import add_machines, neighbourhood
from loopback_iac.lab.cloud.ionos.ipv6 import card_addresses, centre_network, lan_network
from loopback_iac.lab.cloud.ionos.machines import allocate, describe, render_rule
from loopback_iac.lab.cloud.ionos.nics import check_nic, check_rule, lend
from loopback_iac.lab.cloud.ionos.places import Lans
from loopback_iac.lab.cloud.ionos.servers import Servers, check_order
from loopback_iac.lab.cloud.ionos.vendor import Ionos
from loopback_iac.lab.cloud.ionos.words import explain, refuse
from loopback_iac.lab.cloud.kinds import (
    DEFAULTS,
    ApiError,
    blur_outputs,
    diff_inputs,
    shape_like,
)
from loopback_iac.lab.topology import Role, demo

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDVA4LN1hRjaDA2dqKH4Qf0ko0vYR7+XcB06zFMYOe0x ops"
RULE = {"protocol": "TCP", "portRangeStart": 22, "portRangeEnd": 22, "sourceIp": "198.18.251.2"}
ORDER = {
    "datacenterId": "c", "name": "io1", "type": "VCPU", "cores": 2, "ram": 2048,
    "imageName": "debian-13", "sshKeys": [KEY], "allowReplace": False,
    "volume": {"diskType": "HDD", "userData": base64.b64encode(b"#cloud-config").decode()},
    DEFAULTS: [],
}  # fmt: skip


def contract() -> Book:
    """Two servers of one LAN with a card each; both cards have a third, shared address."""
    book = Book()
    book.of("datacenter")["c"] = {"location": "de/txl"}
    book.of("lan")["c/1"] = {"datacenterId": "c", "public": True, "number": "5", "failovers": []}
    book.of("ip_block")["b"] = {
        "location": "de/txl", "ips": ["198.18.48.2", "198.18.48.3", "198.18.48.4"],
    }  # fmt: skip
    for at, name in enumerate(("io1", "io2")):
        book.of("server")[name] = {**ORDER, "name": name, "host": name}
        book.of("nic")[f"n{at}"] = {
            "datacenterId": "c", "serverId": name, "lan": 1, "mac": f"02:01:00:00:00:0{at}",
            "number": str(6 + at), "ips": [f"198.18.48.{2 + at}", "198.18.48.4"],
            "firewallActive": True,
        }  # fmt: skip
    rule = {**RULE, "nicId": "n0", "datacenterId": "c", "inline": True}
    book.of("firewall_rule")["r"] = rule
    return book


def test_a_card_has_its_address_and_the_rules_that_are_on_it():
    book = contract()
    (port,) = describe(book, "io1", "io1").ports
    assert (port.interface, port.v4, port.gateway4) == ("eth0", "198.18.48.2/32", "198.18.48.1")
    assert port.inward == ["ip saddr 198.18.251.2 tcp dport 22-22"]
    assert port.outward is None
    # active without a rule: nothing comes in
    assert describe(book, "io2", "io2").ports[0].inward == []
    assert describe(book, "io1", "io1").user_data == "#cloud-config"


@pytest.mark.parametrize(
    ("kind", "shut"), [("EGRESS", (False, True)), ("BIDIRECTIONAL", (True, True))]
)
def test_the_type_of_a_cards_firewall_says_which_way_it_shuts(kind, shut):
    book = contract()
    book.of("nic")["n1"]["firewallType"] = kind
    (port,) = describe(book, "io2", "io2").ports
    assert (port.inward is not None, port.outward is not None) == shut


def test_a_failover_address_goes_to_the_card_that_announced_it_last():
    book = contract()
    book.of("lan")["c/1"]["failovers"] = [{"ip": "198.18.48.4", "nicUuid": "n2", "heard": "n1"}]
    assert describe(book, "io1", "io1").ports[0].routes == ["198.18.48.2/32"]
    assert describe(book, "io2", "io2").ports[0].routes == ["198.18.48.3/32", "198.18.48.4/32"]


def test_a_private_lan_is_a_bridge_without_a_way_out():
    book = contract()
    book.of("lan")["c/1"]["public"] = False
    (port,) = describe(book, "io1", "io1").ports
    assert (port.interface, port.bridge, port.gateway4, port.inward) == ("eth0", "l5", "", None)


def six() -> tuple[Book, dict]:
    """A LAN with an IPv6 network, one card in it, and what a second one is asked for."""
    book = contract()
    book.of("datacenter")["c"]["ipv6CidrBlock"] = centre_network(book)
    network = lan_network(book, "c", "", "AUTO")
    book.of("lan")["c/1"]["ipv6CidrBlock"] = network
    book.of("nic")["n0"] |= card_addresses(book, "n0", {"lan": 1}, network, {})
    return book, book.of("nic")["n1"]


def test_a_network_for_each_centre_lan_and_card_and_one_address_unasked():
    book, nic = six()
    assert book.of("datacenter")["c"]["ipv6CidrBlock"] == "2001:db8:5000:100::/56"
    network = book.of("lan")["c/1"]["ipv6CidrBlock"]
    assert network == "2001:db8:5000:101::/64"
    first = book.of("nic")["n0"]
    assert (first["ipv6CidrBlock"], first["ipv6Ips"]) == (
        "2001:db8:5000:101:1::/80",
        ["2001:db8:5000:101:1::1"],
    )
    wanted = {"ipv6CidrBlock": "2001:db8:5000:101:7::/80", "ipv6Ips": ["2001:db8:5000:101:7::a"]}
    nic |= card_addresses(book, "n1", nic, network, {**wanted, "dhcpv6": False})
    assert {key: nic[key] for key in wanted} == wanted
    # nothing asked: what it has stays
    assert card_addresses(book, "n1", nic, network, {}) == wanted
    assert (
        lan_network(book, "c", network, "AUTO") == lan_network(book, "c", network, None) == network
    )
    # no lease: the host sets the address, the router sends to it
    (port,) = describe(book, "io2", "io2").ports
    assert (port.v6, port.gateway6, port.routes[-1]) == (
        "",
        "fe80::1",
        "2001:db8:5000:101:7::a/128",
    )
    nic["dhcpv6"] = True
    assert describe(book, "io2", "io2").ports[0].v6 == "2001:db8:5000:101:7::a/128"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"ipv6CidrBlock": "2001:db8:5000:101:1::/80"}, "is in use"),
        ({"ipv6CidrBlock": "2001:db8:5000:102:1::/80"}, "is no /80 inside 2001:db8:5000:101::/64"),
        ({"ipv6CidrBlock": "2001:db8:5000:101::/64"}, "is no /80 inside"),
        ({"ipv6CidrBlock": "nine"}, "is no IPv6 network"),
        ({"ipv6Ips": ["2001:db8:5000:101:1::1"]}, "is not inside the IPv6 CIDR block of the NIC"),
        ({"ipv6Ips": [f"2001:db8:5000:101:2::{n:x}" for n in range(51)]}, "at most 50"),
    ],
)
def test_ipv6_that_a_card_does_not_get(wanted, said):
    book, nic = six()
    network = book.of("lan")["c/1"]["ipv6CidrBlock"]
    with pytest.raises(ApiError, match=said):
        card_addresses(book, "n1", nic, network, wanted)


def test_ipv6_is_for_lans_that_have_it():
    book, nic = six()
    for wanted in ({"dhcpv6": False}, {"ipv6Ips": ["2001:db8::1"]}):
        with pytest.raises(ApiError, match="LAN 1 is not IPv6 enabled"):
            card_addresses(book, "n1", nic, "", wanted)
    assert card_addresses(book, "n1", nic, "", {}) == {"ipv6CidrBlock": "", "ipv6Ips": []}
    with pytest.raises(ApiError, match="is no /64 inside 2001:db8:5000:100::/56"):
        lan_network(book, "c", "", "2001:db8:5000:200::/64")
    with pytest.raises(ApiError, match="is in use"):
        lan_network(book, "c", "", "2001:db8:5000:101::/64")
    del book.of("datacenter")["c"]["ipv6CidrBlock"]
    with pytest.raises(ApiError, match="has no IPv6 CIDR block"):
        lan_network(book, "c", "", "AUTO")


def test_auto_is_no_difference_to_the_network_that_a_lan_has():
    given = {"datacenterId": "c", "public": True, "name": "lan", DEFAULTS: []}
    block = "2001:db8:5000:101::/64"
    asked = {**given, "ipv6CidrBlock": "AUTO"}
    for old in ("AUTO", block):
        for news in (asked, given):
            assert diff_inputs(Lans.kind, {**given, "ipv6CidrBlock": old}, news).parts == []
    assert len(diff_inputs(Lans.kind, given, asked).parts) == 1
    assert blur_outputs(Lans.kind, asked)["ipv6CidrBlock"] == "AUTO"
    assert blur_outputs(Lans.kind, asked, {"ipv6CidrBlock": block})["ipv6CidrBlock"] == block


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ({"protocol": "ANY", "sourceIp": "10.0.0.0/8"}, "ip saddr 10.0.0.0/8"),
        # no address and no way to say a version: the API takes it for IPv4
        ({"protocol": "ANY"}, "meta nfproto ipv4"),
        ({"protocol": "ICMP", "icmpType": "8", "icmpCode": "0", "sourceIp": "192.0.2.1"},
         "ip saddr 192.0.2.1 icmp type 8 icmp code 0"),
        ({"protocol": "TCP", "sourceIp": "2000::/3", "portRangeStart": 1, "portRangeEnd": 9},
         "ip6 saddr 2000::/3 tcp dport 1-9"),
        ({"protocol": "ICMPv6", "targetIp": "2001:db8::1"},
         "ip6 daddr 2001:db8::1 meta l4proto ipv6-icmp"),
        ({"protocol": "VRRP"}, "meta nfproto ipv4 meta l4proto 112"),
        ({"protocol": "UDP"}, "meta nfproto ipv4 udp dport 0-65535"),
    ],
)  # fmt: skip
def test_a_rule_is_one_match(rule, line):
    assert render_rule(rule) == line


@pytest.mark.parametrize(
    ("change", "place"),
    [({"protocol": "tcp"}, "protocol"), ({"portRangeEnd": 65535}, "portRangeEnd"),
     ({"sourceIp": "home"}, "sourceIp"), ({"type": "BOTH"}, "type")],
)  # fmt: skip
def test_rules_the_provider_refuses(change, place):
    assert [at for at, _ in check_rule({**RULE, **change})] == [place]
    assert check_rule(RULE) == []
    assert [at for at, _ in check_nic({"firewalls": [{**RULE, **change}]}, "nic")] == [
        f"nic.firewalls[0].{place}"
    ]


def test_addresses_are_lent_once():
    book = contract()
    nic = {**book.of("nic")["n1"], "ips": []}
    with pytest.raises(ApiError, match=r"198\.18\.49\.1 is not reserved in de/txl"):
        lend(book, nic, ["198.18.49.1"])
    with pytest.raises(ApiError, match=r"198\.18\.48\.2 is assigned to another NIC"):
        lend(book, nic, ["198.18.48.2"])
    assert lend(book, nic, []) == allocate(book, 1) == ["198.18.48.5"]


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [
        ("volume", {**ORDER["volume"], "userData": "YQ=="}, "user_data attribute is immutable"),
        ("imageName", "debian-14", "image_name attribute is immutable"),
        ("type", "ENTERPRISE", "type attribute is immutable"),
    ],
)
def test_what_never_changes_in_place_needs_leave_to_replace(at, value, said):
    new = {**ORDER, at: value}
    assert said in diff_inputs(Servers.kind, ORDER, new).refused
    allowed = {**new, "allowReplace": True}
    difference = diff_inputs(Servers.kind, {**ORDER, "allowReplace": True}, allowed)
    assert (difference.replaces, difference.delete_first, difference.refused) == ([at], True, "")


def test_a_bigger_disk_and_more_cores_are_no_replacement():
    new = {**copy.deepcopy(ORDER), "cores": 4}
    new["volume"]["size"] = 40
    difference = diff_inputs(Servers.kind, ORDER, new)
    assert (difference.replaces, difference.refused, len(difference.parts)) == ([], "", 2)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"cores": None}, "cores argument is required for VCPU type of servers"),
     ({"ram": 1000}, "must be a multiple of 256 MB"),
     ({"imageName": "debian-11"}, "could not find an image/imagealias/snapshot"),
     ({"sshKeys": []}, "either 'image_password' or"),
     ({"sshKeys": ["ssh-rsa nonsense"]}, "error for public key"),
     ({"volume": {"userData": "#cloud-config"}}, "must be base64 encoded")],
)  # fmt: skip
def test_an_order_that_cannot_be_filled(change, said):
    with pytest.raises(ApiError, match=said):
        check_order({**ORDER, **change})
    check_order(ORDER)


def test_an_error_is_said_as_the_api_sends_it():
    said = explain(Servers.kind, refuse(422, "no", "184"))
    assert "422 Unprocessable Entity" in said
    body = json.loads(said[said.index("{") : said.rindex("}") + 1])
    assert body == {"httpStatus": 422, "messages": [{"errorCode": "184", "message": "no"}]}
    assert "contact API support" in explain(Servers.kind, refuse(500, "no"))


def test_credentials_are_asked_for():
    assert Ionos().check_config({"token": "x"}) == []
    assert Ionos().check_config({"username": "a", "password": "b"}) == []
    assert [at for at, _ in Ionos().check_config({"username": "a"})] == ["token"]


def test_what_the_program_never_gave_is_no_drift():
    found = {"nic": {"lan": 1, "id": "n", "firewalls": [{"protocol": "TCP", "id": "r"}]}, "x": 1}
    given = {"nic": {"lan": 2, "firewalls": [{"protocol": "UDP"}]}}
    assert shape_like(found, given) == {"nic": {"lan": 1, "firewalls": [{"protocol": "TCP"}]}}
    assert shape_like({"a": [1, 2]}, {"a": [1]}) == {"a": [1, 2]}


def test_servers_grow_into_the_topology_of_the_lab():
    machines = [describe(contract(), name, name) for name in ("io1", "io2")]
    grown = add_machines(demo(), machines)
    assert grown.host("io2").role is Role.SERVER
    assert str(grown.uplink("io2").v4) == "198.18.48.3/32"
    assert grown.link("ionoscloud", "io2").end("ionoscloud").interface == "i7"
    near = neighbourhood(demo(), machines[0])
    assert [h.name for h in near.hosts] == ["ionoscloud", "io1"]
    assert len(near.links) == 1
