"""How hosts are dialled: through a bastion, or through the PoP that has to know them first."""

from __future__ import annotations

import json
import re
from typing import Any

import pulumi
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from loopback_iac.components import AnycastEdge
from loopback_iac.components.hosts import check_auth
from tests.unit.components.recording import Cloud

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm3O6QVKcmWbx9fGxPnNqJtPBkYpU1Gxq1SVN5jyjyc"
JOIN_KEY = "KSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSk="
PRIVATE = (
    Ed25519PrivateKey.generate()
    .private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    .decode()
)


def as_hosts(args: Any, _: int) -> tuple[str, dict[str, Any]]:
    """What hosts would answer: enrolled, each has a key per epoch."""
    if not args.name.endswith("-enroll"):
        return f"{args.name}-id", {}
    host = re.search(r"host=(\S+)", str(args.inputs["create"])).group(1)
    epochs = json.loads(plain(args.inputs["stdin"]))["key_epochs"]
    told = json.dumps({"wireguard": {e: f"key-{e}-of-{host}" for e in epochs}})
    return f"{args.name}-id", {"stdout": told}


def plain(value: Any) -> Any:
    return value["value"] if isinstance(value, dict) and "value" in value else value


def machine(number: int, **more: Any) -> dict[str, Any]:
    known = {"ipv4": f"198.18.1.{number}", "host_key": HOST_KEY}
    return known | {"ssh_private_key": pulumi.Output.secret(PRIVATE)} | more


def tree(pop: dict, worker: dict, epochs: list[int], **more: Any) -> dict[str, Any]:
    upstream = {
        "asn": 64496,
        "local_v4": "192.0.2.1",
        "neighbor_v4": "192.0.2.0",
        "interface": "t1",
        "md5_waived_because": "none is offered",
    }
    return {
        "asn": 64500,
        "admin_sources": ["198.18.251.2/32"],
        "tunnels": {"key_epochs": epochs},
        "prefixes": {"v4": {"cidr": "203.0.113.0/24"}},
        "vips": {"www": {"addresses": ["203.0.113.10"]}},
        "pops": {"fra1": {"host": pop, "node_id": 1, "upstreams": {"t1": upstream}}},
        "pools": {"web": {"workers": {"n1": {"host": worker, "node_id": 1, **more}}}},
        "services": {"https": {"vip": "www", "port": 443, "pool": "web", "worker_port": 8443}},
    }


def declared(loop, args: dict) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was declared, in order, and the output `hosts`."""
    recorded, told = Cloud(as_hosts), {}
    pulumi.runtime.set_mocks(recorded, preview=False)

    def program() -> None:
        AnycastEdge("edge", args).hosts.apply(told.update)

    loop.run_until_complete(pulumi.runtime.stack.run_pulumi_func(program))
    return recorded.made, told


def connection(made: dict[str, Any], name: str) -> dict[str, Any]:
    return plain(made[name].inputs["connection"])


JOINED = {"behind_nat": True, "managed_through": "fra1", "join_keys": {"1": JOIN_KEY}}


def test_a_joined_worker_is_dialled_through_a_pop_that_knows_it_already(loop):
    lan = machine(21, ipv4="10.1.2.3", ssh_port=2222)
    made, told = declared(loop, tree(machine(1, ssh_port=22022), lan, [1], **JOINED))
    order = list(made)
    assert order.index("edge-fra1-confirm") < order.index("edge-n1-enroll")
    bundle = json.loads(plain(made["edge-fra1-apply"].inputs["stdin"]))
    assert bundle["secrets"] == {"wireguard-1-n1": JOIN_KEY}
    dialled = connection(made, "edge-n1-enroll")
    assert (dialled["host"], dialled["port"]) == ("10.88.8.3", 2222)
    assert (dialled["proxy"]["host"], dialled["proxy"]["port"]) == ("198.18.1.1", 22022)
    assert dialled["proxy"]["hostKey"] == HOST_KEY
    bundle = json.loads(plain(made["edge-n1-apply"].inputs["stdin"]))
    assert bundle["admin_sources"] == ["198.18.251.2/32", "10.88.8.2/32"]
    assert told["n1"]["address"] == "10.88.8.3"
    assert told["n1"]["bastion"]["address"] == "198.18.1.1"
    assert told["fra1"]["bastion"] is None
    assert told["fra1"]["public_keys"] == {"1": "key-1-of-fra1"}


@pytest.mark.parametrize(("epochs", "address"), [([1, 2], "10.88.8.3"), ([2, 1], "10.80.8.3")])
def test_while_keys_rotate_it_is_dialled_by_the_tunnel_that_stands(loop, epochs, address):
    lan = machine(21, ipv4="10.1.2.3")
    made, _ = declared(loop, tree(machine(1), lan, epochs, **JOINED))
    order = list(made)
    # its next key is asked for first, through the tunnel that PoPs have
    assert order.index("edge-n1-confirm") < order.index("edge-fra1-apply")
    assert connection(made, "edge-n1-enroll")["host"] == address
    bundle = json.loads(plain(made["edge-fra1-apply"].inputs["stdin"]))
    assert bundle["secrets"]["wireguard-2-n1"] == "key-2-of-n1"
    assert (
        "10.80.8.2/32" in json.loads(plain(made["edge-n1-apply"].inputs["stdin"]))["admin_sources"]
    )


def test_a_bastion_is_dialled_with_the_key_of_the_fleet(loop):
    bastion = {"address": "192.0.2.200", "host_key": HOST_KEY, "sources": ["10.1.2.1"]}
    args = tree(machine(1), machine(21, ipv4="10.1.2.3", bastion=bastion), [1], behind_nat=True)
    made, told = declared(loop, args)
    dialled = connection(made, "edge-n1-enroll")
    assert (dialled["host"], dialled["proxy"]["host"]) == ("10.1.2.3", "192.0.2.200")
    assert dialled["proxy"]["privateKey"] == dialled["privateKey"] == PRIVATE
    bundle = json.loads(plain(made["edge-n1-apply"].inputs["stdin"]))
    assert bundle["admin_sources"] == ["198.18.251.2/32", "10.1.2.1/32"]
    assert told["n1"]["bastion"]["address"] == "192.0.2.200"


def test_an_agents_socket_opens_both_and_nothing_opens_neither(loop):
    bastion = {"address": "192.0.2.200", "host_key": HOST_KEY}
    worker = machine(21, bastion=bastion)
    del worker["ssh_private_key"]
    by_agent = worker | {"ssh_agent_socket": "/run/agent.sock"}
    made, _ = declared(loop, tree(machine(1), by_agent, [1]))
    dialled = connection(made, "edge-n1-enroll")
    assert dialled["agentSocketPath"] == dialled["proxy"]["agentSocketPath"] == "/run/agent.sock"
    assert check_auth("n1", by_agent) == []
    assert [p.rule for p in check_auth("n1", worker)] == ["bastion-key"]
