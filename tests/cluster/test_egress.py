"""Egress before a real API server with Cilium's own kinds: what is applied, in which order."""

from __future__ import annotations

import copy
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from loopback_iac.engine import up
from loopback_iac.kube import check_manifests
from loopback_iac.lab.cluster.binaries import binary
from loopback_iac.lab.kubernetes.cluster import ApiError, Cluster, open_cluster
from loopback_iac.lab.kubernetes.settings import Settings
from tests.cluster.api import DEFINITIONS
from tests.golden import egress as golden

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopback_iac.lab.cluster.control import ControlPlane
    from tests.engine.conftest import Stack

HERE = Path(__file__).parent
PLUGIN = HERE.parents[1] / "loopback_iac" / "lab" / "plugins" / "kubernetes"
EXAMPLE = yaml.safe_load((HERE.parents[1] / "docs/egress-example.yaml").read_text())
KINDS = ("ciliumegressgatewaypolicies", "ciliumnetworkpolicies", "ciliumclusterwidenetworkpolicies")
CILIUM = "/apis/cilium.io/v2"
PATHS = {
    "CiliumEgressGatewayPolicy": "/apis/cilium.io/v2/ciliumegressgatewaypolicies",
    "CiliumNetworkPolicy": "/apis/cilium.io/v2/namespaces/{}/ciliumnetworkpolicies",
    "CiliumClusterwideNetworkPolicy": "/apis/cilium.io/v2/ciliumclusterwidenetworkpolicies",
    "Service": "/api/v1/namespaces/{}/services",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "DaemonSet": "/apis/apps/v1/namespaces/{}/daemonsets",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
}


def define(cluster: Cluster) -> None:
    """Cilium's kinds, as its module has them."""
    folder = binary("cilium-crds") / "v2"
    there = cluster.request("GET", DEFINITIONS)["items"]
    for kind in KINDS:
        if any(each["spec"]["names"]["plural"] == kind for each in there):
            continue
        tree = yaml.safe_load((folder / f"{kind}.yaml").read_text())
        cluster.request("POST", DEFINITIONS, tree)
        settle(cluster, f"{CILIUM}/{kind}")


def settle(cluster: Cluster, path: str) -> None:
    """Until the API server serves a new kind."""
    for _ in range(600):
        try:
            cluster.request("GET", path)
        except ApiError:
            continue
        return
    raise AssertionError(path)


@pytest.fixture(scope="module")
def cluster(plane: ControlPlane) -> Iterator[Cluster]:
    """Nodes that nobody runs, and the namespaces of the example; kinds of Cilium come later."""
    made = open_cluster(Settings(kubeconfig=str(plane.kubeconfig)))
    for name in EXAMPLE["nodes"]:
        made.request("POST", "/api/v1/nodes", {"metadata": {"name": name, "labels": {"a": "b"}}})
    for name in ("billing", "shop", "bank"):
        made.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    yield made
    for kind in KINDS:
        made.request("DELETE", f"{DEFINITIONS}/{kind}.cilium.io")
    for name in EXAMPLE["nodes"]:
        made.request("DELETE", f"/api/v1/nodes/{name}")


@pytest.fixture
def declared(stack: Stack, plane: ControlPlane) -> Stack:
    stack.write_project(
        main=str(HERE / "programs" / "egress"),
        plugins={"providers": [{"name": "kubernetes", "path": str(PLUGIN)}]},
    )
    stack.declare = lambda tree: stack.write(
        [], secrets={"kubeconfig": plane.kubeconfig.read_text()}, egress=json.dumps(tree)
    )
    return stack


def labels(cluster: Cluster) -> dict[str, Any]:
    found = cluster.request("GET", "/api/v1/nodes")["items"]
    return {each["metadata"]["name"]: each["metadata"]["labels"].get("egress") for each in found}


def policies(cluster: Cluster) -> dict[str, Any]:
    found = cluster.request("GET", f"{CILIUM}/ciliumegressgatewaypolicies")["items"]
    return {each["metadata"]["name"]: each for each in found}


