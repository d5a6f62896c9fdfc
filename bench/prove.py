"""Fleets of 2 to 50 PoPs: what it takes to prove what each service survives, and to re-check it.

Four workers and two services for each PoP, machines at ten suppliers in eight countries, two of ten
carriers at each PoP, ten DNS operators. Each size in a process of its own. Beside it z3, which is
asked only whether any two losses take a part down, and trying each set of losses one by one, which
is what verify.py does.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.wide import tree
from bench.wide.columns import SIZES, Figures, print_sizes

HERE = Path(__file__).parent
SUPPLIERS, COUNTRIES, CARRIERS, OPERATORS = 10, 8, 10, 10
LOSSES = 2


def main(runs: int = 3, *sizes: int) -> None:
    """Print the table; a figure of time or memory is the median."""
    print_sizes({count: measure(count, runs) for count in sizes or SIZES}, runs)


def measure(count: int, runs: int) -> Figures:
    argv = [sys.executable, "-m", "bench.prove", str(count)]
    found = [
        json.loads(subprocess.run(argv, capture_output=True, check=True, cwd=HERE.parent).stdout)
        for _ in range(runs)
    ]
    return {
        what: statistics.median(one[what] for one in found) if isinstance(first, float) else first
        for what, first in found[0].items()
    }


def stack(count: int) -> list[dict[str, Any]]:
    """Resources of a plan, as the proof is given them."""
    from loopback_iac.model import fleet_facts, parse_fleet  # noqa: PLC0415 - measured apart

    machines = tree.machines(count)
    facts: Any = fleet_facts(parse_fleet("edge", tree.fleet(machines, count, "nobody-knows")))
    for at, pop in enumerate(facts["pops"].values()):
        for carrier, up in enumerate(pop["upstreams"].values()):
            up["asn"] = 64496 + (at + carrier * 3) % CARRIERS
    metal = "loopback-iac:index:BareMetalHost"
    hosts = [
        {"type": metal, "name": name, "inputs": {
            "provider": f"supplier-{at % SUPPLIERS}",
            "country": f"C{at % COUNTRIES}",
            "site": machine["site"],
        }}
        for at, (name, machine) in enumerate(machines.items())
    ]  # fmt: skip
    edge = {"type": "loopback-iac:index:AnycastEdge", "name": "edge", "inputs": {"fleet": facts}}
    return [*hosts, edge]


def demands(services: list[str]) -> dict[str, Any]:
    operators = {f"operator-{n}": ["com", "de", "net"] for n in range(OPERATORS)}
    return {
        "survives": LOSSES,
        "names": {"www.example.net": {"services": services, "operators": operators}},
    }


def one(count: int) -> Figures:
    """Everything about one size; times are of the wall, on a process that does nothing else."""
    trees = stack(count)
    services = [*trees[-1]["inputs"]["fleet"]["services"]]
    begun = time.perf_counter()
    from loopback_iac.proof import (  # noqa: PLC0415 - measured
        parse_demands_tree,
        prove_redundancy,
        read_stack,
    )
    from loopback_iac.proof.certificate import render_certificate, render_text  # noqa: PLC0415

    loaded = time.perf_counter()
    proof = prove_redundancy(read_stack(trees), parse_demands_tree("bench", demands(services)))
    proved = time.perf_counter()
    text = render_text(render_certificate(proof, "bench"))
    written = time.perf_counter()
    memory = next(
        int(line.split()[1]) / 1024
        for line in Path(f"/proc/{os.getpid()}/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    from loopback_iac.proof.verify import check_certificate  # noqa: PLC0415

    begun_check = time.perf_counter()
    check_certificate(json.loads(text))
    checked = time.perf_counter()
    hard = len(proof.model.hard())
    survived = {verdict.survives for verdict in proof.verdicts}
    return {
        "workers": count * tree.PER_POOL,
        "services and addresses": len(proof.verdicts),
        "hard causes": hard,
        "different parts": len(proof.parts),
        "survives": ", ".join(str(each) for each in sorted(survived)),
        "load: ms": round(1000 * (loaded - begun), 1),
        "prove: ms": round(1000 * (proved - loaded), 1),
        "write the certificate: ms": round(1000 * (written - proved), 1),
        "certificate: KB": round(len(text.encode()) / 1000),
        "MiB at most": round(memory, 1),
        "verify.py, every set: s": round(checked - begun_check, 2),
        f"z3, only whether {LOSSES} losses suffice: s": round(ask_z3(proof), 2),
    }


def ask_z3(proof: Any) -> float:
    """Seconds z3 takes to say of every part that so few losses never suffice."""
    import z3  # noqa: PLC0415 - loads slowly

    model = proof.model
    begun = time.perf_counter()
    for part, found in proof.parts.items():
        lost = {key: z3.Bool(key) for key in model.hard()}
        known: dict[str, Any] = {}

        def up(node: str, lost: Any = lost, known: Any = known) -> Any:
            if node in model.causes:
                return z3.Not(lost[node]) if node in lost else z3.BoolVal(val=True)
            if node not in known:
                gate = model.gates[node]
                known[node] = z3.PbGe([(up(member), 1) for member in gate.of], gate.need)
            return known[node]

        solver = z3.Solver()
        solver.add(z3.Not(up(part)), z3.PbLe([(each, 1) for each in lost.values()], LOSSES))
        if (solver.check() == z3.unsat) != (found.survives >= LOSSES):
            raise SystemExit(f"z3 disagrees about {part}")
    return time.perf_counter() - begun


if __name__ == "__main__":
    sys.stdout.write(json.dumps(one(int(sys.argv[1]))))
