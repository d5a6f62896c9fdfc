"""Declared egress on real Cilium agents: which address leaves, what is dropped, what is noted."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from loopback_iac.kube import parse_egress, render_cilium
from loopback_iac.lab import leftovers
from loopback_iac.lab.cluster.cilium import Ground, ground, touched
from loopback_iac.lab.cluster.pods import PORT, Pod, Server, add_pod, sending, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DECLARED = Path(__file__).parent / "egress_agents.yaml"
MANIFESTS = render_cilium(parse_egress(str(DECLARED), DECLARED.read_text()))
DENIALS = [each for each in MANIFESTS if each["kind"] == "CiliumNetworkPolicy"]
(GATEWAY_POLICY,) = (each for each in MANIFESTS if each not in DENIALS)
LABELS = {"egress": "a"}
ADDRESS, NODE, OTHER_PORT = "192.0.2.10", "172.31.0.1", 9090
OWNER = "team-web@example.net"
PATIENCE_S = 120


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def agents(exports: Path) -> Iterator[Ground]:
    """Two agents; the second is the gateway. Nothing is left of them."""
    with ground("egress", ("c1", "c2"), exports) as made:
        yield made
    assert leftovers("egress") == []


@pytest.fixture(scope="module")
def pods(agents: Ground) -> tuple[Pod, Pod]:
    """One that the policy names, one beside it."""
    return (
        add_pod(agents, "c1", "web", "billing", {"app": "web"}),
        add_pod(agents, "c1", "other", "billing", {"app": "other"}),
    )


@pytest.fixture(scope="module")
def outside(agents: Ground) -> Iterator[Server]:
    """Who is asked, and notes by whom."""
    with serve(agents, (PORT, OTHER_PORT)) as server:
        yield server


@pytest.fixture
def server(outside: Server) -> Server:
    """The same, without what it noted before."""
    outside.forget()
    return outside


@pytest.fixture
def undeclared(agents: Ground, pods: tuple[Pod, Pod], server: Server) -> Iterator[Ground]:
    """Nothing is declared yet, and everything is gone after."""
    # a pod is attached a moment before its programs are in place
    until(lambda: [pod.sees() for pod in pods] == [NODE, NODE], agents)
    until(lambda: not denies(agents, pods[0]), agents)
    server.forget()
    yield agents
    listed = {"apiVersion": "v1", "kind": "List", "items": MANIFESTS}
    agents.kubectl("delete", "--ignore-not-found", "-f", "-", text=json.dumps(listed))
    for name, agent in agents.agents.items():
        agents.label(name, {})
        if ADDRESS in agent.addresses():
            agent.drop(ADDRESS)
    until(lambda: not agents.agents["c1"].egress_map(), agents)


@pytest.fixture
def declared(undeclared: Ground, pods: tuple[Pod, Pod], server: Server) -> Ground:
    """What denies is in force, the gateway has address and label, then comes the gateway policy."""
    web, _ = pods
    undeclared.apply(*DENIALS)
    until(lambda: denies(undeclared, web), undeclared)
    undeclared.agents["c2"].carry(ADDRESS)
    undeclared.label("c2", LABELS)
    undeclared.apply(*MANIFESTS)
    until(lambda: web.sees() == ADDRESS, undeclared)
    server.forget()
    return undeclared


def denies(agents: Ground, pod: Pod) -> bool:
    """Whether the datapath holds a pod to what a policy allows."""
    listed = json.loads(agents.agents["c1"].dbg("endpoint", "list", "-o", "json"))
    (status,) = (
        each["status"]
        for each in listed
        if pod.address in {a.get("ipv4") for a in each["status"]["networking"]["addressing"]}
    )
    return status["policy"]["realized"]["policy-enabled"] in {"egress", "both"}


def gateways(agents: Ground) -> set[str]:
    """Where the pods' node sends what leaves."""
    return {each["GatewayIP"] for each in agents.agents["c1"].egress_map()}


