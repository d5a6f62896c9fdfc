"""What HetznerHost declares. Mocks prove the wiring only; tests/lab orders real machines."""

from __future__ import annotations

import re
from typing import Any

import pulumi
import pytest
import yaml

from loopback_iac.components import HetznerHost
from loopback_iac.components.boundary import RejectedInputs
from tests.unit.components.recording import FLEET_SECRET, Cloud

SECRETS = (FLEET_SECRET, "PRIVATE KEY")


def answer(args, count: int) -> tuple[str, dict[str, Any]]:
    """As Hetzner's provider."""
    out = {}
    if args.typ == "hcloud:index/primaryIp:PrimaryIp":
        v6 = args.inputs["type"] == "ipv6"
        out = {"ipAddress": "2001:db8:7::" if v6 else "198.18.32.7"}
        out |= {"ipNetwork": "2001:db8:7::/64"} if v6 else {}
    return str(100 + count), out


def told(resource, name: str):
    """An input, out of its secret wrapping."""
    value = resource.inputs[name]
    return value["value"] if isinstance(value, dict) and "value" in value else value


def plain(**more: Any) -> dict[str, Any]:
    """Args with nothing late, for programs that end before Pulumi looks at a value."""
    return {
        "location": "fsn1",
        "server_type": "cx23",
        "role": "worker",
        "admin_sources": ["198.18.251.2/32"],
        "fleet_secret": "late",
        "ssh_private_key": "late",
        **more,
    }


def args(deploy_key: str, **more: Any) -> dict[str, Any]:
    late = {"fleet_secret": FLEET_SECRET, "ssh_private_key": deploy_key}
    return plain(**{k: pulumi.Output.secret(v) for k, v in late.items()}, **more)


@pytest.fixture(scope="module")
def cloud(declare, deploy_key, hosts):
    def program():
        made = HetznerHost("h1", args(deploy_key, labels={"data_class": "public"}))
        made.host.apply(lambda ref: hosts.update(h1=ref))

    return declare(Cloud(answer), program)


def test_children_and_their_names(cloud):
    assert sorted((r.typ, name) for name, r in cloud.made.items()) == [
        ("command:remote:Command", "h1-ready"),
        ("hcloud:index/firewall:Firewall", "h1-firewall"),
        ("hcloud:index/primaryIp:PrimaryIp", "h1-ipv4"),
        ("hcloud:index/primaryIp:PrimaryIp", "h1-ipv6"),
        ("hcloud:index/server:Server", "h1-server"),
        ("hcloud:index/sshKey:SshKey", "h1-ssh-key"),
        ("loopback-iac:index:HetznerHost", "h1"),
    ]


def test_the_output_is_the_one_of_every_host(cloud, hosts, deploy_key):
    ref = hosts["h1"]
    assert ref["ipv4"] == "198.18.32.7"
    assert ref["ipv6"] == "2001:db8:7::1"
    assert re.fullmatch(r"hcloud-\d+", ref["instance_id"])
    assert ref["host_key"].startswith("ssh-ed25519 AAAA")
    assert ref["ssh_private_key"] == deploy_key
    assert (ref["provider"], ref["country"], ref["site"]) == ("hetzner", "DE", "fsn1")
    assert ref["failure_domains"] == ["hetzner-fsn1"]


def test_the_server_is_pinned_closed_and_guarded(cloud, hosts):
    server = cloud.made["h1-server"].inputs
    assert server["deleteProtection"] is server["rebuildProtection"] is True
    assert server["image"] == "debian-13"
    assert server["labels"] == {"data-class": "public", "role": "worker"}
    number = int(server["publicNets"][0]["ipv4"])
    assert number > 100
    assert server["firewallIds"] != []
    data = yaml.safe_load(told(cloud.made["h1-server"], "userData"))
    assert data["ssh_keys"]["ed25519_public"] == hosts["h1"]["host_key"]
    rules = cloud.made["h1-firewall"].inputs["rules"]
    assert [(r["protocol"], r.get("port")) for r in rules] == [
        ("tcp", "22"),
        ("udp", "51820-51870"),
        ("udp", "52844-52894"),
        ("icmp", None),
    ]
    assert rules[0]["sourceIps"] == ["198.18.251.2/32"]


