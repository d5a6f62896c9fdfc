"""An egress gateway's planned move and its death, on real Cilium agents, beside Cilium alone.

`python -m bench gateway 5 3`: planned moves, deaths. A pod sends 500 datagrams a second to a server
outside, which notes when each came, and from which address. What an operator can do with Cilium
alone is to move address and label by hand, in order; when a node dies it does nothing. `python -m
bench gateway 5 0 0` leaves death and Cilium alone out.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from loopback_iac.agent.gatewayapi import HOSTNAME
from loopback_iac.lab.cluster.cilium import ground, touched
from loopback_iac.lab.cluster.pods import add_pod, sending, serve
from loopback_iac.lab.namespaces import enter, run
from tests.cluster.gateway_agents import ADDRESS, CEGP, NODES, cut, keeping
from tests.cluster.keepers import GROUP, LABEL, POLICY, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopback_iac.lab.cluster.cilium import Ground
    from loopback_iac.lab.cluster.pods import Pod
    from tests.cluster.keepers import Keepers

LEASE_MS = 1500
PER_SECOND = 500
ALONE_S = 30


class Seen(NamedTuple):
    """One move, as the server saw it."""

    gap_s: float  # the longest between two datagrams
    lost: int  # datagrams; a sender that pauses loses none
    wrong: list[str]  # every other source's address


def main(moves: int = 5, deaths: int = 3, alone: int = 5) -> None:
    """Print gaps, and how many datagrams came from another address."""
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        with ground("kgb", ("c1", *NODES), folder / "exports") as agents:
            web = add_pod(agents, "c1", "web", "billing", {"app": "web"})
            print(f"load {os.getloadavg()[0]:.1f}, lease {LEASE_MS} ms, {PER_SECOND} datagrams/s")
            with keeping(agents, folder, LEASE_MS) as keepers:
                with serve(agents):
                    until(lambda: web.sees() == ADDRESS, "the pod leaves by the address", 120)
                measure_keepers(agents, web, keepers, moves, deaths)
            if alone:
                measure_alone(agents, web, alone)


def measure_keepers(agents: Ground, web: Pod, keepers: Keepers, moves: int, deaths: int) -> None:
    """Handed over, and dead."""

    def plan(holder: str, other: str) -> None:
        keepers.wish(holder, other)
        keepers.await_holder(other)

    def die(holder: str, other: str) -> None:
        cut(agents, holder)
        keepers.signal(holder, signal.SIGKILL)
        keepers.await_holder(other)

    for name, act, rounds in (("handed over", plan, moves), ("node dies", die, deaths)):
        if not rounds:
            continue
        found = []
        for _ in range(rounds):
            holder = keepers.await_holder(*NODES)
            (other,) = set(NODES) - {holder}
            await_ready(keepers, other)
            found.append(one_move(agents, web, functools.partial(act, holder, other)))
            if keepers.processes[holder].poll() is not None:
                cut(agents, holder, off=False)
                keepers.start(holder)
        tell(f"keepers, {name}", found)


def await_ready(keepers: Keepers, node: str) -> None:
    """Only who has said so is given the addresses."""
    until(lambda: bool(keepers.status(node).get("ready")), f"{node} is ready", 120)


def measure_alone(agents: Ground, web: Pod, moves: int) -> None:
    """The same by hand, without guard or keeper; then its node dies."""
    agents.kubectl("label", "nodes", "--all", f"{LABEL}-")
    agents.kubectl("delete", "ciliumegressgatewaypolicies", POLICY)
    for node in NODES:
        run([*enter(agents.paths, node), "nft", "delete", "table", "inet", "loopback"])
        if ADDRESS in agents.agents[node].addresses():
            agents.agents[node].drop(ADDRESS)
    (holder, other), labels = NODES, {LABEL: GROUP}
    agents.agents[holder].carry(ADDRESS)
    agents.label(holder, labels)
    agents.apply(touched(CEGP))
    with serve(agents):
        until(lambda: web.sees() == ADDRESS, "the pod leaves by the address", 120)
    found = []
    for _ in range(moves):
        act = functools.partial(agents.hand_over, CEGP, labels, holder, other)
        found.append(one_move(agents, web, act))
        holder, other = other, holder
    tell("Cilium alone, label moved by hand", found)
    agents.agents[other].carry(ADDRESS)
    found = []
    for _ in range(moves):
        found.append(one_move(agents, web, functools.partial(name, agents, other)))
        holder, other = other, holder
    tell("Cilium alone, addresses on both, the policy patched by hand", found)
    cut(agents, holder)
    with serve(agents) as server, sending(web, PER_SECOND):
        time.sleep(ALONE_S)
    cut(agents, holder, off=False)
    print(f"Cilium alone, node dies: {len(server.packets)} datagrams in the {ALONE_S} s after")


def name(agents: Ground, node: str) -> None:
    """One patch of a policy whose addresses stand on both nodes."""
    chosen = {"nodeSelector": {"matchLabels": {HOSTNAME: node}}, "egressIP": ADDRESS}
    body = json.dumps({"spec": {"egressGateways": [chosen]}})
    agents.kubectl("patch", f"ciliumegressgatewaypolicies/{POLICY}", "--type=merge", "-p", body)


def one_move(agents: Ground, web: Pod, act: Callable[[], None]) -> Seen:
    """A pod sends while the gateway moves."""
    with serve(agents) as server:
        with sending(web, PER_SECOND):
            until(lambda: len(server.packets) > 2 * PER_SECOND, "datagrams before", 120)
            act()
            done = len(server.packets)
            until(lambda: len(server.packets) > done + PER_SECOND, "datagrams after", 120)
        numbers = {number for _, number, _ in server.packets}
        lost = max(numbers) - min(numbers) + 1 - len(numbers)
        wrong = [address for *_, address in server.packets if address != ADDRESS]
        return Seen(server.longest_gap_s(), lost, wrong)


def tell(name: str, found: list[Seen]) -> None:
    """One line."""
    gaps, lost = [each.gap_s * 1000 for each in found], [each.lost for each in found]
    wrong = [address for each in found for address in each.wrong]
    told = f"median {statistics.median(gaps):.0f} ms, {min(gaps):.0f} to {max(gaps):.0f}"
    told += f"; lost: median {statistics.median(lost):.0f}, {min(lost)} to {max(lost)}"
    seen = f"{len(wrong)} datagrams from {sorted(set(wrong))}" if wrong else "none"
    load = os.getloadavg()[0]
    print(f"{name}: {len(found)} times, longest gap {told}; from another address: {seen}")
    print(f"  load {load:.1f}", flush=True)
