"""What the policy pack costs per resource and per stack, with one reading per request and without.

The pack is asked over the SDK's own servicer, in this process: what an engine adds is its own.
Beside it Checkov, as a program, over a Terraform plan of as many resources that it has checks for:
it has none for Hetzner, IONOS, BGP or zones, so the two look at different things.
Words: `python -m bench controls 1000 3` for so many resources and runs.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from bench.peers.checkov.plan import KINDS, render_plan
from bench.rivals import ensure_environment
from loopback_iac.policies import memo
from tests.policies.asked import one, servicer, whole
from tests.unit.controls.passing import build_stack

if TYPE_CHECKING:
    from loopback_iac.controls import Resource


def many(count: int) -> list[Resource]:
    """The passing stack once, and then its clouds, commands and manifests again and again."""
    base = list(build_stack().resources)
    repeated = [r for r in base if not r.kind.startswith("loopback-iac:")]
    found = list(base)
    for number in range(count - len(base)):
        again = repeated[number % len(repeated)]
        name = f"{again.name}-{number}"
        found.append(replace(again, name=name, urn=f"urn:{name}"))
    return found


def measure(resources: list[Resource]) -> tuple[float, float]:
    """Milliseconds of processor per resource, and for the whole stack."""
    pack = servicer()
    requests = [one(each) for each in resources]
    stack = whole(resources)
    begun = time.process_time()
    for request in requests:
        pack.Analyze(request, None)
    per_resource = (time.process_time() - begun) * 1000 / len(requests)
    begun = time.process_time()
    pack.AnalyzeStack(stack, None)
    return per_resource, (time.process_time() - begun) * 1000


def measure_checkov(count: int) -> tuple[float, int]:
    """Seconds of processor that Checkov takes for so many resources, and checks it made of them."""
    argv = [str(ensure_environment("checkov") / "checkov"), "--framework", "terraform_plan"]
    argv += ["--skip-download", "--compact", "--quiet", "--soft-fail", "--output", "json"]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with TemporaryDirectory() as name:
        plan = Path(name) / "tfplan.json"
        plan.write_text(render_plan(count))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [*argv, "--file", str(plan)], env=env, capture_output=True, text=True, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = json.loads(done.stdout)["summary"]
    if told["resource_count"] != count:
        raise SystemExit(f"Checkov looked at {told['resource_count']} resources of {count}")
    took = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return took, told["passed"] + told["failed"]


def main(count: int = 1000, runs: int = 3) -> None:
    resources = many(count)
    bare = [measure(resources) for _ in range(runs)]
    if not memo.remember():
        raise SystemExit("the memo was not tested with this version of pulumi_policy")
    remembered = [measure(resources) for _ in range(runs)]
    table = Table(title=f"The policy pack over {count} resources, median of {runs}")
    for column in ("", "as the SDK reads", "one reading", "ratio"):
        table.add_column(column, justify="left" if not column else "right")
    rows = ("resource controls, ms per resource", "stack controls, s in all")
    for at, (title, unit) in enumerate(zip(rows, (1, 1000), strict=True)):
        before, after = (statistics.median(r[at] for r in run) / unit for run in (bare, remembered))
        table.add_row(title, f"{before:.2f}", f"{after:.2f}", f"{before / after:.1f}")
    Console().print(table)
    alone = statistics.median(measure_checkov(len(KINDS))[0] for _ in range(runs))
    theirs = [measure_checkov(count) for _ in range(runs)]
    whole_s, checks = statistics.median(took for took, _ in theirs), theirs[0][1]
    each_ms = (whole_s - alone) * 1000 / (count - len(KINDS))
    Console().print(
        f"Checkov over {count} resources of a Terraform plan, seconds of processor: {whole_s:.1f}, "
        f"of it {alone:.1f} to start; {each_ms:.2f} ms a resource, {checks / count:.1f} checks each"
    )
