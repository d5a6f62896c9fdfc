"""Fleets of 5 to 50 PoPs: what a plan of them costs, and what they come to.

Four workers and two services for each PoP, a pool of four for each two services; every PoP has a
tunnel to every worker. Planned by the embedded engine with the components as they are, without a
plugin; beside it parsing and rendering alone, in a process of their own. Nobody else is measured:
no other tool here renders such a fleet.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench.engine import LOOPBACK
from bench.wide import tree
from bench.wide.columns import SIZES, Figures, print_sizes

HERE = Path(__file__).parent
MIB = 1024


def main(runs: int = 3, *sizes: int) -> None:
    """Print the table; a figure of time or memory is the median."""
    print_sizes({count: measure(count, runs) for count in sizes or SIZES}, runs)


def measure(count: int, runs: int) -> Figures:
    plans = [plan(count) for _ in range(runs)]
    alone = [json.loads(_said([sys.executable, "-m", "bench.scale", str(count)])) for _ in plans]

    def median(of: list[Figures], what: str, digits: int) -> float:
        found = statistics.median(one[what] for one in of)
        return round(found, digits) if digits else round(found)

    return {
        **alone[0]["fleet"],
        "plan: s": median(plans, "wall_s", 1),
        "plan: s of processor": median(plans, "processor_s", 1),
        "plan: MiB, engine and program": median(plans, "mib", 0),
        "model and render alone: s": median(alone, "processor_s", 2),
        "model and render alone: MiB": median(alone, "mib", 0),
    }


def _said(argv: list[str]) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True, cwd=HERE.parent).stdout


def plan(count: int) -> Figures:
    """One plan from nothing, in processes of its own."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    given = {"pops": str(count), "sshPrivateKey": private, "md5": "nobody-knows"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project = {"name": "wide", "runtime": "python", "main": str(HERE / "wide")}
        (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))
        config = {f"wide:{key}": value for key, value in given.items()}
        (folder / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": config}))
        environment = os.environ | {"PULUMI_HOME": str(folder / "home")}
        argv = [LOOPBACK, "plan", "--json"]
        with (folder / "said").open("w") as said, (folder / "told").open("w") as told:
            begun = time.monotonic()
            child = subprocess.Popen(argv, cwd=folder, env=environment, stdout=said, stderr=told)
            memory = _watch_memory(child.pid)
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit((folder / "told").read_text()[-2000:])
        created = json.loads((folder / "said").read_text())["counts"]["create"]
        # a stack, the edge; host, enroll, apply, confirm and what holds them for every machine
        if created != 1 + 5 * (1 + tree.PER_POOL) * count:
            raise SystemExit(f"{created} resources planned")
    return {
        "wall_s": time.monotonic() - begun,
        "processor_s": used.ru_utime + used.ru_stime,
        "mib": sum(memory.values()) / MIB,
    }


def _watch_memory(first: int) -> dict[int, int]:
    """Peak KiB of a process and of its children, kept up to date until it ends."""
    peaks: dict[int, int] = {}

    def look() -> None:
        while Path(f"/proc/{first}/status").exists():
            for pid in [first, *_children(first)]:
                peaks[pid] = max(peaks.get(pid, 0), _peak_kib(pid))
            time.sleep(0.05)

    threading.Thread(target=look, daemon=True).start()
    return peaks


def _children(pid: int) -> list[int]:
    try:
        tasks = Path(f"/proc/{pid}/task").glob("*/children")
        return [int(word) for task in tasks for word in task.read_text().split()]
    except OSError:
        return []


def _peak_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def render_alone(count: int) -> Figures:
    """Every file of every host, without Pulumi; what the fleet comes to."""
    from loopback_iac.model import parse_fleet, parse_host  # noqa: PLC0415 - measured as well
    from loopback_iac.model.timing import checks_per_s  # noqa: PLC0415
    from loopback_iac.render import render_pop, render_worker  # noqa: PLC0415

    known = tree.machines(count)
    fleet = parse_fleet("edge", tree.fleet(known, count, "nobody-knows"))
    hosts = {name: parse_host(name, machine) for name, machine in known.items()}
    keys = {(name, 1): f"@{{secret:wireguard-1-{name}}}" for name in hosts}
    sizes: dict[str, list[int]] = {}
    for role, names, render in (
        ("PoP", fleet.pops, render_pop),
        ("worker", fleet.workers, render_worker),
    ):
        trees = (render(fleet, name, hosts, keys).files.values() for name in names)
        sizes[role] = [sum(len(file.text.encode()) for file in files) for files in trees]
    used = resource.getrusage(resource.RUSAGE_SELF)
    from_pop = checks_per_s(fleet.pools, fleet.services, "pop1")
    return {
        "fleet": {
            "workers": len(fleet.workers),
            "services": len(fleet.services),
            "tunnels": len(fleet.pops) * len(fleet.workers),
            "health checks a second: from a PoP": round(from_pop),
            "to a worker": round(from_pop * len(fleet.pops) / len(fleet.workers)),
            "in all": round(from_pop * len(fleet.pops)),
            **{
                f"bytes of a {role}'s files": f"{min(found):,} to {max(found):,}"
                for role, found in sizes.items()
            },
        },
        "processor_s": used.ru_utime + used.ru_stime,
        "mib": _peak_kib(os.getpid()) / MIB,  # ru_maxrss would count who started us
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(render_alone(int(sys.argv[1]))))
