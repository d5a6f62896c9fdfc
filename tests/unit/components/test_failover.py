"""What ProviderFailoverVip declares and refuses; tests/lab moves a real address."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from loopback_iac.components import ProviderFailoverVip
from loopback_iac.components.boundary import RejectedInputs
from loopback_iac.components.failover import checked_token
from loopback_iac.model import (
    InputRejected,
    parse_failover_machines,
    parse_failover_vip,
)
from tests.unit.components.recording import Cloud

TOKEN = "a1" * 32
ADDRESS = "198.18.32.9"
KEYS = {
    "h1": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm3O6QVKcmWbx9fGxPnNqJtPBkYpU1Gxq1SVN5jyjyc",
    "h2": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm3O6QVKcmWbx9fGxPnNqJtPBkYpU1Gxq1SVN5jyjyd",
    "arbiter": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm3O6QVKcmWbx9fGxPnNqJtPBkYpU1Gxq1SVN5jyjye",
}


def answer(args, count: int) -> tuple[str, dict[str, Any]]:
    """As Hetzner's provider, and as a host that was enrolled."""
    if args.typ == "command:remote:Command":
        return f"c{count}", {"stdout": json.dumps({"wireguard": {}})}
    out = {"ipAddress": ADDRESS} if args.typ == "hcloud:index/floatingIp:FloatingIp" else {}
    return str(100 + count), out


def ref(name: str, number: int, **more: Any) -> dict[str, Any]:
    ref = {"ipv4": f"198.18.32.{number}", "host_key": KEYS[name], "ssh_agent_socket": "/run/a"}
    return {**ref, "instance_id": f"hcloud-{number}", **more}


def args(**more: Any) -> dict[str, Any]:
    return {
        "provider": "hetzner",
        "location": "fsn1",
        "hosts": [{"name": "h1", "host": ref("h1", 21)}, {"name": "h2", "host": ref("h2", 22)}],
        "arbiter": ref("arbiter", 30),
        "check": {"port": 443},
        "token": "late",
        "admin_sources": ["198.51.100.0/28"],
        **more,
    }


def problems(tree: dict[str, Any]) -> list[str]:
    with pytest.raises(InputRejected) as refused:
        parse_failover_vip("www", tree)
    return [f"{p.rule} at {p.path}" for p in refused.value.problems]


@pytest.fixture(scope="module")
def cloud(declare, hosts):
    def program():
        made = ProviderFailoverVip("www", args(token=pulumi.Output.secret(TOKEN)))
        made.address.apply(lambda at: hosts.update(address=at))

    return declare(Cloud(answer), program)


def test_children_and_their_names(cloud, hosts):
    assert hosts["address"] == ADDRESS
    commands = {f"www-{h}-{s}" for h in KEYS for s in ("enroll", "apply", "confirm")}
    assert set(cloud.made) == commands | {f"www-{host}" for host in KEYS} | {
        "www", "www-ipv4", "www-ipv4-assignment",
    }  # fmt: skip


def test_the_first_member_holds_it_at_first(cloud):
    assignment = cloud.made["www-ipv4-assignment"].inputs
    assert assignment["serverId"] == 21
    assert cloud.made["www-ipv4"].inputs["deleteProtection"] is True


def test_the_token_stands_in_a_secret_input_of_the_arbiter_alone(cloud):
    holding = set()
    for name, resource in cloud.made.items():
        for key, value in resource.inputs.items():
            wrapped = isinstance(value, dict) and "value" in value
            assert wrapped or TOKEN not in str(value), f"{name}.{key}"
            if TOKEN in str(value):
                holding.add(f"{name}.{key}")
    assert holding == {"www-arbiter-apply.stdin"}