def until(true: Callable[[], bool], agents: Ground) -> None:
    """Wait for something that an agent does in its own time."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, agents.agents["c1"].dbg("bpf", "egress", "list")
        time.sleep(0.1)


def test_named_pods_leave_by_the_declared_address_and_others_by_their_nodes(declared, pods, server):
    web, other = pods
    # what is not declared is denied to the named pod, and to it alone
    assert [web.sees(), web.sees(OTHER_PORT)] == [ADDRESS, ""]
    assert [other.sees(), other.sees(OTHER_PORT)] == [NODE, NODE]
    assert server.asked_from == [(PORT, ADDRESS), (PORT, NODE), (OTHER_PORT, NODE)]


def test_a_policy_before_its_address_drops_until_it_is_touched(undeclared, pods, server):
    web = pods[0]
    undeclared.label("c2", LABELS)
    undeclared.apply(*MANIFESTS)
    until(lambda: all(agent.egress_map() for agent in undeclared.agents.values()), undeclared)
    server.forget()
    undeclared.agents["c2"].carry(ADDRESS)
    assert [web.sees() for _ in range(2)] == ["", ""]
    undeclared.apply(touched(GATEWAY_POLICY))
    until(lambda: web.sees() == ADDRESS, undeclared)
    assert server.addresses() == {ADDRESS}


def test_of_two_gateways_the_first_by_name_is_taken_though_it_lacks_the_address(
    declared, pods, server
):
    web = pods[0]
    declared.label("c1", LABELS)
    gateway = declared.agents["c2"].address
    until(lambda: gateway not in gateways(declared), declared)
    answered = len(server.asked_from)
    assert [web.sees() for _ in range(2)] == ["", ""]
    assert len(server.asked_from) == answered
    declared.label("c1", {})
    until(lambda: web.sees() == ADDRESS, declared)
    # closed all the while: never a node's own address
    assert server.addresses() == {ADDRESS}


def test_a_gateway_whose_agent_died_goes_on(declared, pods, server):
    web = pods[0]
    declared.agents["c2"].kill()
    assert [web.sees() for _ in range(3)] == [ADDRESS] * 3
    declared.restart("c2")
    until(lambda: web.sees() == ADDRESS, declared)
    assert server.addresses() == {ADDRESS}


def test_an_ordered_move_of_the_gateway_never_shows_another_address(declared, pods, server):
    web = pods[0]
    with sending(web):
        until(lambda: len(server.packets) > 100, declared)
        declared.hand_over(GATEWAY_POLICY, LABELS, "c2", "c1")
        moved = len(server.packets)
        until(lambda: len(server.packets) > moved + 200, declared)
    declared.learn(ADDRESS)
    until(lambda: web.sees() == ADDRESS, declared)
    assert server.addresses() == {ADDRESS}
    print(f"\ngateway moved in order: longest gap {server.longest_gap_s() * 1000:.0f} ms")  # noqa: T201


def test_the_audit_of_what_hubble_recorded(declared, pods, exports, tmp_path):
    web, other = pods
    begun = datetime.now(UTC).isoformat()
    assert [web.sees(), web.sees(OTHER_PORT), other.sees()] == [ADDRESS, "", NODE]
    expected = {
        ("web", f"tcp:{PORT}"): "as declared",
        ("web", f"tcp:{OTHER_PORT}"): "dropped",
        ("other", f"tcp:{PORT}"): "undeclared",
    }
    rows: list[dict[str, Any]] = []

    def recorded() -> bool:
        rows[:] = audit(since(begun, exports, tmp_path))["rows"]
        return len(rows) == len(expected)

    until(recorded, declared)
    found = {(row["labels"].get("app"), row["service"]): row for row in rows}
    assert {key: row["verdict"] for key, row in found.items()} == expected
    left = found["web", f"tcp:{PORT}"]
    assert set(left["via"]) == {ADDRESS}
    assert (left["policy"], left["owner"]) == ("web-to-partner", OWNER)
    assert found["other", f"tcp:{PORT}"]["finding"]


def since(moment: str, exports: Path, folder: Path) -> Path:
    """Every node's records of later than a moment."""
    for file in exports.glob("*/flows.log"):
        lines = file.read_text().splitlines(keepends=True)
        # the last may be under way
        whole = [line for line in lines if line.endswith("\n")]
        later = [line for line in whole if json.loads(line).get("time", "") > moment]
        (folder / f"{file.parent.name}.log").write_text("".join(later))
    return folder


def audit(exports: Path) -> dict[str, Any]:
    command = [Path(sys.executable).parent / "loopback", "egress", "audit", exports]
    done = subprocess.run(
        [*command, "--policies", DECLARED, "--all", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    tree: dict[str, Any] = json.loads(done.stdout)
    return tree
