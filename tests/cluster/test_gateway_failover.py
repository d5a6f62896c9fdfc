"""The keepers of an egress gateway on three nodes, with a real API server, through what happens."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from loopback_iac.agent.gatewayapi import HOSTNAME, PREFIX
from loopback_iac.lab import cgroups
from loopback_iac.lab.cluster.control import API, STORE
from tests.cluster.gateway_ground import ADDRESSES, NODES, Ground, Watch
from tests.cluster.keepers import GROUP, LABEL, POLICY, until

if TYPE_CHECKING:
    from collections.abc import Iterator

LEASE_MS = 4000
LEASE_S = LEASE_MS / 1000
BOTH = set(ADDRESSES)


@pytest.fixture(scope="module")
def standing(tmp_path_factory) -> Iterator[Ground]:
    found = Ground("kgw", tmp_path_factory.mktemp("gateway"), LEASE_MS)
    try:
        found.up()
        yield found
    finally:
        found.down()


@pytest.fixture
def ground(standing: Ground) -> Iterator[Ground]:
    """All nodes are well and w1 holds; a policy that named the next one never went back."""
    for node in NODES:
        standing.cut(node, off=False)
        standing.heal_agent(node)
        if node not in standing.processes or standing.processes[node].poll() is not None:
            standing.start(node)
    holder = standing.await_holder(*NODES)
    if holder != "w1":
        until(lambda: bool(standing.status("w1").get("ready")), "w1's agent")
        standing.wish(holder, "w1")
        standing.await_holder("w1")
    try:
        until(lambda: not standing.on("w2") and not standing.on("w3"), "one holder")
    except AssertionError as late:
        raise AssertionError(f"{late}\n{standing.logs()}") from late
    with Watch(standing) as watch:
        yield standing
    epochs = [epoch for epoch, _ in watch.named]
    assert [e for e in epochs if e] == sorted(e for e in epochs if e), watch.named


def way(ground: Ground) -> dict[str, Any]:
    """How the policy's traffic leaves; nothing while nobody is named."""
    ways = ground.policy()["spec"]["egressGateways"]
    return dict(ways[0]) if ways else {"egressIP": ""}


def named(ground: Ground) -> str:
    """Whom the policy names."""
    chosen = way(ground).get("nodeSelector") or {}
    return str(chosen.get("matchLabels", {}).get(HOSTNAME, ""))


def test_the_preferred_node_holds_both_families_and_the_policy_names_it(ground: Ground):
    assert ground.on("w1") == BOTH
    assert named(ground) == "w1"


def test_who_declares_the_policy_leaves_the_name_in_it(ground: Ground):
    ground.declare(["192.0.2.0/24", "198.51.100.0/24"])
    assert ground.policy()["spec"]["destinationCIDRs"] == ["192.0.2.0/24", "198.51.100.0/24"]
    assert named(ground) == "w1"
    (chosen,) = ground.policy()["spec"]["egressGateway"]["nodeSelector"]["matchLabels"]
    assert chosen == LABEL


def test_another_address_that_is_declared_is_taken_over(ground: Ground):
    for address in ("198.18.77.101", ADDRESSES[0]):
        ground.declare(["192.0.2.0/24"], address)
        until(lambda: way(ground)["egressIP"] == address, "the address is followed")  # noqa: B023
        assert named(ground) == "w1"


@pytest.mark.parametrize("ways", [[], [{"nodeSelector": {}}]])
def test_what_another_hand_wrote_is_put_right(ground: Ground, ways: list[dict[str, object]]):
    body = json.dumps({"spec": {"egressGateways": ways}})
    ground.kubectl("patch", f"ciliumegressgatewaypolicies/{POLICY}", "--type=merge", "-p", body)
    until(lambda: named(ground) == "w1", "the policy names w1 again")


