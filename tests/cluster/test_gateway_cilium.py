"""An egress gateway's death and move on real Cilium agents: never a wrong source address.

c1 has the pod; c2 and c3 stand in for each other.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from loopback_iac.agent.gatewayapi import HOSTNAME
from loopback_iac.agent.gatewayguard import BYTECODE
from loopback_iac.lab import cgroups
from loopback_iac.lab.cluster.cilium import OUTSIDE, Ground, ground
from loopback_iac.lab.cluster.pods import PORT, Pod, add_pod, sending, serve
from loopback_iac.lab.namespaces import call_inside, connect, enter, run
from tests.cluster.gateway_agents import ADDRESS, CEGP, NODES, cut, keeping, settled
from tests.cluster.keepers import POLICY, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.keepers import Keepers

POD_NODE = "172.31.0.1"
LEASE_MS = 4000
PATIENCE_S = 120
NODE_PORT = 30080


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ground("kgc", ("c1", *NODES), tmp_path_factory.mktemp("exports")) as made:
        yield made


@pytest.fixture(scope="module")
def web(agents: Ground) -> Pod:
    return add_pod(agents, "c1", "web", "billing", {"app": "web"})


@pytest.fixture(scope="module")
def keepers(agents: Ground, web: Pod, tmp_path_factory) -> Iterator[Keepers]:
    """The pod leaves by the address."""
    with keeping(agents, tmp_path_factory.mktemp("keepers"), LEASE_MS) as made:
        with serve(agents):
            until(lambda: web.sees() == ADDRESS, "the pod leaves by the address", PATIENCE_S)
        yield made


@contextlib.contextmanager
def stopped(agents: Ground, node: str) -> Iterator[None]:
    """An agent stands still; its datapath goes on."""
    pids = cgroups.pids(agents.paths, f"{node}/agent")
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def dropped(agents: Ground, node: str) -> int:
    """Packets that a gateway's guard dropped."""
    listed = [*enter(agents.paths, node), "nft", "-j", "list", "table", "inet", "loopback"]
    rules = [each["rule"]["expr"] for each in json.loads(run(listed))["nftables"] if "rule" in each]
    return sum(part["counter"]["packets"] for rule in rules for part in rule if "counter" in part)


def node_port(pod: Pod) -> list[dict[str, object]]:
    """A Service of one pod, on every node's port."""
    meta = {"name": "plain", "namespace": pod.namespace}
    ports = [{"port": PORT, "protocol": "TCP", "nodePort": NODE_PORT}]
    service = {"type": "NodePort", "ports": ports}
    labels = {"kubernetes.io/service-name": "plain"}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": service},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**meta, "labels": labels},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [pod.address], "conditions": {"ready": True}}],
            "ports": [{"port": PORT, "protocol": "TCP"}],
        },
    ]


@contextlib.contextmanager
def answering(agents: Ground, pod: Pod) -> Iterator[None]:
    """The pod tells whoever asks it from which address."""
    where = agents.paths.namespace_path(pod.name)
    listener = call_inside(where, lambda: socket.create_server(("", PORT)))

    def answer() -> None:
        with contextlib.suppress(OSError):
            while True:
                line, (address, *_) = listener.accept()
                with line, contextlib.suppress(OSError):
                    line.sendall(address.encode())

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def asked(agents: Ground, address: str) -> str:
    """What a node's port answers to somebody outside."""
    with (
        contextlib.suppress(OSError),
        connect(agents.paths, OUTSIDE, address, NODE_PORT, 5) as line,
    ):
        line.settimeout(5)
        return line.recv(64).decode()
    return ""


def named(agents: Ground) -> str:
    """Whom the policy names."""
    told = agents.kubectl("get", f"ciliumegressgatewaypolicies/{POLICY}", "-o", "json")
    (way,) = json.loads(told)["spec"]["egressGateways"]
    return str(way["nodeSelector"]["matchLabels"][HOSTNAME])


@pytest.fixture(scope="module")
def near(agents: Ground, keepers: Keepers) -> Pod:
    """A pod under the policy on a node that may be the gateway."""
    made = add_pod(agents, "c2", "near", "billing", {"app": "web"})
    with serve(agents):
        until(lambda: made.sees() == ADDRESS, "it leaves by the address", PATIENCE_S)
    return made


@pytest.fixture(scope="module")
def other(agents: Ground) -> Pod:
    """A pod that no policy names, beside the one that it does."""
    return add_pod(agents, "c1", "other", "billing", {"app": "other"})


