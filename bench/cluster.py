"""The edge before a cluster: what it costs a request, who notices changes, what the tier takes.

`edge` is client, VIP, PoP, tunnel, Traefik, pod. `direct` is the same client and the same Traefik,
dialled at its node with nobody in between. Both over TLS; all of it shares this machine's cores, so
the ratios mean something and the figures are this machine's. The fleet has timers that a pause of
the machine fits into, as in `bench/migrate.py`.
"""

from __future__ import annotations

import os
import re
import signal
import statistics
import sys
import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from bench.standing import standing
from loopback_iac.cli.lab_cluster import populate
from loopback_iac.lab import cgroups
from loopback_iac.lab.cluster.workload import CLASS
from loopback_iac.lab.drill.ground import Ground, LoadProcess, Pace
from loopback_iac.lab.drill.metronome import Metronome
from loopback_iac.lab.drill.patience import be_patient
from loopback_iac.lab.topology import Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopback_iac.lab import Lab
    from loopback_iac.lab.cluster.ground import Cluster

CLIENT, NODE, VIP = "c-fra", "w1", "203.0.113.10"
SECONDS, RATE = 5, 200
PATIENCE_S = 120
AGENT = "/usr/local/sbin/loopback-agent"
SPACE = f"--namespace=ingress-{CLASS}"
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def ask(lab: Lab, address: str, connections: int) -> tuple[float, float]:
    """Requests a second, and the median request in ms, over connections that stay."""
    argv = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{SECONDS}s", "--latency"]
    argv += ["-H", "Host: www.example.net", f"https://{address}/"]
    told = lab.exec(CLIENT, argv, timeout_s=60).stdout
    rate = re.search(r"^Requests/sec: +([0-9.]+)", told, re.MULTILINE)
    half = re.search(r"^ +50% +([0-9.]+)(us|ms|s)$", told, re.MULTILINE)
    if not rate or not half or "Non-2xx" in told:
        raise SystemExit(f"{' '.join(argv)}: {told}")
    return float(rate.group(1)), float(half.group(1)) * _UNITS[half.group(2)]


def compare(lab: Lab, rounds: int) -> Table:
    """Both paths in turns, so that noise meets both."""
    end = lab.topology.uplink(NODE)
    paths = {"edge": VIP, "direct": f"{end.v4.ip if end.v4 else ''}:8443"}
    lab.exec(NODE, ["nft", "insert", "rule", "inet", "loopback", "guard", "accept"])
    found: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    for _ in range(rounds):
        for path, address in paths.items():
            for connections in (1, 32):
                found[path, connections].append(ask(lab, address, connections))
    table = Table("path", "connections", "requests/s", "median ms", "ratio of rates", box=None)
    for (path, connections), values in found.items():
        rate, half = (statistics.median(v[i] for v in values) for i in (0, 1))
        whole = statistics.median(v[0] for v in found["direct", connections])
        shares = (f"{rate:,.0f}", f"{half:.2f}", f"{rate / whole:.2f}")
        table.add_row(path, str(connections), *shares)
    return table