def test_a_policy_that_another_group_kept_is_taken_over(ground: Ground):
    """Its keepers' name and epoch stand in it, and it declares an address of this group by now."""
    notes = {f"{PREFIX}egress-epoch.{GROUP}": None, f"{PREFIX}egress-epoch.before": "7"}
    chosen = {"matchLabels": {HOSTNAME: "other"}}
    ways = [{"egressIP": "198.18.77.101", "nodeSelector": chosen}]
    body = json.dumps({"metadata": {"annotations": notes}, "spec": {"egressGateways": ways}})
    ground.kubectl("patch", f"ciliumegressgatewaypolicies/{POLICY}", "--type=merge", "-p", body)
    until(lambda: named(ground) == "w1", "the policy names w1")
    assert way(ground)["egressIP"] == ADDRESSES[0]
    marks = ground.policy()["metadata"]["annotations"]
    assert [mark for mark in marks if "egress-epoch" in mark] == [f"{PREFIX}egress-epoch.{GROUP}"]


def test_a_gateway_that_stays_from_now_on_empties_the_list_that_a_keeper_left(ground: Ground):
    """As EgressPolicy declares it; without force it is a conflict, and told."""
    kind, name = "ciliumegressgatewaypolicies", "stays"
    made = ground.policy()
    spec = {**made["spec"], "egressGateways": []}
    left = {"egressGateways": [{**spec["egressGateway"], "nodeSelector": {"matchLabels": {}}}]}
    about = {"apiVersion": made["apiVersion"], "kind": made["kind"], "metadata": {"name": name}}
    apply = ["apply", "--server-side", "--field-manager=program", "-f", "-"]
    moving = {key: value for key, value in spec.items() if key != "egressGateways"}
    ground.kubectl(*apply, text=json.dumps({**about, "spec": moving}))
    try:
        keeper = ["--type=merge", "--field-manager=loopback-gateway"]
        ground.kubectl("patch", f"{kind}/{name}", *keeper, "-p", json.dumps({"spec": left}))
        fixed = json.dumps({**about, "spec": spec})
        with pytest.raises(AssertionError, match="loopback-gateway"):
            ground.kubectl(*apply, text=fixed)
        ground.kubectl(*apply, "--force-conflicts", text=fixed)
        told = json.loads(ground.kubectl("get", f"{kind}/{name}", "-o", "json"))
        assert told["spec"]["egressGateways"] == []
        # a keeper that comes again finds no conflict either
        ground.kubectl(*apply, text=json.dumps({**about, "spec": moving}))
        ground.kubectl("patch", f"{kind}/{name}", *keeper, "-p", json.dumps({"spec": left}))
    finally:
        ground.kubectl("delete", f"{kind}/{name}")


def test_a_policy_that_is_made_anew_names_the_holder(ground: Ground):
    ground.kubectl("delete", f"ciliumegressgatewaypolicies/{POLICY}")
    ground.declare(["192.0.2.0/24"])
    until(lambda: named(ground) == "w1", "the policy names w1")


def test_handed_over_by_an_operator(ground: Ground):
    ground.wish("w1", "w3")
    assert ground.await_holder("w3") == "w3"
    until(lambda: not ground.on("w1"), "w1 lets go")
    assert ground.on("w3") == BOTH
    assert named(ground) == "w3"


def test_a_nodes_death_moves_everything(ground: Ground):
    ground.cut("w1")
    ground.signal("w1", signal.SIGKILL)
    assert ground.await_holder("w2", "w3") == "w2"
    assert ground.on("w2") == BOTH
    assert named(ground) == "w2"


def test_a_keeper_that_is_killed_and_comes_back_keeps_everything(ground: Ground):
    """The others stand still until it is back: a start on a busy machine may outlast a lease, and
    then it is theirs by right.
    """
    epoch = ground.status("w1")["epoch"]
    others = [node for node in NODES if node != "w1"]
    for node in others:
        ground.signal(node, signal.SIGSTOP)
    try:
        ground.signal("w1", signal.SIGKILL)
        ground.start("w1")
        assert ground.await_holder("w1") == "w1"
    finally:
        for node in others:
            ground.signal(node, signal.SIGCONT)
    time.sleep(2 * LEASE_S)
    assert ground.await_holder(*NODES) == "w1", ground.logs()
    assert ground.status("w1")["epoch"] == epoch
    assert ground.on("w1") == BOTH
    assert named(ground) == "w1"


