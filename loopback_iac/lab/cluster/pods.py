"""Pods without a kubelet: an object, a network namespace, and Cilium's own CNI program."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from loopback_iac.lab import cgroups
from loopback_iac.lab.cluster.binaries import binary
from loopback_iac.lab.cluster.cilium import OUTSIDE, SERVER
from loopback_iac.lab.namespaces import call_inside, connect, enter, holds, machine_lock, run
from loopback_iac.lab.paths import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loopback_iac.lab.cluster.cilium import Ground
    from loopback_iac.lab.cluster.cilium_agent import Agent

PORT = 8080
_PATIENCE_S = 10.0
_ATTEMPTS = 3
_CONFIGURATION = {"cniVersion": "1.0.0", "name": "cilium", "type": "cilium-cni"}


@dataclass(frozen=True)
class Pod:
    """A pod of the ground; `address` is what Cilium gave it."""

    ground: Ground
    name: str
    namespace: str
    address: str

    def sees(self, port: int = PORT, server: str = SERVER, timeout_s: float = 5) -> str:
        """
        Ask the server outside which address it is asked from.

        Out: the address, or nothing when nothing came back in time.
        """
        try:
            with connect(self.ground.paths, self.name, server, port, timeout_s) as asked:
                asked.settimeout(timeout_s)
                return asked.recv(64).decode()
        except OSError:
            return ""


def add_pod(ground: Ground, node: str, name: str, namespace: str, labels: Mapping[str, str]) -> Pod:
    """
    Make a pod on a node and have Cilium attach it.

    Raises: LabError with what CNI said.
    """
    agent, paths = ground.agents[node], ground.paths
    ground.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        # what the controller manager would make; it does not run, for it knows no such nodes
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": namespace},
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
            "spec": {
                "nodeName": node,
                "automountServiceAccountToken": False,
                "containers": [{"name": "none", "image": "none"}],
            },
        },
    )
    with machine_lock():
        run(["ip", "netns", "add", paths.namespace(name)])
    # CNI names a namespace by a process in it: the agent has a /run of its own
    placed = cgroups.ensure_cgroup(paths, f"{node}/pod-{name}")
    subprocess.run(
        ["setsid", "--fork", *placed, *enter(paths, name), "sleep", "infinity"],
        stdin=subprocess.DEVNULL,
        check=True,
    )
    where = f"/proc/{_sleeper(ground, node, name)}/ns/net"
    for left in reversed(range(_ATTEMPTS)):
        try:
            given = _cni(agent, "ADD", namespace, name, where)
            break
        except LabError:
            # as a kubelet does: an agent that compiles on a busy machine keeps it waiting too long
            if not left:
                raise
            _cni(agent, "DEL", namespace, name, where)
    address = json.loads(given)["ips"][0]["address"].partition("/")[0]
    return Pod(ground, name, namespace, address)


def _sleeper(ground: Ground, node: str, name: str) -> int:
    """
    The pod's process, once it is in the pod's namespace.

    Raises: LabError when it never gets there.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        for pid in cgroups.pids(ground.paths, f"{node}/pod-{name}"):
            if holds(ground.paths, name, pid):
                return pid
        time.sleep(0.01)
    raise LabError(f"pod {name}: no process came into its namespace")


def _cni(agent: Agent, verb: str, namespace: str, name: str, where: str) -> str:
    program = binary("cilium-cni")
    environment = [
        "env",
        f"CNI_COMMAND={verb}",
        f"CNI_CONTAINERID={namespace}-{name}",
        f"CNI_NETNS={where}",
        "CNI_IFNAME=eth0",
        f"CNI_PATH={program.parent}",
        f"CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE={namespace};K8S_POD_NAME={name}",
    ]
    return run(
        [*agent.inside(), *environment, str(program)], json.dumps(_CONFIGURATION), timeout_s=120
    )


@dataclass
class Server:
    """What is outside: it answers with the address it was asked from, and notes every one."""

    asked_from: list[tuple[int, str]] = field(default_factory=list)
    """Port and address of every TCP connection."""
    packets: list[tuple[float, int, str]] = field(default_factory=list)
    """Moment (monotonic seconds), number, source of every datagram."""

    def forget(self) -> None:
        """As nothing had come yet."""
        self.asked_from.clear()
        self.packets.clear()

    def addresses(self) -> set[str]:
        """Every source address so far."""
        return {address for _, address in self.asked_from} | {a for _, _, a in self.packets}

    def longest_gap_s(self) -> float:
        """The longest time between two datagrams."""
        times = [moment for moment, _, _ in self.packets]
        return max((b - a for a, b in pairwise(times)), default=0.0)


@contextmanager
def serve(ground: Ground, ports: tuple[int, ...] = (PORT,)) -> Iterator[Server]:
    """Serve outside: TCP at the ports, datagrams at the first of them."""
    server, ended = Server(), threading.Event()
    listeners = {port: _listener(ground, port) for port in ports}
    datagrams = _datagrams(ground, OUTSIDE, (SERVER, ports[0]))

    def answer(port: int, listener: socket.socket) -> None:
        while not ended.is_set():
            with suppress(TimeoutError):
                asked, (address, *_) = listener.accept()
                server.asked_from.append((port, address))
                with asked, suppress(OSError):
                    asked.sendall(address.encode())

    def note() -> None:
        _go_first()
        while not ended.is_set():
            with suppress(TimeoutError):
                said, (address, *_) = datagrams.recvfrom(64)
                server.packets.append((time.monotonic(), int(said), address))

    threads = [threading.Thread(target=answer, args=pair) for pair in listeners.items()]
    threads.append(threading.Thread(target=note))
    for thread in threads:
        thread.start()
    try:
        yield server
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        for each in (*listeners.values(), datagrams):
            each.close()


@contextmanager
def sending(pod: Pod, per_second: int = 200) -> Iterator[None]:
    """Have a pod send numbered datagrams to the server, all the while."""
    ended = threading.Event()
    out = _datagrams(pod.ground, pod.name, None)

    def send() -> None:
        _go_first()
        number = 0
        while not ended.wait(1 / per_second):
            number += 1
            # what a policy drops may come back as an error
            with suppress(OSError):
                out.sendto(str(number).encode(), (SERVER, PORT))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        out.close()


def _go_first() -> None:
    """Before the agents, which compile on the same processors: this thread, until it ends."""
    # a container may not have real time to give; then pauses are measured as well
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def _listener(ground: Ground, port: int) -> socket.socket:
    made = call_inside(
        ground.paths.namespace_path(OUTSIDE),
        lambda: socket.create_server((SERVER, port), backlog=128),
    )
    made.settimeout(0.1)
    return made


def _datagrams(ground: Ground, host: str, address: tuple[str, int] | None) -> socket.socket:
    def make() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if address:
            made.bind(address)
        made.settimeout(0.1)
        return made

    return call_inside(ground.paths.namespace_path(host), make)
