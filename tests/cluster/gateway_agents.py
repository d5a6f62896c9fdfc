"""Real Cilium agents for an egress gateway: c1 has the pod, c2 and c3 stand in for each other."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from loopback_iac.kube.gateway import render_gateway_access
from loopback_iac.lab.cluster.cilium import SERVER
from loopback_iac.lab.namespaces import run
from loopback_iac.lab.topology import CONTROL_PLANE
from tests.cluster.keepers import GROUP, LABEL, POLICY, Keepers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopback_iac.lab.cluster.cilium import Ground

ADDRESS = "192.0.2.10"
NODES = ("c2", "c3")
QUIET_S = 8
CEGP = {
    "apiVersion": "cilium.io/v2",
    "kind": "CiliumEgressGatewayPolicy",
    "metadata": {"name": POLICY},
    "spec": {
        "selectors": [{"podSelector": {"matchLabels": {"app": "web"}}}],
        "destinationCIDRs": [f"{SERVER}/32"],
        "egressGateway": {
            "nodeSelector": {"matchLabels": {LABEL: GROUP}},
            "egressIP": ADDRESS,
        },
    },
}


@contextlib.contextmanager
def keeping(
    agents: Ground, folder: Path, lease_ms: int, interface: str = "eth0"
) -> Iterator[Keepers]:
    """Rights, the policy, and a keeper on each of the two nodes."""
    nodes = {name: agents.agents[name].address for name in NODES}
    made = Keepers(agents.plane, folder, nodes, [ADDRESS])
    made.lease_ms, made.interface = lease_ms, interface
    made.pack()
    agents.apply(*render_gateway_access(made.gateways()))
    agents.apply(CEGP)
    try:
        for node in NODES:
            made.start(node)
        yield made
    finally:
        made.end()


def cut(agents: Ground, node: str, *, off: bool = True) -> None:
    """Take a node's cable out, or put it back."""
    space = agents.paths.namespace(CONTROL_PLANE)
    run(["ip", "-netns", space, "link", "set", node, "down" if off else "up"])


def loads(agents: Ground) -> dict[str, int]:
    """How often each gateway's agent put a program of its datapath in the place of another."""
    logs = {node: agents.agents[node].log.read_text(errors="replace") for node in NODES}
    return {node: log.count("Updated link for program") for node, log in logs.items()}


def settled(agents: Ground) -> dict[str, int]:
    """The same, once no agent has done so for a while."""
    before = loads(agents)
    while True:
        time.sleep(QUIET_S)
        if before == (before := loads(agents)):
            return before
