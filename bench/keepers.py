"""An egress gateway's planned move and its death, on real Cilium agents, beside Cilium alone.

`python -m bench keepers 5`: rounds of each. A pod sends 200 datagrams a second to a server outside,
which notes when each came, and from which address.
"""

from __future__ import annotations

import os
import signal
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from loopback_iac.kube.gateway import render_gateway_access
from loopback_iac.lab.cluster.cilium import ground
from loopback_iac.lab.cluster.pods import add_pod, sending, serve
from tests.cluster.keepers import Keepers, until
from tests.cluster.test_gateway_cilium import ADDRESS, CEGP, NODES, cut

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopback_iac.lab.cluster.cilium import Ground
    from loopback_iac.lab.cluster.pods import Pod

LEASE_MS = 1500
ALONE_S = 30


def main(rounds: int = 5) -> None:
    """Print gaps, and every source address that was seen."""
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        with ground("kgb", ("c1", *NODES), folder / "exports") as agents:
            web = add_pod(agents, "c1", "web", "billing", {"app": "web"})
            nodes = {name: agents.agents[name].address for name in NODES}
            keepers = Keepers(agents.plane, folder, nodes, [ADDRESS])
            keepers.lease_ms = LEASE_MS
            keepers.pack()
            agents.apply(*render_gateway_access(keepers.gateways()))
            agents.apply(CEGP)
            try:
                for node in NODES:
                    keepers.start(node)
                measure(agents, web, keepers, rounds)
            finally:
                keepers.end()


def measure(agents: Ground, web: Pod, keepers: Keepers, rounds: int) -> None:
    """Every kind of move, so many times each."""

    def plan(holder: str, other: str) -> None:
        keepers.wish(holder, other)

    def die(holder: str, _: str) -> None:
        cut(agents, holder)
        keepers.signal(holder, signal.SIGKILL)

    print(f"load {os.getloadavg()[0]:.1f}, lease {LEASE_MS} ms, {rounds} rounds each")
    for name, act in (("planned move", plan), ("node dies", die)):
        gaps, seen = [], set()
        for _ in range(rounds):
            gap_s, addresses = one_move(agents, web, keepers, act)
            gaps.append(gap_s)
            seen |= addresses
        told = f"median {statistics.median(gaps):.3f} s, longest {max(gaps):.3f} s"
        print(f"{name}: {told}; source addresses seen: {sorted(seen)}")
    holder = keepers.await_holder(*NODES)
    keepers.end()
    for node in NODES:
        agents.agents[node].carry(ADDRESS)
    cut(agents, holder)
    with serve(agents) as server, sending(web):
        time.sleep(ALONE_S)
    cut(agents, holder, off=False)
    print(f"Cilium alone, node dies: {len(server.packets)} datagrams in {ALONE_S} s after")


def one_move(
    agents: Ground, web: Pod, keepers: Keepers, act: Callable[[str, str], None]
) -> tuple[float, set[str]]:
    """Out: the longest gap between two datagrams, in seconds, and all source addresses."""
    holder = keepers.await_holder(*NODES)
    (other,) = set(NODES) - {holder}
    until(lambda: bool(keepers.status(other).get("ready")), f"{other} is ready", 120)
    with serve(agents) as server:
        with sending(web):
            until(lambda: len(server.packets) > 400, "datagrams before", 120)
            act(holder, other)
            keepers.await_holder(other)
            done = len(server.packets)
            until(lambda: len(server.packets) > done + 200, "datagrams after", 120)
        found = server.longest_gap_s(), server.addresses()
    if keepers.processes[holder].poll() is not None:
        cut(agents, holder, off=False)
        keepers.start(holder)
        until(lambda: bool(keepers.status(holder).get("api")), f"{holder} is back", 120)
    return found