def test_secrets_stand_in_secret_inputs_only(cloud):
    """Mocks wrap a secret input in a dict with its mark; what is bare would be shown."""
    for name, resource in cloud.made.items():
        for key, value in resource.inputs.items():
            if isinstance(value, dict) and "value" in value:
                continue
            assert not any(secret in str(value) for secret in SECRETS), f"{name}.{key}"


def test_it_waits_when_created_and_drains_when_deleted(cloud, hosts):
    ready = cloud.made["h1-ready"].inputs
    agent = "/usr/local/sbin/loopback-agent"
    assert ready["create"] == f"{agent} undrain"
    assert ready["delete"] == f"{agent} drain"
    assert ready["update"] == f"{agent} report"
    assert [f"hcloud-{t}" for t in ready["triggers"]] == [hosts["h1"]["instance_id"]]
    connection = told(cloud.made["h1-ready"], "connection")
    assert connection["hostKey"] == hosts["h1"]["host_key"]


def test_the_same_program_gives_the_same_user_data(cloud, declare, deploy_key):
    again = declare(Cloud(answer), lambda: HetznerHost("h1", args(deploy_key)))
    before = told(cloud.made["h1-server"], "userData")
    assert told(again.made["h1-server"], "userData") == before
    other = declare(Cloud(answer), lambda: HetznerHost("h1", args(deploy_key, host_key_epoch=2)))
    assert told(other.made["h1-server"], "userData") != before


def test_what_is_shared_is_given(declare, deploy_key):
    more = {
        "ssh_key": pulumi.Output.from_input("deploy"),
        "placement_group_id": pulumi.Output.from_input("77"),
        "private_network": {"subnet_id": "9-10.0.1.0/24", "ip": "10.0.1.5"},
        "ipv6": False,
        "protection": False,
        "bastion": {"address": "198.18.251.9", "host_key": "ssh-ed25519 " + "A" * 68},
    }
    key = "AAAAC3NzaC1lZDI1NTE5AAAAIGm3O6QVKcmWbx9fGxPnNqJtPBkYpU1Gxq1SVN5jyjyc"
    more["bastion"]["host_key"] = f"ssh-ed25519 {key}"
    made = declare(Cloud(answer), lambda: HetznerHost("h1", args(deploy_key, **more))).made
    assert "h1-ssh-key" not in made
    assert "h1-ipv6" not in made
    server = made["h1-server"].inputs
    assert server["sshKeys"] == ["deploy"]
    assert server["placementGroupId"] == 77
    assert server["networks"] == [{"subnetId": "9-10.0.1.0/24", "ip": "10.0.1.5", "aliasIps": []}]
    assert server["publicNets"][0]["ipv6Enabled"] is False
    assert server["deleteProtection"] is False
    assert told(made["h1-ready"], "connection")["proxy"]["host"] == "198.18.251.9"


def test_bad_input_is_refused_before_anything_is_declared():
    made = Cloud(answer)
    pulumi.runtime.set_mocks(made, preview=True)
    with pytest.raises(RejectedInputs) as refused:
        HetznerHost("h1", plain(location="fns1", server_type="cx1"))
    assert "h1.location" in str(refused.value)
    assert "h1.server_type" in str(refused.value)
    assert made.made == {}


def test_a_malformed_token_is_refused_and_not_shown(monkeypatch):
    monkeypatch.setenv("HCLOUD_TOKEN", "too-short")
    made = Cloud(answer)
    pulumi.runtime.set_mocks(made, preview=True)
    with pytest.raises(RejectedInputs) as refused:
        HetznerHost("h1", plain())
    assert "has 9 characters" in str(refused.value)
    assert "too-short" not in str(refused.value)
    assert made.made == {}
