"""What EgressIpPool orders, keeps, and refuses; tests/engine drops a row of a real state."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pulumi
import pytest

from loopback_iac.components import EgressIpPool
from loopback_iac.components.boundary import RejectedInputs
from loopback_iac.kube.pool_order import check_ordered, parse_pool
from loopback_iac.model import InputRejected
from tests.unit.components.recording import Cloud

FLOATING = "hcloud:index/floatingIp:FloatingIp"
ASSIGNMENT = "hcloud:index/floatingIpAssignment:FloatingIpAssignment"
BLOCK = "ionoscloud:compute/iPBlock:IPBlock"
ROW = "loopback-iac:index:EgressAllocation"


def answer(args, count: int) -> tuple[str, dict[str, Any]]:
    """As the providers."""
    out: dict[str, Any] = {}
    if args.typ == FLOATING and args.inputs["type"] == "ipv4":
        out = {"ipAddress": "203.0.113.20"}
    elif args.typ == FLOATING:
        out = {"ipAddress": "2001:db8:5::", "ipNetwork": "2001:db8:5::/64"}
    elif args.typ == BLOCK:
        out = {"ips": ["203.0.113.20", "203.0.113.21"]}
    return str(100 + count), out


def pool(**more: Any) -> dict[str, Any]:
    return {
        "kind": "hetzner-floating",
        "addresses": ["203.0.113.20/32"],
        "evidence": "project edge",
        "seen_on": "2026-11-20",
        "allocations": {"shop": ["203.0.113.20"]},
        **more,
    }


def run(declare, args: dict[str, Any]) -> Cloud:
    told: dict[str, Any] = {}

    def program():
        made = EgressIpPool("partners", args)
        for output in ("ordered", "allocations", "free"):
            getattr(made, output).apply(lambda value, o=output: told.update({o: value}))

    cloud = declare(Cloud(answer), program)
    cloud.told = told
    return cloud


def problems(**more: Any) -> list[str]:
    with pytest.raises(InputRejected) as refused:
        parse_pool("partners", pool(**more))
    return [f"{p.rule} at {p.path}" for p in refused.value.problems]


def test_floating_addresses_are_ordered_and_lead_somewhere_at_first(declare):
    orders = {
        "four": {"location": "fsn1", "server_id": pulumi.Output.from_input("21")},
        "six": {"location": "hel1", "family": "ipv6"},
    }
    cloud = run(declare, pool(orders=orders, labels={"owner": "edge"}))
    kinds = {name: made.typ for name, made in cloud.made.items()}
    assert kinds == {
        "partners": "loopback-iac:index:EgressIpPool",
        "partners-four": FLOATING,
        "partners-six": FLOATING,
        "partners-four-assignment": ASSIGNMENT,
        "partners-shop-203.0.113.20": ROW,
    }
    four = cloud.made["partners-four"].inputs
    assert (four["homeLocation"], four["deleteProtection"]) == ("fsn1", True)
    assert four["labels"] == {"owner": "edge", "role": "egress"}
    assert cloud.made["partners-four-assignment"].inputs["serverId"] == 21
    kept = {name for name, asked in cloud.asked.items() if asked.protect}
    assert kept == {"partners-four", "partners-six", "partners-shop-203.0.113.20"}
    # a failover controller may move it
    moved = {name: list(asked.ignoreChanges) for name, asked in cloud.asked.items()}
    assert {name for name, paths in moved.items() if paths == ["serverId"]} == {
        "partners-four", "partners-six", "partners-four-assignment",
    }  # fmt: skip
    assert cloud.told["ordered"] == {"four": ["203.0.113.20"], "six": ["2001:db8:5::/64"]}
    assert cloud.told["free"] == "none"


def test_a_block_of_ionos(declare):
    orders = {"block": {"location": "de/fra", "size": 2}}
    args = pool(kind="ionos-ip-block", orders=orders, addresses=["203.0.113.20/31"])
    cloud = run(declare, args)
    assert cloud.made["partners-block"].typ == BLOCK
    assert cloud.made["partners-block"].inputs["size"] == 2
    assert cloud.told["free"] == "203.0.113.21"


def test_giving_back_takes_away_the_providers_protection_too(declare):
    args = pool(orders={"four": {"location": "fsn1"}}, giving_back=["four", "203.0.113.20"])
    cloud = run(declare, args)
    assert cloud.made["partners-four"].inputs["deleteProtection"] is False
    assert not any(asked.protect for asked in cloud.asked.values())


def test_what_is_written_has_to_be_what_the_provider_gave():
    found = parse_pool("partners", pool(orders={"four": {"location": "fsn1"}}))
    assert not list(check_ordered("partners", found, [ip_network("203.0.113.20/32")]))
    (problem,) = check_ordered("partners", found, [ip_network("203.0.113.77/32")])
    assert (problem.rule, problem.path) == ("pool-not-ordered", "partners.addresses[0]")
    assert problem.need == "203.0.113.77/32"


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"addresses": [], "allocations": {}}, ["pool-empty at partners.addresses"]),
        ({"allocations": {"late": ["v4"], "shop": ["203.0.113.20"]}},
         ["pool-exhausted at partners.allocations.late[0]"]),
        ({"allocations": {"shop": ["203.0.113.99"]}},
         ["pool-not-owned at partners.allocations.shop[0]"]),
        ({"kind": "own-prefix", "orders": {"a": {"location": "fsn1"}}},
         ["pool-order-kind at partners.orders.a"]),
        ({"kind": "hetzner-primary", "orders": {"a": {"location": "fsn1"}}},
         ["pool-order-kind at partners.orders.a"]),
        ({"orders": {"a": {"location": "de/fra"}}},
         ["location-unknown at partners.orders.a.location"]),
        ({"orders": {"a": {"location": "fsn1", "size": 2}}},
         ["pool-order-size at partners.orders.a.size"]),
        ({"orders": {"A": {"location": "fsn1"}}}, ["name-dns-label at partners.orders.A"]),
        ({"kind": "ionos-ip-block",
          "orders": {"a": {"location": "de/fra", "family": "ipv6", "server_id": "7"}}},
         ["pool-order-family at partners.orders.a.family",
          "pool-order-server at partners.orders.a.server_id"]),
        ({"orders": {"a": {"location": "fsn1", "size": 0}}},
         ["field-range at partners.orders.a.size"]),
        ({"giving_back": ["203.0.113.21"]}, ["giving-back-unknown at partners.giving_back[0]"]),
        ({"addresses": ["10.0.0.0/24"], "allocations": {}},
         ["pool-not-owned at partners.addresses[0]"]),
        ({"evidence": 7, "unheard": 1},
         ["field-type at partners.evidence", "field-unknown at partners.unheard"]),
    ],
)  # fmt: skip
def test_refused(more, found):
    assert problems(**more) == found


def test_another_address_than_the_one_that_is_written_is_refused_when_it_comes(declare):
    args = pool(
        orders={"four": {"location": "fsn1"}},
        addresses=["203.0.113.77/32"],
        allocations={"shop": ["203.0.113.77"]},
    )
    with pytest.raises(RejectedInputs, match="pool-not-ordered"):
        run(declare, args)
