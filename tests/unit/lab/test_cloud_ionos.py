"""IONOS's own rules: firewall rules as nftables, failover groups, what never changes in place."""

from __future__ import annotations

import base64
import copy
import json

import pytest

from loopback_iac.lab.cloud.book import Book
from loopback_iac.lab.cloud.growth import add_machines, neighbourhood
from loopback_iac.lab.cloud.ionos.machines import allocate, describe, render_rule
from loopback_iac.lab.cloud.ionos.nics import check_nic, check_rule, lend
from loopback_iac.lab.cloud.ionos.servers import Servers, check_order
from loopback_iac.lab.cloud.ionos.vendor import Ionos
from loopback_iac.lab.cloud.ionos.words import explain, refuse
from loopback_iac.lab.cloud.kinds import DEFAULTS, ApiError, diff_inputs, shape_like
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


def test_a_failover_address_goes_to_the_card_that_the_group_names():
    book = contract()
    book.of("lan")["c/1"]["failovers"] = [{"ip": "198.18.48.4", "nicUuid": "n1"}]
    assert describe(book, "io1", "io1").ports[0].routes == ["198.18.48.2/32"]
    assert describe(book, "io2", "io2").ports[0].routes == ["198.18.48.3/32", "198.18.48.4/32"]


def test_a_private_lan_is_a_bridge_without_a_way_out():
    book = contract()
    book.of("lan")["c/1"]["public"] = False
    (port,) = describe(book, "io1", "io1").ports
    assert (port.interface, port.bridge, port.gateway4, port.inward) == ("eth0", "l5", "", None)


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ({"protocol": "ANY", "sourceIp": "10.0.0.0/8"}, "ip saddr 10.0.0.0/8"),
        ({"protocol": "ANY"}, ""),
        ({"protocol": "ICMP", "icmpType": "8", "icmpCode": "0"}, "icmp type 8 icmp code 0"),
        ({"protocol": "ICMPv6", "targetIp": "2001:db8::1"},
         "ip6 daddr 2001:db8::1 meta l4proto ipv6-icmp"),
        ({"protocol": "VRRP"}, "meta l4proto 112"),
        ({"protocol": "UDP"}, "udp dport 0-65535"),
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
