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
    if args.inputs.get("ipv6CidrBlock") == "AUTO":
        out = {"ipv6CidrBlock": "2001:db8:5000:101::/64"}
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
        made = IonosHost("i1", plain(**secret, ipv6=True))
        made.host.apply(lambda ref: hosts.update(i1=ref))
        inside = {
            "datacenter_id": "centre",
            "private_network": {"lan_id": "7", "ip": "10.7.1.21"},
        }
        joined = IonosHost("i2", plain(**secret, **inside))
        joined.host.apply(lambda ref: hosts.update(i2=ref))

    return declare(Cloud(answer), program)


def told(resource, name: str):
    """An input, out of its secret wrapping."""
    value = resource.inputs[name]
    return value["value"] if isinstance(value, dict) and "value" in value else value


def user_data(cloud, name: str):
    """What the machine is told."""
    volume = told(cloud.made[f"{name}-server"], "volume")
    return yaml.safe_load(base64.b64decode(volume["userData"]))


def test_children_and_their_names(cloud):
    made = [(r.typ, name) for name, r in cloud.made.items() if name.startswith("i1")]
    assert sorted(made) == [
        ("command:remote:Command", "i1-ready"),
        ("ionoscloud:compute/datacenter:Datacenter", "i1-datacenter"),
        ("ionoscloud:compute/iPBlock:IPBlock", "i1-ipv4"),
        ("ionoscloud:compute/lan:Lan", "i1-lan"),
        ("ionoscloud:compute/server:Server", "i1-server"),
        ("loopback-iac:index:IonosHost", "i1"),
    ]
    assert sorted(name for name in cloud.made if name.startswith("i2")) == [
        "i2",
        "i2-ipv4",
        "i2-lan",
        "i2-private",
        "i2-ready",
        "i2-server",
    ]


def test_the_output_is_the_one_of_every_host(hosts):
    ref = hosts["i1"]
    assert ref["ipv4"] == "198.18.48.5"
    assert ref["ipv6"] == "2001:db8:5000:101:1::a"
    assert "ipv6" not in hosts["i2"]
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
    data = user_data(cloud, "i1")
    assert data["ssh_keys"]["ed25519_public"] == hosts["i1"]["host_key"]


def test_its_ipv6_address_is_chosen_from_the_lan_so_that_it_outlives_the_server(cloud):
    nic = cloud.made["i1-server"].inputs["nic"]
    assert nic["ipv6CidrBlock"] == "2001:db8:5000:101:1::/80"
    assert (nic["ipv6Ips"], nic["dhcpv6"]) == (["2001:db8:5000:101:1::a"], False)
    files = {file["path"]: file["content"] for file in user_data(cloud, "i1")["write_files"]}
    assert "2001:db8:5000:101:1::a/128" in files["/usr/local/lib/loopback/own-ipv6"]
    plain4 = cloud.made["i2-server"].inputs["nic"]
    assert not [key for key in plain4 if "6" in key]
    assert "ipv6CidrBlock" not in cloud.made["i2-lan"].inputs
    assert "own-ipv6" not in str(user_data(cloud, "i2"))


def test_a_rule_for_ipv6_names_its_source_for_without_one_it_would_be_for_ipv4(cloud):
    rules = cloud.made["i1-server"].inputs["nic"]["firewalls"]
    six = [
        (r["name"], r["protocol"], r.get("portRangeStart"), r["sourceIp"])
        for r in rules
        if "ipv6" in r["name"]
    ]
    assert ("ssh ipv6 1", "TCP", 22, "2001:db8:fb::2") in six
    assert ("tunnels ipv6 1", "UDP", 51820, "2000::/3") in six
    assert ("icmp ipv6 2", "ICMPv6", None, "fe80::/10") in six
    assert not [r for r in cloud.made["i2-server"].inputs["nic"]["firewalls"] if "6" in r["name"]]


def test_a_private_lan_is_joined_by_a_card_that_the_machine_knows_by_its_address(cloud):
    nic = cloud.made["i2-private"].inputs
    assert (nic["lan"], nic["ips"], nic["dhcp"]) == (7, ["10.7.1.21"], False)
    assert nic["datacenterId"] == "centre"
    files = {file["path"]: file["content"] for file in user_data(cloud, "i2")["write_files"]}
    script = files["/usr/local/lib/loopback/own-private"]
    assert nic["mac"] in script
    assert "10.7.1.21/24" in script


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