def test_one_that_stands_still_loses_its_addresses_by_the_kernel(ground: Ground):
    ground.signal("w1", signal.SIGSTOP)
    try:
        assert ground.await_holder("w2", "w3") == "w2"
        until(lambda: not ground.on("w1"), "the kernel takes them off", 3 * LEASE_S)
    finally:
        ground.signal("w1", signal.SIGCONT)
    until(lambda: ground.status("w1").get("holder") == "w2", "w1 knows")
    assert ground.on("w2") == BOTH
    assert named(ground) == "w2"
    assert not ground.on("w1")


def test_cut_off_from_all_it_lets_go_by_itself(ground: Ground):
    ground.cut("w1")
    until(lambda: not ground.on("w1"), "w1 lets go")
    assert ground.await_holder("w2", "w3") == "w2"
    ground.cut("w1", off=False)
    until(lambda: ground.status("w1").get("holder") == "w2", "w1 knows")
    assert not ground.on("w1")


def test_without_an_api_server_the_holder_goes_on(ground: Ground):
    ground.plane.kill(API)
    time.sleep(4 * LEASE_S)
    assert ground.on("w1") == BOTH
    assert "no other node sees the API" in str(ground.status("w1")["reason"])
    ground.plane.start(API)
    ground.plane.await_ready()
    assert ground.on(ground.await_holder(*NODES)) == BOTH


def test_without_an_api_server_and_a_node_it_lets_go_and_comes_back(ground: Ground):
    ground.plane.kill(API)
    until(lambda: not ground.status("w1")["api"], "w1 sees none")
    ground.cut("w3")
    until(lambda: not ground.on("w1"), "w1 lets go")
    ground.plane.start(API)
    ground.plane.await_ready()
    holder = ground.await_holder("w1", "w2")
    assert ground.on(holder) == BOTH


def test_an_api_server_that_hangs_is_no_api_server(ground: Ground):
    pids = cgroups.pids(ground.paths, f"control/{API}")
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(4 * LEASE_S)
        assert ground.on("w1") == BOTH
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    assert ground.on(ground.await_holder(*NODES)) == BOTH


def test_a_node_whose_agent_is_sick_is_passed_over(ground: Ground):
    ground.sick_agent("w2")
    until(lambda: not ground.status("w2")["ready"], "w2 knows")
    ground.cut("w1")
    ground.signal("w1", signal.SIGKILL)
    assert ground.await_holder("w2", "w3") == "w3", ground.logs()


def test_the_credential_reaches_nothing_else(ground: Ground):
    for verb, what, may in (
        ("get", "nodes/w1", "yes"),
        ("get", "nodes/other", "no"),
        ("patch", "nodes/w1", "no"),
        ("list", "nodes", "no"),
        ("delete", "nodes/w1", "no"),
        ("get", "secrets", "no"),
        ("patch", "ciliumnodes.cilium.io/w1", "no"),
        ("patch", f"ciliumegressgatewaypolicies.cilium.io/{POLICY}", "yes"),
        ("create", "leases.coordination.k8s.io", "no"),
    ):
        assert ground.may(verb, what) == (may == "yes"), (verb, what)


def test_the_store_dies_with_the_api_server_and_both_come_back(ground: Ground):
    ground.plane.kill(API)
    ground.plane.kill(STORE)
    time.sleep(2 * LEASE_S)
    ground.plane.start(STORE)
    ground.plane.start(API)
    ground.plane.await_ready()
    holder = ground.await_holder(*NODES)
    assert ground.on(holder) == BOTH