def version(thing: dict[str, Any]) -> int:
    """One store numbers every change, so it says what came before what."""
    return int(thing["metadata"]["resourceVersion"])


def test_the_whole_life_of_a_clusters_egress(declared: Stack, cluster: Cluster) -> None:
    """Without Cilium's kinds, with them, again, moved to another node, and gone."""
    plain = json.loads(json.dumps(EXAMPLE, default=str))
    declared.declare(plain)
    failed = declared.run(up)
    assert not failed.ok
    told = "".join(each.message for each in failed.diagnostics)
    assert 'no matches for kind "CiliumNetworkPolicy" in version "cilium.io/v2"' in told
    assert set(labels(cluster).values()) == {None}  # nothing was labelled before who denies
    define(cluster)
    declared.up()
    assert labels(cluster) == {"w1": "a", "w2": "b", "w3": None}
    made = policies(cluster)
    assert set(made) == {"billing-to-bank-v4", "billing-to-bank-v6", "reports-out-v4"}
    nodes = {n["metadata"]["name"]: n for n in cluster.request("GET", "/api/v1/nodes")["items"]}
    denies = cluster.request("GET", f"{CILIUM}/namespaces/billing/ciliumnetworkpolicies")["items"]
    assert max(map(version, denies)) < version(nodes["w1"])
    assert version(nodes["w1"]) < min(map(version, made.values()))
    declared.up()
    assert list(map(version, policies(cluster).values())) == list(map(version, made.values()))

    wrong = copy.deepcopy(plain)
    wrong["nodes"]["w9"] = wrong["nodes"].pop("w2")
    declared.declare(wrong)
    assert not declared.plan().ok  # no node is made by labelling one that is not there
    assert not declared.run(up).ok
    assert labels(cluster) == {"w1": "a", "w2": "b", "w3": None}

    plain["nodes"]["w3"] |= {"labels": plain["nodes"]["w1"].pop("labels")}
    plain["nodes"]["w3"] |= {"carries": plain["nodes"]["w1"].pop("carries")}
    declared.declare(plain)
    declared.up()
    assert labels(cluster) == {"w1": None, "w2": "b", "w3": "a"}
    nodes = {n["metadata"]["name"]: n for n in cluster.request("GET", "/api/v1/nodes")["items"]}
    moved = policies(cluster)
    # off the old one, on the new one, and then the policy is touched
    assert version(nodes["w1"]) < version(nodes["w3"]) < version(moved["billing-to-bank-v4"])
    notes = moved["billing-to-bank-v4"]["metadata"]["annotations"]
    assert notes["loopback-iac/gateway-nodes"] == "a=w3"
    assert version(moved["reports-out-v4"]) == version(made["reports-out-v4"])

    declared.destroy()
    assert policies(cluster) == {}
    assert set(labels(cluster).values()) == {None}
    assert nodes["w3"]["metadata"]["labels"]["a"] == "b"


def asked(cluster: Cluster, manifest: dict[str, Any]) -> str:
    """What the API server says in strict mode; nothing is made."""
    path = PATHS[manifest["kind"]].format(manifest["metadata"].get("namespace"))
    try:
        cluster.request("POST", path, manifest, dryRun="All", fieldValidation="Strict")
    except ApiError as refused:
        return str(refused)
    return ""


def parsed(manifest: dict[str, Any]) -> str:
    """What the agent's own parser says."""
    words = [str(binary("cegp"))]
    text = json.dumps(manifest)
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    return json.loads(done.stdout)["error"] if done.returncode == 0 else done.stderr


