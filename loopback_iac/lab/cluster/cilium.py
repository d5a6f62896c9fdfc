"""Real Cilium agents, each in a network namespace of its own: the ground egress is tried on.

    cp ---+           pods --- c1 ---+
          +--- bridge in cp ---------+--- outside
          |           pods --- c2 ---+

An agent has its own /run, /sys and BPF file system. A process that does nothing holds them, so that
what the agent put into the kernel outlives the agent, as on a real host.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from loopback_iac.lab import cgroups
from loopback_iac.lab.cluster.binaries import binary
from loopback_iac.lab.cluster.cilium_agent import Agent, check_tools
from loopback_iac.lab.cluster.control import API, STORE, ControlPlane
from loopback_iac.lab.cluster.sysctls import preserved
from loopback_iac.lab.instance import locked
from loopback_iac.lab.namespaces import (
    enter,
    exists,
    ip_batch,
    machine_lock,
    remove_namespaces,
    run,
)
from loopback_iac.lab.paths import InstancePaths, LabError
from loopback_iac.lab.topology import CONTROL_PLANE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

OUTSIDE = "outside"
# Nodes and what is outside share a segment; what pods ask for is behind the outside's own address.
API_ADDRESS, OUTSIDE_GATEWAY, SERVER = "172.31.0.254", "172.31.0.253", "198.51.100.1"
# Addresses that gateways carry: on the segment's wire, in nobody's subnet.
EGRESS = "192.0.2.0/24"
_CRDS = ("CiliumEgressGatewayPolicy", "CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy")


@dataclass
class Ground:
    """Control plane, agents and the outside of one instance; made by `ground`."""

    paths: InstancePaths
    plane: ControlPlane
    agents: dict[str, Agent] = field(default_factory=dict)

    def kubectl(self, *words: str, text: str | None = None) -> str:
        """
        Run kubectl as administrator.

        Raises: LabError with its complaint.
        """
        argv = [*enter(self.paths, CONTROL_PLANE), str(binary("kubectl"))]
        return run([*argv, f"--kubeconfig={self.plane.kubeconfig}", *words], text, timeout_s=120)

    def apply(self, *objects: object) -> None:
        """Server-side apply, strict about fields that nobody knows."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        argv = ["apply", "--server-side", "--force-conflicts", "--validate=strict"]
        self.kubectl(*argv, "-f", "-", text=json.dumps(listed))

    def label(self, node: str, labels: Mapping[str, str]) -> None:
        """Give a node these labels, and take those away that this gave before."""
        self.apply(_labelled(node, labels))

    def hand_over(
        self, policy: Mapping[str, Any], labels: Mapping[str, str], old: str, new: str
    ) -> None:
        """
        Move a gateway: its address, then its label, never on two nodes, then the policy's touch.

        In: policy, a CiliumEgressGatewayPolicy; labels, that it selects its gateway by.
        """
        address = policy["spec"]["egressGateway"]["egressIP"]
        self.agents[old].drop(address)
        self.agents[new].carry(address)
        self.apply(_labelled(old, {}), _labelled(new, labels), touched(policy))

    def up(self) -> None:
        """Start everything in an order that needs no retries."""
        self._wire()
        self.plane.prepare()
        for part in (STORE, API):
            self.plane.start(part)
        for agent in self.agents.values():
            agent.folder.mkdir(parents=True, exist_ok=True)
            agent.hold()
        self.plane.await_ready()
        for version in ("v2", "v2alpha1"):
            folder = binary("cilium-crds") / version
            self.kubectl("apply", "--server-side", "-f", str(folder))
        conditions = [f"crd/{kind.lower().removesuffix('y')}ies.cilium.io" for kind in _CRDS]
        self.kubectl("wait", "--for=condition=Established", "--timeout=60s", *conditions)
        for agent in self.agents.values():
            # created, not applied: a status counts at creation only
            self.kubectl("create", "-f", "-", text=json.dumps(_node(agent)))
        for agent in self.agents.values():
            agent.start(self._kubeconfig())
        for agent in self.agents.values():
            agent.await_ready()

    def restart(self, name: str) -> None:
        """Start a killed agent again and wait for it."""
        self.agents[name].start(self._kubeconfig())
        self.agents[name].await_ready()

    def learn(self, address: str) -> None:
        """Have the outside forget which node has an address, as an announcement would."""
        # no entry is no error: whoever was never asked for is not known
        with contextlib.suppress(LabError):
            ip_batch(self.paths.namespace(OUTSIDE), [f"neighbour delete {address} dev eth0"])

    def _kubeconfig(self) -> Path:
        return self.plane.pki.kubeconfig("cilium", ("system:masters",))

    def _wire(self) -> None:
        for host in (CONTROL_PLANE, OUTSIDE, *self.agents):
            with machine_lock():
                self.paths.namespace_path(host).parent.mkdir(exist_ok=True)
                if not exists(self.paths, host):
                    run(["ip", "netns", "add", self.paths.namespace(host)])
            ip_batch(self.paths.namespace(host), ["link set lo up"])
        centre = self.paths.namespace(CONTROL_PLANE)
        ip_batch(
            centre,
            [
                "link add br0 type bridge",
                "link set br0 up",
                f"address add {API_ADDRESS}/24 dev br0",
            ],
        )
        for host in (OUTSIDE, *self.agents):
            peer = self.paths.namespace(host)
            ip_batch(
                centre,
                [
                    f"link add {host} type veth peer name eth0 netns {peer}",
                    f"link set {host} master br0 up",
                ],
            )
            own = self.agents[host].address if host in self.agents else OUTSIDE_GATEWAY
            ip_batch(peer, [f"address add {own}/24 dev eth0", "link set eth0 up"])
        for agent in self.agents.values():
            ip_batch(self.paths.namespace(agent.name), [f"route add default via {OUTSIDE_GATEWAY}"])
        ip_batch(
            self.paths.namespace(OUTSIDE),
            [f"address add {SERVER}/32 dev lo", f"route add {EGRESS} dev eth0"],
        )