def test_the_bundles_say_who_is_who(cloud):
    def bundle(host):
        stdin = cloud.made[f"www-{host}-apply"].inputs["stdin"]
        return json.loads(stdin["value"])

    judge = bundle("arbiter")
    assert judge["files"]["/etc/loopback/arbiter-token"]["text"] == "@{secret:provider-token}\n"
    told = json.loads(judge["files"]["/etc/loopback/arbiter.json"]["text"])
    assert [(m["name"], m["server"]) for m in told["members"]] == [("h1", "21"), ("h2", "22")]
    assert list(told["addresses"]) == [ADDRESS]
    assert told["endpoint"] == "https://api.hetzner.cloud/v1"
    for member in ("h1", "h2"):
        routes = json.loads(bundle(member)["files"]["/etc/loopback/routes.json"]["text"])
        assert (routes["vips"], routes["prefixes"]) == ([ADDRESS], [])


def test_detection_is_said_in_a_plan():
    vip = parse_failover_vip("www", args())
    assert vip.check.longest_s == 4.0
    assert parse_failover_vip("w", args(check={"port": 1, "fall": 2})).check.longest_s == 3.0


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"provider": "aws"}, ["failover-provider at www.provider"]),
        (
            {"provider": "ionos", "labels": {"owner": "web"}},
            ["location-unknown at www.location", "failover-labels at www.labels"]
            + [f"failover-card at www.hosts[{n}].card" for n in (0, 1)],
        ),
        (
            {"hosts": [{**host, "card": {}} for host in args()["hosts"]]},
            [f"failover-card at www.hosts[{n}].card" for n in (0, 1)],
        ),
        ({"location": "fns1"}, ["location-unknown at www.location"]),
        ({"hosts": args()["hosts"][:1]}, ["failover-members at www.hosts"]),
        ({"hosts": [args()["hosts"][0]] * 2}, ["failover-names at www.hosts[1].name"]),
        (
            {"hosts": [*args()["hosts"], {"name": "arbiter", "host": {}}]},
            ["failover-names at www.hosts[2].name"],
        ),
        ({"check": {"port": 443, "fall": 1}}, ["field-range at www.check.fall"]),
        ({"endpoint": "http://api.example.net"}, ["api-endpoint at www.endpoint"]),
        ({"admin_sources": []}, ["admin-sources-empty at www.admin_sources"]),
        ({"token": None}, ["field-missing at www.token"]),
        ({"ipv6": True}, ["field-unknown at www.ipv6"]),
    ],
)
def test_bad_input_is_refused_by_name(more, found):
    assert problems(args(**more)) == found


def machines(**changed: dict[str, Any]):
    late = {"h1": ref("h1", 21), "h2": ref("h2", 22), "arbiter": ref("arbiter", 30), **changed}
    return parse_failover_machines("www", parse_failover_vip("www", args()), late, {})


def test_machines_are_apart_and_hetzners():
    assert {name: number for name, (_, number) in machines().members.items()} == {
        "h1": "21", "h2": "22",
    }  # fmt: skip
    with pytest.raises(InputRejected) as refused:
        machines(arbiter=ref("h1", 21), h2=ref("h2", 22, instance_id="ionos-7"))
    assert sorted(p.rule for p in refused.value.problems) == ["failover-apart", "failover-server"]
    vip = parse_failover_vip("www", args())
    late = {"h1": ref("h1", 21), "h2": ref("h2", 22, instance_id="x"), "arbiter": ref("arbiter", 3)}
    given = parse_failover_machines("www", vip, late, {"h2": "4712"})
    assert given.members["h2"][1] == "4712"


def test_a_token_that_is_none_is_refused_and_not_shown():
    assert checked_token(TOKEN, "hetzner") == TOKEN
    assert checked_token("eyJ0.eyJp-_.c2ln==", "ionos") == "eyJ0.eyJp-_.c2ln=="
    with pytest.raises(RejectedInputs) as refused:
        checked_token("two words", "ionos")
    assert "is no bearer token" in str(refused.value)
    assert "two words" not in str(refused.value)
    with pytest.raises(RejectedInputs) as refused:
        checked_token("x" * 9, "hetzner")
    assert "has 9 characters" in str(refused.value)
    assert "x" * 9 not in str(refused.value)
