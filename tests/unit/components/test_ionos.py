"""What IonosHost declares. Mocks prove the wiring only; tests/lab orders real machines."""

from __future__ import annotations

import base64
from typing import Any

import pulumi
import pytest
import yaml

from loopback_iac.components import IonosHost
from loopback_iac.components.boundary import RejectedInputs
from tests.unit.components.recording import FLEET_SECRET, Cloud

SECRETS = (FLEET_SECRET, "PRIVATE KEY", "I2Nsb3VkLWNvbmZpZw")  # the last: base64 of user data


def answer(args, count: int) -> tuple[str, dict[str, Any]]:
    """As IONOS' provider."""
    out = {"ips": ["198.18.48.5"]} if args.typ.endswith(":IPBlock") else {}
    return "3" if args.typ.endswith(":Lan") else f"uuid-{count}", out


def plain(**more: Any) -> dict[str, Any]:
    """Args with nothing late."""
    return {
        "location": "de/txl",
        "cores": 2,
        "ram_mb": 4096.0,
        "role": "pop",
        "admin_sources": ["198.18.251.2/32", "2001:db8:fb::2/128"],
        "metrics_sources": ["198.18.251.0/28", "198.18.250.0/28"],
        "fleet_secret": "late",
        "ssh_private_key": "late",
        **more,
    }


@pytest.fixture(scope="module")
def cloud(declare, deploy_key, hosts):
    def program():
        late = {"fleet_secret": FLEET_SECRET, "ssh_private_key": deploy_key}
        secret = {name: pulumi.Output.secret(value) for name, value in late.items()}
        made = IonosHost("i1", plain(**secret))
        made.host.apply(lambda ref: hosts.update(i1=ref))

    return declare(Cloud(answer), program)


def told(resource, name: str):
    """An input, out of its secret wrapping."""
    value = resource.inputs[name]
    return value["value"] if isinstance(value, dict) and "value" in value else value


def test_children_and_their_names(cloud):
    assert sorted((r.typ, name) for name, r in cloud.made.items()) == [
        ("command:remote:Command", "i1-ready"),
        ("ionoscloud:compute/datacenter:Datacenter", "i1-datacenter"),
        ("ionoscloud:compute/iPBlock:IPBlock", "i1-ipv4"),
        ("ionoscloud:compute/lan:Lan", "i1-lan"),
        ("ionoscloud:compute/server:Server", "i1-server"),
        ("loopback-iac:index:IonosHost", "i1"),
    ]


def test_the_output_is_the_one_of_every_host(hosts):
    ref = hosts["i1"]
    assert ref["ipv4"] == "198.18.48.5"
    assert "ipv6" not in ref
    assert ref["instance_id"].startswith("ionos-uuid-")
    assert (ref["provider"], ref["country"], ref["site"]) == ("ionos", "DE", "de/txl")


def test_the_server_has_its_address_and_is_closed(cloud, hosts):
    server = cloud.made["i1-server"].inputs
    assert (server["type"], server["cores"], server["ram"]) == ("VCPU", 2, 4096)
    assert server["allowReplace"] is True
    nic = server["nic"]
    assert (nic["lan"], nic["ips"], nic["firewallActive"]) == (3, ["198.18.48.5"], True)
    rules = [
        (r["name"], r["protocol"], r.get("portRangeStart"), r.get("sourceIp"))
        for r in nic["firewalls"]
    ]
    assert rules[0] == ("ssh", "TCP", 22, "198.18.251.2")
    assert ("tunnels", "UDP", 51820, None) in rules
    assert ("metrics 2", "TCP", 9100, "198.18.250.0/28") in rules
    assert ("icmp", "ICMP", None, None) in rules
    data = yaml.safe_load(base64.b64decode(told(cloud.made["i1-server"], "volume")["userData"]))
    assert data["ssh_keys"]["ed25519_public"] == hosts["i1"]["host_key"]


def test_secrets_stand_in_secret_inputs_only(cloud):
    """Mocks wrap a secret input in a dict with its mark; what is bare would be shown."""
    for name, resource in cloud.made.items():
        for key, value in resource.inputs.items():
            if isinstance(value, dict) and "value" in value:
                continue
            assert not any(secret in str(value) for secret in SECRETS), f"{name}.{key}"


def test_it_drains_when_deleted(cloud):
    ready = cloud.made["i1-ready"].inputs
    assert ready["delete"].endswith(" drain")
    assert ready["triggers"][0].startswith("uuid-")


def test_bad_input_is_refused_before_anything_is_declared():
    made = Cloud(answer)
    pulumi.runtime.set_mocks(made, preview=True)
    with pytest.raises(RejectedInputs) as refused:
        IonosHost("i1", plain(location="de/ber", ram_mb=1000))
    assert "i1.location" in str(refused.value)
    assert "i1.ram_mb" in str(refused.value)
    assert made.made == {}
