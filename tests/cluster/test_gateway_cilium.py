"""An egress gateway's death and move on real Cilium agents: never a wrong source address.

c1 has the pod; c2 and c3 stand in for each other.
"""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from loopback_iac.kube.gateway import render_gateway_access
from loopback_iac.lab.cluster.cilium import SERVER, Ground, ground
from loopback_iac.lab.cluster.pods import Pod, add_pod, sending, serve
from loopback_iac.lab.namespaces import run
from loopback_iac.lab.topology import CONTROL_PLANE
from tests.cluster.keepers import GROUP, LABEL, POLICY, Keepers, until

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS, POD_NODE = "192.0.2.10", "172.31.0.1"
NODES = ("c2", "c3")
PATIENCE_S = 120
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


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ground("kgc", ("c1", *NODES), tmp_path_factory.mktemp("exports")) as made:
        yield made


@pytest.fixture(scope="module")
def web(agents: Ground) -> Pod:
    return add_pod(agents, "c1", "web", "billing", {"app": "web"})


@pytest.fixture(scope="module")
def keepers(agents: Ground, web: Pod, tmp_path_factory) -> Iterator[Keepers]:
    """Rights, keepers, and then the policy: the pod leaves by the address."""
    nodes = {name: agents.agents[name].address for name in NODES}
    made = Keepers(agents.plane, tmp_path_factory.mktemp("keepers"), nodes, [ADDRESS])
    made.pack()
    agents.apply(*render_gateway_access(made.gateways()))
    agents.apply(CEGP)
    try:
        for node in NODES:
            made.start(node)
        with serve(agents):
            until(lambda: web.sees() == ADDRESS, "the pod leaves by the address", PATIENCE_S)
        yield made
    finally:
        made.end()


def cut(agents: Ground, node: str, *, off: bool = True) -> None:
    """Take a node's cable out, or put it back."""
    space = agents.paths.namespace(CONTROL_PLANE)
    run(["ip", "-netns", space, "link", "set", node, "down" if off else "up"])


def bearing(agents: Ground) -> set[str]:
    """Nodes with the label, on either kind of object."""
    told = agents.kubectl("get", "nodes,ciliumnodes", "-l", f"{LABEL}={GROUP}", "-o", "json")
    return {str(each["metadata"]["name"]) for each in json.loads(told)["items"]}


def test_a_planned_move_shows_no_other_address(agents, web, keepers):
    holder = keepers.await_holder(*NODES)
    (other,) = set(NODES) - {holder}
    with serve(agents) as server:
        with sending(web):
            until(lambda: len(server.packets) > 100, "packets before")
            keepers.wish(holder, other)
            assert keepers.await_holder(other) == other
            done = len(server.packets)
            until(lambda: len(server.packets) > done + 100, "packets after", PATIENCE_S)
        assert server.addresses() == {ADDRESS}
    assert bearing(agents) == {other}


def test_a_dead_gateway_is_left_and_nothing_leaves_by_another_address(agents, web, keepers):
    holder = keepers.await_holder(*NODES)
    (other,) = set(NODES) - {holder}
    with serve(agents) as server:
        with sending(web):
            until(lambda: len(server.packets) > 100, "packets before")
            cut(agents, holder)
            keepers.signal(holder, signal.SIGKILL)
            assert keepers.await_holder(other) == other
            done = len(server.packets)
            until(lambda: len(server.packets) > done + 100, "packets after", PATIENCE_S)
        assert server.addresses() == {ADDRESS}
    assert bearing(agents) == {other}
    cut(agents, holder, off=False)
    keepers.start(holder)
    until(lambda: bool(keepers.status(holder).get("ready")), "it is back", PATIENCE_S)
    assert keepers.on(holder) == set()


def test_without_keepers_a_dead_gateway_stays_the_gateway(agents, web, keepers):
    """What Cilium's open source does by itself: nothing, and closed."""
    holder = keepers.await_holder(*NODES)
    keepers.end()
    for node in NODES:
        agents.agents[node].carry(ADDRESS)
    cut(agents, holder)
    try:
        with serve(agents) as server:
            assert [web.sees() for _ in range(5)] == [""] * 5
            assert server.addresses() == set()
        assert bearing(agents) == {holder}
    finally:
        cut(agents, holder, off=False)
