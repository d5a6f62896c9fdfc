"""stacks/cluster applied whole to the lab's cluster, beside the stack of the edge."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
import yaml

from loopback_iac.lab.cluster.stack import PROJECT, prepare_stack, run_stack
from loopback_iac.lab.cluster.workload import CLASS
from tests.cluster.ingress.authority import running_authority

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopback_iac.lab.cluster.ground import Cluster

# what this stack makes, wherever it is
KINDS = (
    *("namespaces", "clusterroles", "clusterrolebindings", "ingressclasses", "clusterissuers"),
    *("daemonsets", "configmaps", "serviceaccounts", "services", "networkpolicies"),
    *("ciliumegressgatewaypolicies", "ciliumnetworkpolicies"),
)
ISSUER, EGRESS = "issuer", "billing-to-bank"
ADDRESS = "203.0.113.130"
PATIENCE_S = 60


class Stack:
    """The stack as an operator has it: a stack file and three verbs."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.file = prepare_stack(cluster) / f"Pulumi.{cluster.lab.paths.name}.yaml"

    def run(self, verb: str) -> dict[str, int]:
        """Out: how many resources were changed, and how."""
        done = run_stack(self.cluster, verb, "--yes", "--json")
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        counts = json.loads(done.stdout)["counts"]
        return {kind: count for kind, count in counts.items() if kind not in ("same", "read")}

    def configure(self, **settings: object) -> None:
        tree = yaml.safe_load(self.file.read_text())
        tree["config"] |= {f"{PROJECT}:{key}": value for key, value in settings.items()}
        self.file.write_text(yaml.safe_dump(tree, sort_keys=False))

    def objects(self) -> set[str]:
        """Every object of these kinds that is in the cluster."""
        words = ("get", ",".join(KINDS), "--all-namespaces", "-o", "json")
        listed = json.loads(self.cluster.kubectl(*words))["items"]
        return {
            "/".join((o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]))
            for o in listed
        }

    def labels(self) -> dict[str, dict[str, str]]:
        listed = json.loads(self.cluster.kubectl("get", "nodes", "-o", "json"))["items"]
        return {n["metadata"]["name"]: n["metadata"]["labels"] for n in listed}


@pytest.fixture
def stack(site, tmp_path) -> Iterator[Stack]:
    """The stack that stands, with an authority beside it; afterwards it is as it was."""
    with running_authority(site.cluster, tmp_path) as authority:
        made = Stack(site.cluster)
        kept = made.file.read_text()
        made.configure(issuer=authority.declared)
        try:
            yield made
        finally:
            made.file.write_text(kept)
            made.run("up")


@pytest.mark.timeout(600)
def test_p1_both_ends_are_applied_twice_and_taken_away(stack, site):
    assert stack.run("up")["create"] >= 2  # the component, and its ClusterIssuer
    assert stack.run("up") == {}
    stands = stack.objects()
    words = ("get", "clusterissuer", ISSUER, "-o", "jsonpath={.status.conditions[0].status}")
    assert stack.cluster.kubectl(*words) == "True"  # the authority knows its account
    assert f"CiliumEgressGatewayPolicy//{EGRESS}-v4" in stands
    # one request, through VIP, PoP, tunnel and Traefik to a pod
    answer = site.ask("c-fra")
    assert answer["client"] == site.address("c-fra")
    labelled = {name for name, had in stack.labels().items() if "loopback-iac/egress" in had}
    assert labelled == {"w2"}
    # the row of an address that partners know is protected until it is given back by name
    stack.configure(orders={"partners": {"giving_back": [ADDRESS]}})
    stack.run("up")
    stack.run("destroy")
    gone = stands - stack.objects()
    assert not any(f"ingress-{CLASS}" in name or EGRESS in name for name in stack.objects())
    assert {name.partition("/")[0] for name in gone} >= {"DaemonSet", "ClusterIssuer", "Namespace"}
    assert not any("loopback-iac/egress" in had for had in stack.labels().values())
    deadline = time.monotonic() + PATIENCE_S
    while site.curl("c-fra").returncode == 0:  # nobody listens where the edge leads
        assert time.monotonic() < deadline
        time.sleep(0.5)
