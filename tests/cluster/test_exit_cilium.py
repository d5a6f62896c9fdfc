"""A gateway that leaves through a PoP, on real Cilium agents: c1 has the pod, c2 the tunnel.

What stands for the tunnel are two ends of tun, which has no more of a link layer than WireGuard.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import struct
import threading
from typing import TYPE_CHECKING

import pytest

from loopback_iac.lab.cluster.cilium import OUTSIDE, Ground, ground
from loopback_iac.lab.cluster.cilium_agent import Agent
from loopback_iac.lab.cluster.pods import Pod, add_pod, serve
from loopback_iac.lab.namespaces import call_inside, enter, run
from tests.cluster.gateway_agents import CEGP
from tests.cluster.keepers import GROUP, LABEL, until

if TYPE_CHECKING:
    from collections.abc import Iterator

EGRESS, TUNNEL = "203.0.113.64", "lb-fra1"
FAR = "lb-c2"
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000  # linux/if_tun.h
POLICY = {**CEGP, "spec": {**CEGP["spec"]}}
POLICY["spec"]["egressGateway"] = {**CEGP["spec"]["egressGateway"], "egressIP": EGRESS}
PATIENCE_S = 120


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Cilium is told of the tunnels, as its chart's `devices` would."""
    plain = Agent.options
    with pytest.MonkeyPatch.context() as patch:
        told = {"devices": "eth0,lb-+"}
        patch.setattr(Agent, "options", lambda self, path: plain(self, path) | told)
        exports = tmp_path_factory.mktemp("exports")
        with ground("exit", ("c1", "c2"), exports) as made, tunnel(made):
            wire(made)
            yield made


def ip(agents: Ground, where: str, words: str) -> str:
    return run([*enter(agents.paths, where), "ip", *words.split()])


def opened(name: str) -> int:
    """An interface of IP packets, in the namespace of who calls."""
    end = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return end


@contextlib.contextmanager
def tunnel(agents: Ground) -> Iterator[None]:
    """What goes in at one end comes out at the other."""
    where = (
        (agents.paths.namespace_path("c2"), TUNNEL),
        (agents.paths.namespace_path(OUTSIDE), FAR),
    )
    ends = [call_inside(space, lambda name=name: opened(name)) for space, name in where]
    ended, told = os.pipe()

    def carry() -> None:
        other = dict(zip(ends, reversed(ends), strict=True))
        while ended not in (ready := select.select([*ends, ended], [], [])[0]):
            for end in ready:
                with contextlib.suppress(OSError):  # the other one is not up yet
                    os.write(other[end], os.read(end, 65536))

    thread = threading.Thread(target=carry)
    thread.start()
    try:
        yield
    finally:
        os.write(told, b"x")
        thread.join()
        for each in (*ends, ended, told):
            os.close(each)


def wire(agents: Ground) -> None:
    """What files of a worker and a PoP do, with the PoP outside."""
    ip(agents, "c2", f"address add 10.88.8.3/31 dev {TUNNEL}")
    ip(agents, OUTSIDE, f"address add 10.88.8.2/31 dev {FAR}")
    ip(agents, "c2", f"link set {TUNNEL} mtu 1420 up")
    ip(agents, OUTSIDE, f"link set {FAR} mtu 1420 up")
    ip(agents, OUTSIDE, f"route add {EGRESS}/32 via 10.88.8.3 dev {FAR}")
    ip(agents, "c2", f"address add {EGRESS}/32 dev lo")
    ip(agents, "c2", "route add unreachable default metric 65535 table 100")
    ip(agents, "c2", f"rule add pref 1000 from {EGRESS}/32 lookup 100")
    ip(agents, "c2", f"route add default via 10.88.8.2 dev {TUNNEL} metric 32 table 100")


def carried(agents: Ground) -> int:
    """Packets that came out of the tunnel."""
    told = json.loads(ip(agents, OUTSIDE, f"-j -s link show dev {FAR}"))
    return int(told[0]["stats64"]["rx"]["packets"])


@pytest.fixture(scope="module")
def web(agents: Ground) -> Pod:
    return add_pod(agents, "c1", "web", "billing", {"app": "web"})


def test_a_pod_leaves_through_the_tunnel_or_not_at_all(agents: Ground, web: Pod) -> None:
    agents.label("c2", {LABEL: GROUP})
    agents.apply(POLICY)
    with serve(agents):
        until(lambda: web.sees() == EGRESS, "the pod leaves by the address", PATIENCE_S)
        before = carried(agents)
        assert web.sees() == EGRESS
        assert carried(agents) > before
        ip(agents, "c2", f"route del default via 10.88.8.2 dev {TUNNEL} metric 32 table 100")
        assert [web.sees() for _ in range(3)] == ["", "", ""]
        ip(agents, "c2", f"route add default via 10.88.8.2 dev {TUNNEL} metric 32 table 100")
        until(lambda: web.sees() == EGRESS, "it leaves by the address again", PATIENCE_S)
