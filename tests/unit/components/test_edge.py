"""What AnycastEdge declares. Mocks prove the wiring only: names, order, where secrets go."""

from __future__ import annotations

import copy
import json
import re

import pulumi
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pulumi.runtime import mocks

from loopback_iac.components import AnycastEdge
from loopback_iac.components.boundary import RejectedInputs

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm3O6QVKcmWbx9fGxPnNqJtPBkYpU1Gxq1SVN5jyjyc"
SECRET = "md5-hunter2"
PRIVATE = (
    Ed25519PrivateKey.generate()
    .private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    .decode()
)


class Recorded(mocks.Mocks):
    """Answers like the cloud would, and keeps what was asked."""

    def __init__(self):
        self.made = {}

    def call(self, args):
        return {}

    def new_resource(self, args):
        self.made[args.name] = args
        out = dict(args.inputs)
        if args.name.endswith("-enroll"):
            host = re.search(r"host=(\S+)", str(args.inputs["create"])).group(1)
            epochs = json.loads(text(args, "stdin"))["key_epochs"]
            out["stdout"] = json.dumps({"wireguard": {e: f"key-{e}-of-{host}" for e in epochs}})
        return f"{args.name}-id", out


def machine(number: int) -> dict:
    return {
        "ipv4": f"198.18.1.{number}",
        "host_key": HOST_KEY,
        "instance_id": f"i{number}",
        "ssh_private_key": pulumi.Output.secret(PRIVATE),
    }


def tree() -> dict:
    upstream = {
        "asn": 64496,
        "interface": "t1",
        "local_v4": "192.0.2.1",
        "neighbor_v4": "192.0.2.0",
        "md5": pulumi.Output.secret(SECRET),
    }
    return {
        "asn": 64500,
        "admin_sources": ["198.18.251.2/32"],
        "prefixes": {"v4": {"cidr": "203.0.113.0/24"}},
        "vips": {"www": {"addresses": ["203.0.113.10"]}},
        "pops": {"fra1": {"host": machine(1), "node_id": 1, "upstreams": {"t1": upstream}}},
        "pools": {"web": {"workers": {"w1": {"host": machine(21), "node_id": 1}}}},
        "services": {"https": {"vip": "www", "port": 443, "pool": "web", "worker_port": 8443}},
    }


def declared(loop, args: dict) -> Recorded:
    recorded = Recorded()
    pulumi.runtime.set_mocks(recorded, preview=False)
    program = pulumi.runtime.stack.run_pulumi_func(lambda: AnycastEdge("edge", args))
    loop.run_until_complete(program)
    return recorded


@pytest.fixture(scope="module")
def recorded(loop) -> Recorded:
    return declared(loop, tree())


def test_children_and_their_names(recorded):
    assert sorted((r.typ, name) for name, r in recorded.made.items()) == [
        ("command:remote:Command", "edge-fra1-apply"),
        ("command:remote:Command", "edge-fra1-confirm"),
        ("command:remote:Command", "edge-fra1-enroll"),
        ("command:remote:Command", "edge-w1-apply"),
        ("command:remote:Command", "edge-w1-confirm"),
        ("command:remote:Command", "edge-w1-enroll"),
        ("loopback-iac:index:AnycastEdge", "edge"),
        ("loopback-iac:index:EdgePop", "edge-fra1"),
        ("loopback-iac:index:Worker", "edge-w1"),
    ]


def text(resource, prop: str) -> str:
    value = resource.inputs[prop]
    return value["value"] if isinstance(value, dict) else value


def test_workers_are_converged_before_pops(recorded):
    order = list(recorded.made)
    assert order.index("edge-w1-confirm") < order.index("edge-fra1-apply")
    assert order.index("edge-fra1-enroll") < order.index("edge-w1-apply")


def test_secrets_travel_on_stdin_only(recorded):
    apply = recorded.made["edge-fra1-apply"]
    bundle = json.loads(text(apply, "stdin"))
    assert bundle["secrets"] == {"md5-fra1-t1": SECRET, "wireguard-1-w1": "key-1-of-w1"}
    assert SECRET not in json.dumps(bundle["files"])
    for name, resource in recorded.made.items():
        shown = {k: v for k, v in resource.inputs.items() if k not in ("stdin", "connection")}
        assert SECRET not in json.dumps(shown, default=str), name
        assert "PRIVATE KEY" not in json.dumps(shown, default=str), name


