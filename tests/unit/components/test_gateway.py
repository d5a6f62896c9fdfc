"""What EgressGateway declares and refuses; tests/cluster moves real addresses."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pulumi
import pytest

from loopback_iac.components import EgressGateway
from loopback_iac.kube.gateway import render_gateway_access
from loopback_iac.model import InputRejected, parse_host
from loopback_iac.model.egress_gateway import parse_egress_gateways, parse_gateway_hosts
from loopback_iac.render.gateway import render_gateway
from tests.unit.components.recording import Cloud
from tests.unit.components.test_baseline import CERTIFICATE
from tests.unit.components.test_failover import KEYS

TOKEN = "a.token-of.kubernetes"
SERVER = "https://198.18.32.9:6443"


def answer(args, count: int) -> tuple[str, dict[str, Any]]:
    """As a host that was enrolled."""
    return f"c{count}", {"stdout": json.dumps({"wireguard": {}})}


def ref(number: int) -> dict[str, Any]:
    key = KEYS[f"h{number}"]
    return {"ipv4": f"198.18.32.{number}", "host_key": key, "ssh_agent_socket": "/run/a"}


def group(**more: Any) -> dict[str, Any]:
    found = {"addresses": ["203.0.113.20", "2001:db8:100::20"]}
    return {**found, "nodes": ["w1", "w2"], "policies": ["partners-v4"], **more}


def tree(**more: Any) -> dict[str, Any]:
    return {
        "nodes": {"w1": {"host": ref(1)}, "w2": {"host": ref(2)}},
        "groups": {"partners": group()},
        "cluster": {"server": SERVER, "ca_certificate": CERTIFICATE, "credential": 1},
        "admin_sources": ["198.51.100.0/28"],
        **more,
    }


def rules(declared: dict[str, Any]) -> list[str]:
    with pytest.raises(InputRejected) as refused:
        parse_egress_gateways("gw", declared)
    return [f"{p.rule} at {p.path}" for p in refused.value.problems]


@pytest.fixture(scope="module")
def cloud(declare, hosts):
    def program():
        cluster = {**tree()["cluster"], "credential": pulumi.Output.secret(TOKEN)}
        fixed = {"addresses": ["203.0.113.21"], "nodes": ["w2"]}
        groups = {"partners": group(), "reports": fixed}
        made = EgressGateway("gw", tree(cluster=cluster, groups=groups))
        made.standing.apply(lambda told: hosts.update(standing=told))

    return declare(Cloud(answer), program)


def test_one_node_after_the_other(cloud):
    commands = {f"gw-{node}-{s}" for node in ("w1", "w2") for s in ("enroll", "apply", "confirm")}
    access = {name for name, made in cloud.made.items() if made.typ.startswith("kubernetes:")}
    assert set(cloud.made) == commands | access | {"gw", "gw-w1", "gw-w2"}
    assert "gw-lease-kube-system-loopback-egress-partners" in access
    assert len(access) == 5


def test_who_holds_a_group_already_comes_before_who_is_to_stand_in():
    """Nodes are named in the order of who is preferred; names have none."""
    more = {
        "z": group(nodes=["w2", "w1"]),
        "y": group(nodes=["w2", "w3"]),
        "x": group(nodes=["w4"]),
    }
    nodes = {f"w{at}": {"host": ref(1)} for at in (1, 2, 3, 4)}
    for at, each in enumerate(more.values()):
        each |= {"addresses": [f"203.0.113.{at + 1}"], "policies": [f"p{at}"]}
    found = parse_egress_gateways("gw", tree(nodes=nodes, groups=more))
    assert found.in_order == ["w2", "w4", "w1", "w3"]


def test_a_spare_waits_for_the_node_that_has_the_addresses(declare):
    spare = {"partners": group(nodes=["w2", "w1"])}
    cloud = declare(Cloud(answer), lambda: EgressGateway("gw", tree(groups=spare)))
    assert "gw-w2-confirm" in cloud.needs("gw-w1-apply")
    assert "gw-w1-confirm" not in cloud.needs("gw-w2-apply")


def test_what_stands_is_told_by_group(cloud, hosts):
    assert hosts["standing"] == {
        "partners": ["203.0.113.20", "2001:db8:100::20"],
        "reports": ["203.0.113.21"],
    }


def test_the_credential_is_in_the_bundle_and_nowhere_else(cloud):
    told = [each.inputs for name, each in cloud.made.items() if not name.endswith("-apply")]
    assert TOKEN not in json.dumps(told, default=str)
    bundle = cloud.made["gw-w1-apply"].inputs["stdin"]
    assert TOKEN in json.dumps(bundle)


def hosts_of(declared: dict[str, Any]) -> dict[str, Any]:
    return {node: parse_host(node, each["host"]) for node, each in declared["nodes"].items()}


def test_files_of_a_node():
    declared = tree()
    found = parse_egress_gateways("gw", declared)
    files = render_gateway(found, "w2", hosts_of(declared)).files
    told = json.loads(files["/etc/loopback/gateway.json"].text)
    assert told["groups"][0]["nodes"] == [
        {"name": "w1", "address": "198.18.32.1"},
        {"name": "w2", "address": "198.18.32.2"},
    ]
    assert files["/etc/loopback/gateway-credential"].mode == "0600"
    unit = files["/etc/systemd/system/loopback-gateway.service"].text
    assert "LoadCredential" in unit
    # with it, DynamicUser's folder lies below /run/private, where no exporter looks
    assert "RuntimeDirectoryPreserve" not in unit
    assert "After=network-online.target loopback-nftables.service" in unit


def test_a_group_of_one_node_needs_no_api():
    declared = tree(groups={"reports": {"addresses": ["203.0.113.21"], "nodes": ["w1"]}})
    del declared["cluster"], declared["nodes"]["w2"]
    found = parse_egress_gateways("gw", declared)
    files = render_gateway(found, "w1", hosts_of(declared)).files
    assert "/etc/loopback/gateway-credential" not in files
    assert "LoadCredential" not in files["/etc/systemd/system/loopback-gateway.service"].text
    assert "cilium_host" in files["/etc/loopback/nftables.conf"].text
    assert render_gateway_access(found) == []


def test_every_right_names_its_objects():
    made = render_gateway_access(parse_egress_gateways("gw", tree()))
    granted = [rule for each in made for rule in each.get("rules", [])]
    assert [rule["resourceNames"] for rule in granted] == [
        ["loopback-egress-partners"],
        ["w1", "w2"],
        ["partners-v4"],
    ]
    assert {verb for rule in granted for verb in rule["verbs"]} == {"get", "patch"}


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        ({"policies": []}, "gateway-policies at gw.groups.partners.policies"),
        ({"addresses": []}, "gateway-addresses at gw.groups.partners.addresses"),
        ({"addresses": ["127.0.0.1"]}, "gateway-address at gw.groups.partners.addresses[0]"),
        ({"nodes": ["w1", "w9", "w2"]}, "gateway-node-unknown at gw.groups.partners.nodes[1]"),
        ({"nodes": ["w1", "w2", "w1"]}, "gateway-node-twice at gw.groups.partners.nodes[2]"),
    ],
)
def test_a_group_that_could_not_work_is_refused(more, rule):
    assert rules(tree(groups={"partners": group(**more)})) == [rule]


def test_what_no_two_groups_may_share():
    both = {"partners": group(), "second": group()}
    assert rules(tree(groups=both)) == [
        "gateway-address-twice at gw.groups.second.addresses[0]",
        "gateway-address-twice at gw.groups.second.addresses[1]",
        "gateway-policy-twice at gw.groups.second.policies[0]",
    ]


def test_every_problem_at_once():
    wrong = tree(
        cluster={**tree()["cluster"], "server": "http://198.18.32.9"},
        groups={"partners": group(announced="loudly", lease_ms=100)},
        admin_sources=[],
    )
    assert len(rules(wrong)) == 4


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("ca_certificate", "", "certificate-pem"),
        ("ca_certificate", b64encode(CERTIFICATE.encode()).decode(), "certificate-pem"),
        ("server", "https://198.18.32.9:66443", "gateway-api"),
        ("server", "https://198.18.32.9:abc", "gateway-api"),
        ("server", "https://198.18.32.9:0", "gateway-api"),
        ("server", "https://[2001:db8::1", "gateway-api"),
        ("agent", "http://127.0.0.1:98790/healthz", "gateway-agent"),
    ],
)
def test_an_api_that_no_keeper_could_ask_is_refused(field, value, rule):
    declared = tree(cluster={**tree()["cluster"], field: value})
    assert rules(declared) == [f"{rule} at gw.cluster.{field}"]


def test_nodes_that_stand_in_for_each_other_need_the_api():
    declared = tree()
    del declared["cluster"]
    assert rules(declared) == ["gateway-cluster at gw.groups.partners.nodes"]


def test_a_machine_cannot_stand_in_for_itself_nor_have_an_address_of_its_own():
    declared = tree(groups={"partners": group(addresses=["198.18.32.2"])})
    found = parse_egress_gateways("gw", declared)
    with pytest.raises(InputRejected) as refused:
        parse_gateway_hosts("gw", found, {"w1": {**ref(2), "ipv4": "198.18.32.1"}, "w2": ref(2)})
    assert [p.rule for p in refused.value.problems] == ["gateway-apart", "gateway-address-own"]
