"""What EgressPolicy declares, in which order, and refuses; the kinds themselves: tests/golden."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from loopback_iac.components import EgressPolicy
from loopback_iac.components.boundary import RejectedInputs
from loopback_iac.components.manifests import child_name
from loopback_iac.kube import gateway_groups, parse_egress_tree, render_cilium
from loopback_iac.kube.groups import check_standing
from tests.unit.components.recording import Cloud

EXAMPLE = yaml.safe_load((Path(__file__).parents[3] / "docs/egress-example.yaml").read_text())
VIP = yaml.safe_load((Path(__file__).parents[2] / "golden/egress/kube-vip/fleet.yaml").read_text())[
    "egress"
]
STANDING = {"a": ["2001:db8:100::2a", "203.0.113.20"], "b": ["203.0.113.21"]}
CEGP = "kubernetes:cilium.io/v2:CiliumEgressGatewayPolicy"


def answer(args, count: int) -> tuple[str, dict[str, Any]]:
    return f"id{count}", {}


def run(declare, args: dict[str, Any]) -> Cloud:
    told: dict[str, Any] = {}

    def program():
        made = EgressPolicy("egress", args)
        for output in ("manifests", "allocations", "values"):
            getattr(made, output).apply(lambda value, o=output: told.update({o: value}))

    cloud = declare(Cloud(answer), program)
    cloud.told = told
    return cloud


@pytest.fixture(scope="module")
def cilium(declare):
    return run(declare, {**EXAMPLE, "standing": pulumi.Output.from_input(STANDING)})


@pytest.fixture(scope="module")
def kube_vip(declare):
    return run(declare, VIP)


def test_each_manifest_is_a_child_of_its_own_kind(cilium):
    egress = parse_egress_tree("egress", EXAMPLE)
    kinds = {name: made.typ for name, made in cilium.made.items()}
    assert kinds == {
        "egress-ciliumnetworkpolicy-billing-egress-billing-to-bank": "kubernetes:cilium.io/v2:"
        "CiliumNetworkPolicy",
        "egress-ciliumclusterwidenetworkpolicy-egress-reports-out": "kubernetes:cilium.io/v2:"
        "CiliumClusterwideNetworkPolicy",
        "egress-a-label-on-w1": "kubernetes:core/v1:Node",
        "egress-b-label-on-w2": "kubernetes:core/v1:Node",
        "egress-a-label": "kubernetes:core/v1:NodePatch",
        "egress-b-label": "kubernetes:core/v1:NodePatch",
        "egress-ciliumegressgatewaypolicy-billing-to-bank-v4": CEGP,
        "egress-ciliumegressgatewaypolicy-billing-to-bank-v6": CEGP,
        "egress-ciliumegressgatewaypolicy-reports-out-v4": CEGP,
        "egress": "loopback-iac:index:EgressPolicy",
    }
    for each in render_cilium(egress):
        assert cilium.made[child_name("egress", each)].inputs["spec"] == each["spec"]


def test_a_gateways_label_is_all_that_is_said_of_its_node(cilium):
    patch = cilium.made["egress-a-label"].inputs
    about = {"name": "w1", "labels": {"egress": "a"}}
    assert patch == {"apiVersion": "v1", "kind": "Node", "metadata": about}


def test_denials_then_labels_then_who_is_translated(cilium):
    denials = {name for name in cilium.made if "networkpolicy" in name}
    for gateway, node in (("a", "w1"), ("b", "w2")):
        label = f"egress-{gateway}-label"
        assert cilium.needs(label) == {*denials, f"{label}-on-{node}"}
        # moved, it goes from the old node first: of two Cilium takes the first by name
        assert cilium.asked[label].deleteBeforeReplace
    policies = {name for name, made in cilium.made.items() if made.typ == CEGP}
    assert policies
    assert all(
        cilium.needs(name) == {*denials, "egress-a-label", "egress-b-label"} for name in policies
    )


def test_policies_say_what_stands_and_where_so_that_a_change_touches_them(cilium):
    for name, made in cilium.made.items():
        if made.typ != CEGP:
            continue
        notes = made.inputs["metadata"]["annotations"]
        assert notes["loopback-iac/standing"] == "a=2001:db8:100::2a,203.0.113.20;b=203.0.113.21"
        # a name that a keeper of before left in it goes, whoever wrote it
        assert made.inputs["spec"]["egressGateways"] == []
        assert notes["pulumi.com/patchForce"] == "true"
        assert notes["loopback-iac/gateway-nodes"] == ("a=w1" if "billing" in name else "b=w2")


def test_outputs(cilium):
    assert "CiliumNetworkPolicy billing/egress-billing-to-bank" in cilium.told["manifests"]
    assert {row["address"]: row["tenant"] for row in cilium.told["allocations"]} == {
        "203.0.113.20": "shop",
        "203.0.113.21": "bank",
        "2001:db8:100::2a": "shop",
    }
    values = cilium.told["values"]
    assert values["bpf"] == {"masquerade": True}
    assert values["k8sServiceHost"] == "api.prod.example.net"


def test_candidates_get_no_label_here(declare):
    args = copy.deepcopy(EXAMPLE)
    args["gateways"]["a"]["candidates"] = ["w1", "w3"]
    del args["nodes"]["w1"]["labels"], args["nodes"]["w1"]["carries"]
    made = run(declare, args).made
    assert "egress-a-label" not in made
    assert "egress-b-label" in made
    policy = made["egress-ciliumegressgatewaypolicy-billing-to-bank-v4"].inputs
    notes = policy["metadata"]["annotations"]
    assert notes["loopback-iac/gateway-candidates"] == "a=w1|w3"
    # the list is the keepers', and no other hand's
    assert "pulumi.com/patchForce" not in notes
    assert "egressGateways" not in policy["spec"]
    group = gateway_groups(parse_egress_tree("egress", args))["a"]
    assert (group.nodes, group.moves) == (("w1", "w3"), True)
    assert [str(a) for a in group.addresses] == ["203.0.113.20", "2001:db8:100::2a"]
    assert group.policies == ("billing-to-bank-v4", "billing-to-bank-v6")


def test_kube_vip_runs_on_labelled_nodes_and_no_service_is_waited_for(kube_vip):
    made = kube_vip.made
    assert {"egress-workers-w1-label", "egress-workers-w2-label", "egress-lan-w3-label"} <= set(
        made
    )
    services = [each for each in made.values() if each.typ == "kubernetes:core/v1:Service"]
    assert len(services) == 2
    for each in services:
        assert each.inputs["metadata"]["annotations"]["pulumi.com/skipAwait"] == "true"
    assert kube_vip.told["values"] == {}


@pytest.mark.parametrize("told", [{}, {"a": ["203.0.113.20"]}, {"a": None, "b": []}, None, []])
def test_a_policy_before_its_address_is_refused_by_name(told):
    egress = parse_egress_tree("egress", EXAMPLE)
    assert not list(check_standing(egress, STANDING))
    found = list(check_standing(egress, told))
    assert {each.rule for each in found} == {"address-not-standing"}
    assert {"standing.a", "standing.b"} == {each.path for each in found}
    assert any("2001:db8:100::2a does not stand there" in each.got for each in found)


def test_everything_wrong_is_told_at_once(declare):
    args = json.loads(json.dumps(EXAMPLE, default=str))
    args["policies"]["reports-out"]["gateways"] = {"b": ["203.0.113.99"]}
    args["pools"]["partners"]["allocations"]["late"] = ["v4"]
    args["nodes"]["w3"]["labels"] = {"egress": "a"}
    args["cilium"]["values"]["bpf"] = {"masquerade": False}
    with pytest.raises(RejectedInputs) as refused:
        run(declare, args)
    for rule in ("address-not-owned", "pool-allocation-open"):
        assert rule in str(refused.value)
    args["policies"]["reports-out"]["gateways"] = {"b": ["203.0.113.21"]}
    del args["pools"]["partners"]["allocations"]["late"]
    with pytest.raises(RejectedInputs) as refused:
        run(declare, args)
    for rule in ("gateway-several", "helm-value"):
        assert rule in str(refused.value)


def test_numbers_of_a_chart_stay_whole_through_a_component_host():
    tree = copy.deepcopy(EXAMPLE)
    tree["format"] = 1.0
    tree["cilium"]["values"]["k8sServicePort"] = 6443.0
    egress = parse_egress_tree("egress", tree)
    assert egress.cilium.values["k8sServicePort"] == 6443
    assert isinstance(egress.cilium.values["k8sServicePort"], int)


def test_what_keepers_say_late_is_held_to_what_is_declared(declare):
    late = pulumi.Output.from_input({"a": ["203.0.113.20"], "b": ["203.0.113.21"]})
    with pytest.raises(RejectedInputs, match="2001:db8:100::2a"):
        run(declare, {**EXAMPLE, "standing": late})