@pytest.mark.parametrize("name", golden.names(rejected=False))
def test_what_is_rendered_is_taken_in_strict_mode_and_by_the_agents_parser(cluster, name):
    define(cluster)
    case = golden.load(name)
    if case.flows:
        return
    for each in yaml.safe_load_all(golden.texts(case)["manifests.yaml"]):
        place = each["metadata"].get("namespace")
        known = place in (None, "kube-system", "billing", "shop", "bank")
        about = {**each["metadata"], **({} if known else {"namespace": "billing"})}
        assert asked(cluster, {**each, "metadata": about}) == ""
        if each["kind"] == "CiliumEgressGatewayPolicy":
            assert parsed(each) == ""


GOOD = {
    "apiVersion": "cilium.io/v2",
    "kind": "CiliumEgressGatewayPolicy",
    "metadata": {"name": "good"},
    "spec": {
        "selectors": [{"podSelector": {"matchLabels": {"app": "web"}}}],
        "destinationCIDRs": ["192.0.2.0/24"],
        "egressGateway": {
            "nodeSelector": {"matchLabels": {"egress": "a"}},
            "egressIP": "203.0.113.20",
        },
    },
}
API, AGENT, NOBODY = "API server", "agent", "nobody"
WAY, POD = "egressGateway", "selectors.0.podSelector"
SAME = GOOD["spec"][WAY]
MISTAKES = [
    ("destinationCIDRs", ["192.0.2.0"], API),
    ("destinationCIDRs", ["300.1.1.1/8"], API),
    ("destinationCIDRs", None, API),
    (f"{WAY}.egressIP", "203.0.113.300", API),
    (WAY, None, API),
    ("destinationFQDNs", ["example.net"], API),
    (f"{POD}.matchLabels.app", "a b", API),
    (f"{WAY}.interface", "eth1", AGENT),
    ("selectors", [{}], AGENT),
    ("selectors", [{"nodeSelector": {"matchLabels": {"zone": "a"}}}], AGENT),
    ("destinationCIDRs", ["192.0.2.0/24", "2001:db8::/32"], NOBODY),
    (f"{WAY}.egressIP", "2001:db8::1", NOBODY),
    ("destinationCIDRs", ["10.1.2.3/8"], NOBODY),
    ("selectors", [], NOBODY),
    ("destinationCIDRs", [], NOBODY),
    (f"{POD}.matchLabels", {"pod-template-hash": "abc"}, NOBODY),
    (POD, {"matchExpressions": [{"key": "app", "operator": "In"}]}, NOBODY),
    (POD, {}, NOBODY),
    (f"{WAY}.nodeSelector", {}, NOBODY),
    ("egressGateways", [SAME, SAME], NOBODY),
    (f"{WAY}.egressIP", None, NOBODY),
    ("excludedCIDRs", ["198.51.100.0/24"], NOBODY),
    ("selectors", [{**GOOD["spec"]["selectors"][0], "nodeSelector": {"matchLabels": {"z": "a"}}},
                   {"podSelector": {"matchLabels": {"app": "b"}}}], NOBODY),
]  # fmt: skip


def mistaken(path: str, value: Any) -> dict[str, Any]:
    made = copy.deepcopy(GOOD)
    here: Any = made["spec"]
    *steps, last = path.split(".")
    for step in steps:
        here = here[int(step)] if step.isdecimal() else here[step]
    if value is None:
        del here[last]
    else:
        here[last] = value
    return made


@pytest.mark.parametrize(
    ("path", "value", "who"), MISTAKES, ids=[f"{n}-{m[0]}" for n, m in enumerate(MISTAKES)]
)
def test_a_mistake_is_refused_by_us_whoever_else_takes_it(cluster, path, value, who):
    define(cluster)
    wrong = mistaken(path, value)
    assert check_manifests([wrong])
    strict, agent = asked(cluster, wrong), parsed(wrong)
    found = API if strict else AGENT if agent else NOBODY
    assert found == who, f"{strict}; {agent}"


def test_the_policy_that_the_mistakes_are_made_in_is_taken_by_all(cluster):
    define(cluster)
    assert (asked(cluster, GOOD), parsed(GOOD), check_manifests([GOOD])) == ("", "", ())