class Changes:
    """What is done to a part of the way while clients ask."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.lab = cluster, cluster.lab
        self.ground = Ground(cluster.lab, CLIENT)

    def traefik(self) -> None:
        """A new pod on each worker, one after the other."""
        daemons = f"daemonset/traefik-{CLASS}"
        self.cluster.kubectl("rollout", "restart", daemons, SPACE)
        words = ("rollout", "status", daemons, SPACE, "--timeout=180s")
        self.cluster.kubectl(*words, timeout_s=190)

    def pop(self) -> None:
        """The PoP that serves this client."""
        self.lab.exec("ops", ["loopback", "drain", "fra1", "--seconds=2"], timeout_s=120)
        self.lab.exec("ops", ["loopback", "undrain", "fra1"], timeout_s=120)

    def worker(self) -> None:
        """Out of the edge, then out of the cluster, and back."""
        self.lab.exec("w2", [AGENT, "drain", "2"])
        self.cluster.kubectl("drain", "w2", "--ignore-daemonsets", "--timeout=90s", timeout_s=100)
        self._reboot(0)
        self.cluster.kubectl("uncordon", "w2")
        self.lab.exec("w2", [AGENT, "undrain"])

    def traefik_dies(self) -> None:
        """Its process, at once; the kubelet starts another."""
        for process in self.ground.named("w2", "traefik"):
            os.kill(process, signal.SIGKILL)
        time.sleep(15)

    def worker_dies(self) -> None:
        """For as long as Kubernetes takes to believe it, and half as long again."""
        self._reboot(60)

    def _reboot(self, off_s: float) -> None:
        self.lab.power_off("w2")
        time.sleep(off_s)
        self.lab.power_on("w2")
        self.cluster.up()

    def settle(self) -> None:
        """The application in a pod on each node, and every PoP content."""
        self.cluster.kubectl("rollout", "restart", "deployment/app")
        words = ("rollout", "status", "deployment/app", "--timeout=120s")
        self.cluster.kubectl(*words, timeout_s=130)
        self.await_workers()

    def await_workers(self) -> None:
        """Every PoP has every worker."""
        pops = [pop.name for pop in self.lab.topology.having(Role.POP)]
        deadline = time.monotonic() + PATIENCE_S
        while missing := [p for p in pops if ",DOWN" in self.ground.haproxy(p)]:
            if time.monotonic() > deadline:
                raise SystemExit(f"after {PATIENCE_S} s a worker is DOWN at {', '.join(missing)}")
            time.sleep(0.5)


def restarts(cluster: Cluster) -> Table:
    """What clients see of changes, at 200 new connections a second, each with its answer."""
    made = Changes(cluster)
    changes: dict[str, Callable[[], None]] = {
        "Traefik, rolling restart": made.traefik,
        "PoP, drained and back": made.pop,
        "worker, drained, power off, on": made.worker,
        "Traefik on one worker, SIGKILL": made.traefik_dies,
        "worker, power off unplanned, 60 s": made.worker_dies,
    }
    heads = ("change", "seconds", "requests", "failed", "within, s", "how", "longest pause, ms")
    table = Table(*heads, box=None)
    for name, act in changes.items():
        print(name, file=sys.stderr)
        made.settle()
        begun = time.monotonic()
        pace = Pace(rate=RATE, sample_every=1, streams=0)
        with Metronome() as machine, LoadProcess(made.ground, pace, 300) as load:
            time.sleep(2)
            act()
            made.await_workers()
            time.sleep(2)
            records = load.finish()
        took = f"{time.monotonic() - begun:.0f}"
        still = max((p.lasted_ns for p in machine.pauses), default=0) / 1e6
        lost = [a for a in records.attempts if a.failed]
        how = Counter(a.outcome for a in lost).most_common()
        due = [a.due_us for a in lost]
        within = f"{(max(due) - min(due)) / 1e6:.1f}" if due else ""
        told = ", ".join(f"{n} {outcome}" for outcome, n in how)
        counts = (str(len(records.attempts)), str(len(lost)))
        print(f"  {took} s, {counts}, within {within} s: {told}", file=sys.stderr)
        table.add_row(name, took, *counts, within, told, f"{still:.0f}")
    return table


def memory(cluster: Cluster) -> Table:
    """Anonymous memory of what the tier adds."""
    table = Table("process", "MiB", box=None)
    found = dict(cluster.plane.memory_bytes())
    found |= {
        node.name: cgroups.memory_bytes(cluster.lab.paths, node.name) for node in cluster.nodes
    }
    for name, size in found.items():
        table.add_row(name, f"{size / 2**20:.0f}")
    return table


def main(rounds: int = 3) -> None:
    """Print the tables."""
    out, steps = Console(width=150), []
    begun = time.monotonic()

    def report(step: str, _done: int, _total: int) -> None:
        steps.append((time.monotonic() - begun, step))

    with standing("cluster") as fleet:
        be_patient(fleet.lab.paths)
        booted = time.monotonic() - begun
        cluster = populate(fleet.lab, report)
        ready = time.monotonic() - begun
        table = Table("since the start, s", "what begins", box=None)
        for at, step in [(0.0, "hosts"), *steps, (ready, "ready")]:
            table.add_row(f"{at:.1f}", step)
        out.print(f"warm start, hosts after {booted:.1f} s", table)
        out.print(memory(cluster))
        out.print(restarts(cluster))
        out.print(f"medians of {rounds}")
        out.print(compare(fleet.lab, rounds))
