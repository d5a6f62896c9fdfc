"""Ten hosts: is everything as it was put there, and a change of one service, beside the peers.

The change is one service's connections per client: one file on each of the four PoPs. Every tool
looks at all files of all ten hosts. We also check with the daemons, save the way back, swap, prove
and are confirmed over a second connection, one PoP after the other; peers do all hosts at once.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.rivals import Peer, ensure_environment, make_key, prepare, read_trees
from bench.standing import PROGRAM, Standing, standing

# 24 tunnels end in 48 wireguard-go, each with an inotify instance; Linux gives a user 128, and
# a booted host takes five or six of them. Whoever has no part in this is switched off.
IDLE = ("svc1", "svc2", "c-fra", "c-par")
ALTERED = "/etc/loopback/watch.json"
# Rows that tell of a change: Ansible's recap by host; pyinfra's table by file, `1 (host)` when it
# looks, hosts and successes when it changes.
CHANGED = {
    "ansible": re.compile(r"changed=[1-9]"),
    "pyinfra": re.compile(r"(?m)^\s+/\S+\s+(?:[1-9]\d* \(|\d+\s+[1-9]\d*\s)"),
}
Times = dict[str, dict[str, list[float]]]


def main(runs: int = 1) -> None:
    """Print the table."""
    for name in ("ansible", "pyinfra"):
        ensure_environment(name)
    with tempfile.TemporaryDirectory(prefix="bench-") as place, standing("bench10") as fleet:
        for idle in IDLE:
            fleet.lab.power_off(idle)
        times, hosts = measure(fleet, Path(place), runs)
    print_table(times, hosts)


def measure(fleet: Standing, folder: Path, runs: int) -> tuple[Times, dict[str, dict]]:
    """Deploy, then change and look with each tool in turn.

    The service goes from `a` to `b` and back, by us twice, by one peer there and by the other back.
    """
    times: Times = {"first up": {}, "change": {}, "drift": {}}
    note(times, "first up", "loopback", fleet.loopback("up", "--yes")[0])
    hosts = read_hosts(fleet)
    key = make_key(fleet, hosts, folder)
    keep(fleet, hosts, folder, "a")
    peers = {}
    for _ in range(runs):
        for tree, many in (("b", 50), ("a", None)):
            fleet.configure(perClient=many)
            note(times, "change", "loopback", fleet.loopback("up", "--yes")[0])
            if tree not in peers:
                keep(fleet, read_hosts(fleet), folder, tree)
                peers[tree] = prepare(fleet, hosts, key, folder, tree)
        look(fleet, times, peers["a"])
        ansible, pyinfra = (peers[tree][n] for n, tree in enumerate("ab"))
        note(times, "change", "pyinfra", call(fleet, pyinfra, pyinfra.change))
        note(times, "change", "ansible", call(fleet, ansible, ansible.change))
    return times, hosts


def look(fleet: Standing, times: Times, peers: list[Peer]) -> None:
    """One file was altered by hand on one host: each tool has to find it."""
    fleet.lab.exec("w3", ["sh", "-c", f"cp -p {ALTERED} /run/kept && echo >> {ALTERED}"])
    took_s, done = fleet.run(["loopback", "drift", "--json", "-C", str(PROGRAM)])
    found = [(d["host"], d["rule"]) for d in json.loads(done.stdout)["differences"]]
    if found != [("w3", "file-as-applied")]:
        raise SystemExit(f"loopback drift: {found}")
    note(times, "drift", "loopback", took_s)
    for peer in reversed(peers):
        note(times, "drift", peer.name, call(fleet, peer, peer.look))
    fleet.lab.exec("w3", ["cp", "-p", "/run/kept", ALTERED])


def note(times: Times, what: str, who: str, took_s: float) -> None:
    print(f"{what}, {who}: {took_s:.1f} s", file=sys.stderr, flush=True)
    times[what].setdefault(who, []).append(took_s)


def read_hosts(fleet: Standing) -> dict[str, dict]:
    """Hosts as the stack's output describes them."""
    _, done = fleet.run(["loopback", "output", "hosts", "--json", "-C", str(PROGRAM)])
    return json.loads(done.stdout)


def keep(fleet: Standing, hosts: dict[str, dict], folder: Path, tree: str) -> None:
    """Lay out what stands on the hosts now."""
    listed = read_trees(fleet, hosts, folder / tree)
    (folder / tree / "files.json").write_text(json.dumps(listed))


def call(fleet: Standing, peer: Peer, argv: list[str]) -> float:
    """Seconds of one run, which has to succeed and to have found a change."""
    environment = ["env", "-C", str(peer.folder), f"ANSIBLE_CONFIG={peer.folder}/ansible.cfg"]
    took_s, done = fleet.run([*environment, f"HOME={os.environ.get('HOME', '/root')}", *argv])
    said = done.stdout + done.stderr
    if done.returncode:
        raise SystemExit(f"{peer.name}: {said[-4000:]}")
    if not CHANGED[peer.name].search(said):
        raise SystemExit(f"{peer.name} found no change\n{said[-4000:]}")
    return took_s


def _shown(took: list[float]) -> str:
    if not took:
        return "-"
    spread = f" ({min(took):.1f} to {max(took):.1f})" if len(took) > 1 else ""
    return f"{statistics.median(took):.1f}{spread}"


def print_table(times: Times, hosts: dict[str, dict]) -> None:
    pops = sum(facts["role"] == "pop" for facts in hosts.values())
    table = Table("seconds, median (and range)", "loopback", "ansible", "pyinfra")
    for what, sides in times.items():
        table.add_row(what, *(_shown(sides.get(n, [])) for n in ("loopback", "ansible", "pyinfra")))
    console = Console(width=100)
    console.print(f"{len(hosts)} hosts, {pops} PoPs among them, all on this machine's processors")
    console.print(table)
