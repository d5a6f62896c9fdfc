"""What the policy pack costs per resource and per stack, with one reading per request and without.

The pack is asked over the SDK's own servicer, in this process: what an engine adds is its own.
Words: `python -m bench controls 1000 3` for so many resources and runs.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

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
        resource = repeated[number % len(repeated)]
        name = f"{resource.name}-{number}"
        found.append(replace(resource, name=name, urn=f"urn:{name}"))
    return found


def measure(resources: list[Resource]) -> tuple[float, float]:
    """Milliseconds of processor per resource, and for the whole stack."""
    pack = servicer()
    requests = [one(resource) for resource in resources]
    stack = whole(resources)
    begun = time.process_time()
    for request in requests:
        pack.Analyze(request, None)
    per_resource = (time.process_time() - begun) * 1000 / len(requests)
    begun = time.process_time()
    pack.AnalyzeStack(stack, None)
    return per_resource, (time.process_time() - begun) * 1000


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
