"""A failover address at IONOS: what hosts and ProviderFailoverVip declare, in which order."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from loopback_iac.agent.words import derive_key
from loopback_iac.components import IonosHost, ProviderFailoverVip
from loopback_iac.model import (
    InputRejected,
    parse_failover_machines,
    parse_failover_vip,
    parse_ionos_host,
)
from tests.unit.components.recording import FLEET_SECRET, Cloud
from tests.unit.components.test_failover import KEYS, TOKEN

SHARED = "198.18.48.9"
NAMES = {"h1": "198.18.48.5", "h2": "198.18.48.6"}


def answer(args, count: int) -> tuple[str, dict[str, Any]]:
    """As IONOS' provider, and as a host that was enrolled."""
    if args.typ == "command:remote:Command":
        return f"c{count}", {"stdout": json.dumps({"wireguard": {}})}
    out: dict[str, Any] = {}
    if args.typ.endswith(":IPBlock"):
        out = {"ips": [NAMES.get(args.name.removesuffix("-ipv4"), SHARED)]}
    if args.typ.endswith(":Server"):
        out = {"primaryNic": f"nic-{args.name}"}
    return ("4" if args.typ.endswith(":Lan") else f"uuid-{count}"), out


def order(**more: Any) -> dict[str, Any]:
    return {
        "location": "de/txl",
        "cores": 1,
        "ram_mb": 1024,
        "role": "other",
        "admin_sources": ["198.51.100.0/28"],
        "fleet_secret": "late",
        "ssh_private_key": "late",
        **more,
    }


def vip(**more: Any) -> dict[str, Any]:
    return {
        "provider": "ionos",
        "location": "de/txl",
        "arbiter": {"ipv4": "192.0.2.4", "host_key": KEYS["arbiter"], "ssh_agent_socket": "/a"},
        "check": {"port": 443},
        "token": "late",
        "admin_sources": ["198.51.100.0/28"],
        **more,
    }


@pytest.fixture(scope="module")
def cloud(declare, deploy_key, hosts):
    def program():
        late = {"fleet_secret": FLEET_SECRET, "ssh_private_key": deploy_key}
        given: dict[str, Any] = {n: pulumi.Output.secret(value) for n, value in late.items()}
        given |= {"datacenter_id": "centre", "lan_id": "7", "ipv6": False}
        first = IonosHost("h1", order(failover=True, **given))
        second = IonosHost("h2", order(failover_ipv4=first.card["failover_ipv4"], **given))
        made = {"h1": first, "h2": second}
        members = [{"name": n, "host": host.host, "card": host.card} for n, host in made.items()]
        token = pulumi.Output.secret(TOKEN)
        address = ProviderFailoverVip("www", vip(hosts=members, token=token)).address
        both = pulumi.Output.all(address=address, cards=[host.card for host in made.values()])
        both.apply(hosts.update)

    return declare(Cloud(answer), program)


def test_the_first_host_reserves_it_and_the_others_come_after_the_group(cloud, hosts):
    assert hosts["address"] == SHARED
    card = {"datacenter_id": "centre", "lan_id": "7", "failover_ipv4": SHARED}
    assert hosts["cards"] == [card | {"nic_id": f"nic-{name}-server"} for name in NAMES]
    made = list(cloud.made)
    assert made.index("h1-server") < made.index("h1-failover") < made.index("h2-server")
    group = cloud.made["h1-failover"].inputs
    assert (group["ip"], group["nicuuid"], group["lanId"]) == (SHARED, "nic-h1-server", "7")
    assert cloud.made["h1-failover-ipv4"].inputs["size"] == 1
    assert not {"h1-lan", "h2-lan", "h1-datacenter", "h2-failover"} & set(made)


def test_every_card_has_its_own_address_first(cloud):
    for name, own in NAMES.items():
        nic = cloud.made[f"{name}-server"].inputs["nic"]
        assert (nic["ips"], nic["lan"]) == ([own, SHARED], 7)


def bundle(cloud, host: str) -> dict[str, Any]:
    return json.loads(cloud.made[f"www-{host}-apply"].inputs["stdin"]["value"])


def test_a_member_knows_its_arbiter_by_a_key_and_has_no_token(cloud):
    for name, own in NAMES.items():
        sent = bundle(cloud, name)
        assert TOKEN not in json.dumps(sent)
        told = json.loads(sent["files"]["/etc/loopback/hold.json"]["text"])
        assert told == {"format": 1, "name": name, "own": own, "address": SHARED}
        assert sent["secrets"]["hold-key"] == derive_key(TOKEN, name).hex()
    assert len({bundle(cloud, name)["secrets"]["hold-key"] for name in NAMES}) == 2


def test_the_arbiter_knows_cards_and_group(cloud):
    told = json.loads(bundle(cloud, "arbiter")["files"]["/etc/loopback/arbiter.json"]["text"])
    assert told["endpoint"] == "https://api.ionos.com/cloudapi/v6"
    assert told["addresses"] == {SHARED: f"centre/7/{SHARED}"}
    assert [(m["name"], m["server"]) for m in told["members"]] == [
        (name, f"nic-{name}-server") for name in NAMES
    ]


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"lan_id": "1"}, ["ionos-lan at h1.lan_id"]),
        ({"lan_id": "1", "datacenter_id": "d", "ipv6": True}, ["ionos-lan at h1.ipv6"]),
        ({"failover": True}, ["ionos-failover at h1.failover"]),
        (
            {"failover": True, "failover_ipv4": SHARED, "lan_id": "1", "datacenter_id": "d"},
            ["ionos-failover at h1.failover_ipv4"],
        ),
    ],
)
def test_an_address_that_nobody_could_share_is_refused(more, found):
    with pytest.raises(InputRejected) as refused:
        parse_ionos_host("h1", order(**more))
    assert [f"{p.rule} at {p.path}" for p in refused.value.problems] == found


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"lan_id": "8"}, ["failover-card at www.h2.card"]),
        ({"failover_ipv4": "198.18.48.8"}, ["failover-card at www.h2.card"]),
        ({"failover_ipv4": None}, ["failover-card at www.h2.card"]),
        ({"nic_id": "../requests"}, ["ionos-id at www.h2.card.nic_id"]),
        ({"nic_id": "h1"}, ["failover-twice at www.h2"]),
    ],
)
def test_cards_of_members_are_of_one_group(changed, found):
    late: dict[str, Any] = {
        name: {"ipv4": own, "host_key": KEYS[name], "ssh_agent_socket": "/a"}
        for name, own in NAMES.items()
    }
    members = [{"name": name, "host": late[name], "card": {}} for name in NAMES]
    declared = parse_failover_vip("www", vip(hosts=members))
    card = {"datacenter_id": "d", "lan_id": "7", "failover_ipv4": SHARED}
    cards = {name: card | {"nic_id": name} for name in NAMES}
    late["arbiter"] = vip()["arbiter"]
    whole = parse_failover_machines("www", declared, late, cards)
    assert {name: card for name, (_, card) in whole.members.items()} == {"h1": "h1", "h2": "h2"}
    cards["h2"] |= changed
    with pytest.raises(InputRejected) as refused:
        parse_failover_machines("www", declared, late, cards)
    assert [f"{p.rule} at {p.path}" for p in refused.value.problems] == found
