"""Egress: what is rendered, what is refused in which words, what an audit comes to."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import kubernetes_validate
import pytest
import yaml

from loopback_iac.kube import check_manifests
from tests.golden import case as golden
from tests.golden import egress

KUBERNETES = ("1.31", "1.34", "1.37")
CORE = ("v1", "apps/v1", "rbac.authorization.k8s.io/v1", "networking.k8s.io/v1")


@pytest.mark.parametrize("name", egress.names(rejected=True))
def test_rejected(name):
    case = egress.load(name)
    golden.refused(case.folder, case.means, case.read)


@pytest.mark.parametrize("name", egress.names(rejected=False))
def test_rendered(name):
    case = egress.load(name)
    diff = golden.compare(case.folder, egress.texts(case))
    assert not diff, f"\n{diff}"


@cache
def manifests():
    return dict(_manifests())


def _manifests():
    for name in egress.names(rejected=False):
        case = egress.load(name)
        if not case.flows:
            yield name, list(yaml.safe_load_all(egress.texts(case)["manifests.yaml"]))


def test_what_is_rendered_passes_the_check_of_what_is_written_by_hand():
    found = manifests()
    assert any(each["kind"].endswith("GatewayPolicy") for docs in found.values() for each in docs)
    assert {name: check_manifests(docs) for name, docs in found.items()} == dict.fromkeys(found, ())


@pytest.mark.parametrize("version", KUBERNETES)
def test_kinds_of_kubernetes_itself_are_valid_in_strict_mode(version):
    kinds = set()
    for documents in manifests().values():
        for each in documents:
            if each["apiVersion"] in CORE:
                assert kubernetes_validate.validate(each, version, strict=True) == version
                kinds.add(each["kind"])
    assert kinds >= {"Service", "DaemonSet", "ClusterRole", "ClusterRoleBinding", "NetworkPolicy"}


def test_a_wrong_manifest_fails_that_validation():
    wrong = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"typ": "x"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES[0], strict=True)


def test_families_never_share_a_policy_and_no_way_has_an_interface():
    for documents in manifests().values():
        for each in documents:
            if each["kind"] != "CiliumEgressGatewayPolicy":
                continue
            spec = each["spec"]
            six = [":" in network for network in spec["destinationCIDRs"]]
            assert len(set(six)) == 1
            for way in (spec["egressGateway"], *spec.get("egressGateways", [])):
                assert set(way) == {"nodeSelector", "egressIP"}
                assert (":" in way["egressIP"]) is six[0]


def test_every_line_of_the_table_of_backends_has_a_source():
    tree = yaml.safe_load(files("loopback_iac.kube").joinpath("backends.yaml").read_text())
    claims = [
        claim
        for backend in tree.values()
        for part in backend.values()
        for claim in (part.values() if isinstance(part, dict) else part)
    ]
    assert len(claims) > 30
    assert all(claim["source"] and claim["mark"] in ("read", "measured") for claim in claims)
    assert set(tree["cilium"]["can"]) == set(tree["kube-vip"]["can"])