def test_every_connection_is_pinned(recorded):
    for name, resource in recorded.made.items():
        if "connection" in resource.inputs:
            connection = resource.inputs["connection"]
            connection = connection.get("value", connection)
            assert connection["hostKey"] == HOST_KEY, name
            assert "triggers" not in resource.inputs


def test_the_command_text_changes_with_the_bundle_and_with_the_machine(loop, recorded):
    before = text(recorded.made["edge-fra1-apply"], "create")
    assert re.fullmatch(
        r"/usr/local/sbin/loopback-agent apply host=fra1 instance=i1 digest=[0-9a-f]{64}", before
    )
    other = tree()
    other["services"]["https"]["port"] = 8443
    assert text(declared(loop, other).made["edge-fra1-apply"], "create") != before
    replaced = tree()
    replaced["pops"]["fra1"]["host"]["instance_id"] = "i2"
    assert "instance=i2" in text(declared(loop, replaced).made["edge-fra1-apply"], "create")


def test_the_same_program_gives_the_same_text(loop, recorded):
    again = declared(loop, tree())
    for name, resource in recorded.made.items():
        if name.endswith(("-apply", "-confirm", "-enroll")):
            assert text(again.made[name], "create") == text(resource, "create")


def test_a_rotation_enrolls_keys_once_and_moves_traffic_without_enrolling(loop, recorded):
    steps = [[1, 2], [2, 1], [2]]
    ups = [declared(loop, tree() | {"tunnels": {"key_epochs": epochs}}).made for epochs in steps]
    bundles = [json.loads(text(made["edge-fra1-apply"], "stdin")) for made in ups]
    keys = [{k: v for k, v in b["secrets"].items() if k.startswith("wireguard")} for b in bundles]
    both = {"wireguard-1-w1": "key-1-of-w1", "wireguard-2-w1": "key-2-of-w1"}
    assert keys == [both, both, {"wireguard-2-w1": "key-2-of-w1"}]
    enrolled = [text(made["edge-fra1-enroll"], "create") for made in [recorded.made, *ups]]
    assert enrolled[1] == enrolled[2]
    assert len(set(enrolled)) == 3
    assert len({text(made["edge-fra1-apply"], "create") for made in ups}) == 3


def test_a_routers_operator_is_told_what_to_enter_and_no_secret(loop):
    args = tree()
    args["tunnels"] = {"key_epochs": [1, 2]}
    upstream = args["pops"]["fra1"]["upstreams"].pop("t1")
    del upstream["interface"]
    args["pops"]["fra1"]["upstreams"]["t2"] = {
        **upstream,
        "kind": "tunnel",
        "tunnel": {
            "endpoint": "198.51.100.77",
            "endpoint_port": 51821,
            "public_key": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
            "path_mtu_bytes": 1480,
            "listen_port": 52844,
            "key_epoch": 2,
        },
    }
    told = []
    pulumi.runtime.set_mocks(Recorded(), preview=False)
    program = pulumi.runtime.stack.run_pulumi_func(
        lambda: pulumi.Output.from_input(AnycastEdge("edge", args).bgp_tunnels).apply(told.append)
    )
    loop.run_until_complete(program)
    assert told == [
        {
            "fra1": {
                "t2": {
                    "allowed_ips": ["203.0.113.0/24", "192.0.2.1/32"],
                    "asn": 64500,
                    "neighbors": ["192.0.2.1"],
                    "mtu_bytes": 1400,
                    "bfd_interval_ms": 300,
                    "endpoint": "198.18.1.1:52844",
                    "public_key": "key-2-of-fra1",
                }
            }
        }
    ]


def test_bad_input_is_refused_before_anything_is_declared():
    bad = copy.copy(tree())
    bad["admin_sources"] = []
    bad["services"]["https"]["pool"] = "wbe"
    made = Recorded()
    pulumi.runtime.set_mocks(made, preview=True)
    with pytest.raises(RejectedInputs) as refused:
        AnycastEdge("edge", bad)
    assert "admin_sources" in str(refused.value)
    assert "services.https.pool" in str(refused.value)
    assert isinstance(refused.value, pulumi.RunError)
    assert made.made == {}