def move_once(agents: Ground, keepers: Keepers, pod: Pod) -> None:
    """Hand the address over while a pod sends."""
    holder = keepers.await_holder(*NODES)
    (taker,) = set(NODES) - {holder}
    with serve(agents) as server:
        with sending(pod):
            until(lambda: len(server.packets) > 100, "packets before", PATIENCE_S)
            keepers.wish(holder, taker)
            assert keepers.await_holder(taker) == taker
            done = len(server.packets)
            until(lambda: len(server.packets) > done + 100, "packets after", PATIENCE_S)
        assert server.addresses() == {ADDRESS}
    assert named(agents) == taker


@pytest.mark.parametrize("whose", ["web", "near"])
def test_planned_moves_show_no_other_address(agents, keepers, request, whose):
    pod = request.getfixturevalue(whose)
    for _ in range(4):
        move_once(agents, keepers, pod)


def test_what_comes_by_the_tunnel_and_has_no_gateway_stays(agents, web, keepers):
    """The pod's node knows a policy that the gateway has forgotten."""
    holder = keepers.await_holder(*NODES)
    gateway = agents.agents[holder]
    with serve(agents) as server:
        until(lambda: web.sees() == ADDRESS, "it leaves by the address", PATIENCE_S)
        with stopped(agents, "c1"):
            agents.kubectl("delete", "ciliumegressgatewaypolicies", POLICY)
            until(lambda: not gateway.egress_map(), "the gateway forgets", PATIENCE_S)
            server.forget()
            before = dropped(agents, holder)
            with sending(web):
                until(lambda: dropped(agents, holder) > before + 100, "drops", PATIENCE_S)
            assert server.addresses() == set()
            run([*enter(agents.paths, holder), "nft", "delete", "table", "inet", "loopback"])
            with sending(web):  # what Cilium alone does
                until(lambda: server.addresses() == {web.address}, "a pod's address", PATIENCE_S)
            keepers.guard(holder)
        agents.apply(CEGP)
        until(lambda: web.sees() == ADDRESS, "it leaves by the address again", PATIENCE_S)


def test_what_is_plain_passes(agents, web, other, near, keepers):
    """Pod to pod, what no policy names, and a gateway's NodePort for a pod elsewhere."""
    holder = keepers.await_holder(*NODES)
    with serve(agents):
        until(lambda: other.sees() == POD_NODE, "its node's address", PATIENCE_S)
    agents.apply(*node_port(other))
    before = dropped(agents, holder)
    with answering(agents, other):
        until(lambda: near.sees(server=other.address) == near.address, "pod to pod", PATIENCE_S)
        gateway = agents.agents[holder].address
        until(lambda: bool(asked(agents, gateway)), "from outside", PATIENCE_S)
    assert dropped(agents, holder) == before


def test_the_guard_of_a_card_comes_back_when_it_is_taken_off(agents, keepers):
    holder = keepers.await_holder(*NODES)
    show = [*enter(agents.paths, holder), "tc", "filter", "show", "dev", "eth0", "egress"]
    until(lambda: BYTECODE in run(show), "the guard stands", PATIENCE_S)
    run([*enter(agents.paths, holder), "tc", "filter", "delete", "dev", "eth0", "egress"])
    until(lambda: BYTECODE in run(show), "the guard stands again", PATIENCE_S)


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
    assert named(agents) == other
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
        assert named(agents) == holder
    finally:
        cut(agents, holder, off=False)


def held_back(agents: Ground, node: str) -> int:
    """Packets that the filter on a gateway's card dropped."""
    listed = run([*enter(agents.paths, node), "tc", "-s", "-j", "qdisc", "show", "dev", "eth0"])
    return sum(each["drops"] for each in json.loads(listed) if each["kind"] == "clsact")


def test_on_a_card_without_ciliums_program_nothing_leaves_untranslated(agents, web, keepers):
    for node in NODES:
        if node not in keepers.processes:  # the test above ended them
            keepers.start(node)
    holder = keepers.await_holder(*NODES)
    inside = agents.agents[holder].inside()
    with serve(agents) as server:
        until(lambda: web.sees() == ADDRESS, "it leaves by the address", PATIENCE_S)
        settled(agents)  # an agent that loads its datapath takes the filter off for a moment
        with stopped(agents, holder):  # so that it does not put its program back
            run([*inside, "rm", "/sys/fs/bpf/cilium/devices/eth0/links/cil_to_netdev"])
            before = held_back(agents, holder)
            with sending(web):
                until(lambda: held_back(agents, holder) > before + 100, "drops", PATIENCE_S)
            assert server.addresses() == {ADDRESS}
            keepers.end()
            run([*enter(agents.paths, holder), "tc", "qdisc", "delete", "dev", "eth0", "clsact"])
            with sending(web):  # what Cilium alone does
                until(lambda: web.address in server.addresses(), "a pod's address", PATIENCE_S)
