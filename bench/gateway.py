"""How long an egress gateway is away while it moves in order: real Cilium agents, 200 packets/s."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from loopback_iac.lab.cluster.cilium import ground
from loopback_iac.lab.cluster.pods import add_pod, sending, serve

ADDRESS, LABELS = "192.0.2.10", {"egress": "a"}
POLICY = {
    "apiVersion": "cilium.io/v2",
    "kind": "CiliumEgressGatewayPolicy",
    "metadata": {"name": "bench"},
    "spec": {
        "selectors": [{"podSelector": {"matchLabels": {"app": "web"}}}],
        "destinationCIDRs": ["198.51.100.0/24"],
        "egressGateway": {"nodeSelector": {"matchLabels": LABELS}, "egressIP": ADDRESS},
    },
}
AWAY_S = 2.0


def main(moves: int = 10) -> None:
    """In: how often the gateway moves to and fro between two nodes."""
    with (
        tempfile.TemporaryDirectory() as exports,
        ground("gwbench", ("c1", "c2"), Path(exports)) as agents,
        serve(agents) as server,
    ):
        web = add_pod(agents, "c1", "web", "bench", {"app": "web"})
        agents.agents["c2"].carry(ADDRESS)
        agents.label("c2", LABELS)
        agents.apply(POLICY)
        while web.sees() != ADDRESS:
            time.sleep(0.1)
        server.forget()
        gaps, there = [], ("c2", "c1")
        with sending(web):
            for _ in range(moves):
                time.sleep(AWAY_S)
                server.packets.clear()
                time.sleep(AWAY_S / 4)
                agents.hand_over(POLICY, LABELS, *there)
                time.sleep(AWAY_S)
                gaps.append(server.longest_gap_s() * 1000)
                there = there[::-1]
                wrong = server.addresses() - {ADDRESS}
                if wrong:
                    print(f"gateway: packets with another source: {wrong}")
    middle = statistics.median(gaps)
    print(
        f"gateway: {moves} ordered moves, longest gap of each: median {middle:.0f} ms,"
        f" least {min(gaps):.0f}, most {max(gaps):.0f}"
    )
