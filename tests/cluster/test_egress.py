"""Declared egress on real Cilium agents: which address leaves, what is dropped, what is noted."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from loopback_iac.kube import parse_egress, render_cilium
from loopback_iac.lab.cluster.cilium import Ground, ground
from loopback_iac.lab.cluster.pods import PORT, Pod, add_pod, sending, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DECLARED = Path(__file__).parent / "egress.yaml"
MANIFESTS = render_cilium(parse_egress(str(DECLARED), DECLARED.read_text()))
GATEWAY_POLICY = "ciliumegressgatewaypolicy/web-to-partner-v4"
ADDRESS, NODE, OTHER_PORT = "192.0.2.10", "172.31.0.1", 9090
OWNER = "team-web@example.net"
PATIENCE_S = 120


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def agents(exports: Path) -> Iterator[Ground]:
    """Two agents; the second is the gateway."""
    with ground("egress", ("c1", "c2"), exports) as made:
        yield made


@pytest.fixture(scope="module")
def pods(agents: Ground) -> tuple[Pod, Pod]:
    """One that the policy names, one beside it."""
    return (
        add_pod(agents, "c1", "web", "billing", {"app": "web"}),
        add_pod(agents, "c1", "other", "billing", {"app": "other"}),
    )


@pytest.fixture
def declared(agents: Ground, pods: tuple[Pod, Pod]) -> Iterator[Ground]:
    """The gateway has the address and the label, then the policies come; all gone after."""
    agents.agents["c2"].carry(ADDRESS)
    agents.kubectl("label", "node", "c2", "egress=a", "--overwrite")
    agents.apply(*MANIFESTS)
    until(lambda: pods[0].sees() == ADDRESS, agents)
    yield agents
    withdraw(agents)


def withdraw(agents: Ground) -> None:
    """As before anything was declared."""
    listed = {"apiVersion": "v1", "kind": "List", "items": MANIFESTS}
    agents.kubectl("delete", "--ignore-not-found", "-f", "-", text=json.dumps(listed))
    for name, agent in agents.agents.items():
        agents.kubectl("label", "node", name, "egress-")
        if ADDRESS in agent.addresses():
            agent.drop(ADDRESS)
    until(lambda: not agents.agents["c1"].egress_map(), agents)


def until(true: Callable[[], bool], agents: Ground) -> None:
    """Wait for something that an agent does in its own time."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, agents.agents["c1"].dbg("bpf", "egress", "list")
        time.sleep(0.1)


def touch(agents: Ground) -> None:
    """Have the agents look at the policy again."""
    agents.kubectl("annotate", "--overwrite", GATEWAY_POLICY, f"touched={time.monotonic_ns()}")


def test_named_pods_leave_by_the_declared_address_and_others_by_their_nodes(agents, pods):
    web, other = pods
    with serve(agents, (PORT, OTHER_PORT)) as server:
        assert (web.sees(), other.sees()) == (NODE, NODE)
        agents.agents["c2"].carry(ADDRESS)
        agents.kubectl("label", "node", "c2", "egress=a")
        agents.apply(*MANIFESTS)
        until(lambda: web.sees() == ADDRESS, agents)
        server.asked_from.clear()
        # what is not declared is denied to the named pod, and to it alone
        assert [web.sees(), web.sees(OTHER_PORT)] == [ADDRESS, ""]
        assert [other.sees(), other.sees(OTHER_PORT)] == [NODE, NODE]
        assert server.asked_from == [(PORT, ADDRESS), (PORT, NODE), (OTHER_PORT, NODE)]
    withdraw(agents)


def test_a_policy_before_its_address_drops_until_it_is_touched(agents, pods):
    web = pods[0]
    with serve(agents) as server:
        agents.kubectl("label", "node", "c2", "egress=a")
        agents.apply(*MANIFESTS)
        until(lambda: bool(agents.agents["c1"].egress_map()), agents)
        server.asked_from.clear()
        assert web.sees() == ""
        agents.agents["c2"].carry(ADDRESS)
        assert [web.sees() for _ in range(3)] == ["", "", ""]
        touch(agents)
        until(lambda: web.sees() == ADDRESS, agents)
        assert server.addresses() == {ADDRESS}
    withdraw(agents)


def test_of_two_gateways_the_first_by_name_is_taken_though_it_lacks_the_address(declared, pods):
    web = pods[0]
    with serve(declared) as server:
        declared.kubectl("label", "node", "c1", "egress=a")
        until(lambda: web.sees() == "", declared)
        server.asked_from.clear()
        assert [web.sees() for _ in range(3)] == ["", "", ""]
        declared.kubectl("label", "node", "c1", "egress-")
        until(lambda: web.sees() == ADDRESS, declared)
        # closed all the while: never a node's own address
        assert server.addresses() == {ADDRESS}


def test_a_gateway_whose_agent_died_goes_on(declared, pods):
    web = pods[0]
    with serve(declared) as server:
        declared.agents["c2"].kill()
        assert [web.sees() for _ in range(3)] == [ADDRESS] * 3
        declared.restart("c2")
        until(lambda: web.sees() == ADDRESS, declared)
        assert server.addresses() == {ADDRESS}


def test_an_ordered_move_of_the_gateway_never_shows_another_address(declared, pods):
    web = pods[0]
    old, new = declared.agents["c2"], declared.agents["c1"]
    with serve(declared) as server, sending(web):
        until(lambda: len(server.packets) > 100, declared)
        old.drop(ADDRESS)
        new.carry(ADDRESS)
        declared.kubectl("label", "node", "c1", "egress=a")
        declared.kubectl("label", "node", "c2", "egress-")
        touch(declared)
        moved = len(server.packets)
        until(lambda: len(server.packets) > moved + 200, declared)
        declared.learn(ADDRESS)
        until(lambda: web.sees() == ADDRESS, declared)
    assert server.addresses() == {ADDRESS}


def test_the_audit_of_what_hubble_recorded(declared, pods, exports):
    web, other = pods
    with serve(declared, (PORT, OTHER_PORT)):
        assert [web.sees(), web.sees(OTHER_PORT), other.sees()] == [ADDRESS, "", NODE]
        rows: list[dict[str, Any]] = []

        def recorded() -> bool:
            rows[:] = audit(exports)["rows"]
            return {"as declared", "undeclared"} <= {row["verdict"] for row in rows}

        until(recorded, declared)
    by_app = {(dict(row["labels"]).get("app"), row["service"], row["verdict"]): row for row in rows}
    assert ADDRESS in by_app["web", "tcp:8080", "as declared"]["left_by"]
    assert by_app["other", "tcp:8080", "undeclared"]["left_by"] == [NODE]
    assert ("web", "tcp:9090", "dropped") in by_app


def audit(exports: Path) -> dict[str, Any]:
    command = [Path(sys.executable).parent / "loopback", "egress", "audit", exports]
    done = subprocess.run(
        [*command, "--policies", DECLARED, "--all", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    tree: dict[str, Any] = json.loads(done.stdout)
    return tree