@contextlib.contextmanager
def ground(name: str, agents: Sequence[str], exports: Path) -> Iterator[Ground]:
    """
    Bring agents up, and take everything away at the end.

    In: name, of the instance; agents, names of the nodes; exports, a directory where each agent's
    Hubble leaves its records, one folder per node.
    Raises: LabError when something does not come up, or another process has this ground.
    """
    check_tools()
    paths = InstancePaths(name)
    made = Ground(paths, ControlPlane(paths, API_ADDRESS))
    for number, agent in enumerate(agents, 1):
        export = exports / agent / "flows.log"
        export.parent.mkdir(parents=True, exist_ok=True)
        made.agents[agent] = Agent(paths, agent, number, export)
    with locked(paths), preserved():
        remove(paths)
        try:
            made.up()
            yield made
        finally:
            remove(paths)
            paths.lock.unlink()


def remove(paths: InstancePaths) -> None:
    """Take away whatever is left of a ground; nothing is as good as all."""
    cgroups.kill(paths)
    remove_namespaces(paths)
    cgroups.remove(paths)
    shutil.rmtree(paths.root, ignore_errors=True)


def touched(policy: Mapping[str, Any]) -> dict[str, Any]:
    """The same policy, so that agents look at their addresses again."""
    noted = {**policy["metadata"].get("annotations", {}), "lab/touched": str(time.monotonic_ns())}
    return {**policy, "metadata": {**policy["metadata"], "annotations": noted}}


def _labelled(node: str, labels: Mapping[str, str]) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node, "labels": dict(labels)},
    }


def _node(agent: Agent) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": agent.name, "labels": {"kubernetes.io/hostname": agent.name}},
        "spec": {"podCIDR": agent.pods, "podCIDRs": [agent.pods]},
        "status": {"addresses": [{"type": "InternalIP", "address": agent.address}]},
    }
