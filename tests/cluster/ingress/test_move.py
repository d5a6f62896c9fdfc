"""Workers move to another provider with the cluster running, and clients notice nothing."""

from __future__ import annotations

import json

import pytest
import yaml

from loopback_iac.lab.cluster.images import app_image
from loopback_iac.lab.cluster.stack import declare_egress, deploy_stack
from loopback_iac.lab.cluster.workload import APP, TLS, traefik_image
from loopback_iac.lab.drill.changes import CHECKOUT
from loopback_iac.lab.drill.moves import migrate_argv
from loopback_iac.lab.drill.patience import RTT_MS
from loopback_iac.lab.stackconfig import OTHER_PROVIDER, PROJECT, PROVIDER
from loopback_iac.lab.topology import OPS, SPARES

OLD = ("w1", "w2")
NUMBERS = {name: number for number, name in enumerate((*OLD, *SPARES), 1)}
KEPT = (f"deployment/{APP}", f"service/{APP}", f"ingress/{APP}", f"secret/{TLS}")


class Move:
    """Every step of a move, the edge's and the cluster's, in the order of docs/cluster.md."""

    def __init__(self, site, leaving, coming) -> None:
        self.site, self.cluster, self.lab = site, site.cluster, site.lab
        self.leaving, self.coming = leaving, coming

    def whole(self) -> None:
        """From machines that are delivered to old ones that are given back."""
        for name in self.coming:
            self.lab.power_on(name)
        self.announce()
        for name in self.coming:
            self.cluster.node(name).join([app_image(), traefik_image()])
        words = ("rollout", "status", "daemonset/traefik-edge", "--namespace=ingress-edge")
        self.cluster.kubectl(*words, "--timeout=120s", timeout_s=130)
        done = self.lab.exec(OPS, migrate_argv(self.leaving, self.coming), timeout_s=400)
        assert done.returncode == 0, done.stderr
        self.empty()

    def announce(self) -> None:
        """Newcomers have tunnels and no traffic, and Traefik's file says whom to believe there."""
        file = self.lab.paths.stack_config
        tree = yaml.safe_load(file.read_text())
        tree["config"][f"{PROJECT}:workers"] |= {
            name: {"node_id": NUMBERS[name], "rtt_ms": RTT_MS, "weight": 0} for name in self.coming
        }
        file.write_text(yaml.safe_dump(tree, sort_keys=False))
        done = self.lab.exec(OPS, ["loopback", "up", "-C", str(CHECKOUT), "--yes"], timeout_s=400)
        assert done.returncode == 0, done.stderr
        deploy_stack(self.cluster)

    def empty(self) -> None:
        """Pods leave and egress with them; the nodes are none any more, the machines are off."""
        self.cluster.kubectl("cordon", *self.leaving)
        for name in self.leaving:
            drain = ("drain", name, "--ignore-daemonsets", "--timeout=120s")
            self.cluster.kubectl(*drain, timeout_s=130)
        declare_egress(self.cluster, self.coming)
        deploy_stack(self.cluster)
        self.cluster.kubectl("delete", "node", *self.leaving)
        for name in self.leaving:
            self.cluster.node(name).leave()
            self.lab.power_off(name)


@pytest.fixture
def written(cluster):
    """What the application's owner wrote, as the API server has it: to be compared."""

    def read() -> dict[str, str]:
        listed = json.loads(cluster.kubectl("get", *KEPT, "-o", "json"))["items"]
        return {
            told["kind"]: json.dumps(
                [told["metadata"]["uid"], told["metadata"].get("generation"), told["spec"]]
                if "spec" in told
                else [told["metadata"]["uid"], told["data"]]
            )
            for told in listed
        }

    return read


@pytest.mark.timeout(900)
def test_e9_workers_move_between_providers_with_the_cluster_running(site, cluster, written):
    tree = yaml.safe_load(site.lab.paths.stack_config.read_text())["config"]
    machines = tree[f"{PROJECT}:machines"]
    providers = [{machines[name]["provider"] for name in place} for place in (OLD, SPARES)]
    assert providers == [{PROVIDER}, {OTHER_PROVIDER}]
    before, nodes, moves = written(), [], []
    try:
        for leaving, coming in ((OLD, SPARES), (SPARES, OLD)):
            move = Move(site, leaving, coming)
            moves.append(site.under_load(move.whole, most_s=600))
            nodes.append(cluster.kubectl("get", "nodes", "-o", "name").split())
            site.settle()
    finally:
        for name in SPARES:
            site.lab.power_on(name)
    lost = [[(a.due_us, a.outcome) for a in records.attempts if a.failed] for records in moves]
    assert lost == [[], []]
    assert nodes == [[f"node/{name}" for name in place] for place in (SPARES, OLD)]
    answered = [a.worker for a in moves[0].attempts if a.worker]
    assert answered[0] in OLD
    assert answered[-1] in SPARES
    assert written() == before
