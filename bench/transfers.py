"""What name servers take over TLS, by how the primary acknowledges: Linux's way, and at once.

A hidden primary with Knot and NSD, their rendered files, in namespaces of this machine: no agent,
no SSH. From the blocking reload on the primary until each name server answers, in turns.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from loopback_iac.lab.names.image import writable_image
from loopback_iac.lab.names.machine import Hosts, hosts, render_hosts
from loopback_iac.lab.names.space import wait_for
from tests.golden import primaries

if TYPE_CHECKING:
    from collections.abc import Callable

ZONE = "example.net."
TOP = "$TTL 300\n@ NS ns1.example.org.\n@ NS ns2.example.org.\n"
WAYS = {"as Linux does": 1, "at once": 255}
LONGEST_S = 60.0


def main(count: int = 10_000, runs: int = 12, zones: int = 500, many: int = 2) -> None:
    """Print the table: one record of `count` changed; `zones` that are new at once."""
    case = primaries.load("two-servers")
    case.primary.update(responses_per_s=0, zones={"example.net": {"text": text(count, "")}})
    table = Table("served, ms", "acknowledged", "runs", "Knot", "95 %", "NSD", "95 %")
    with (
        writable_image() as image,
        tempfile.TemporaryDirectory() as ground,
        hosts(image, Path(ground), case) as made,
    ):
        for machine in (made.primary, *made.servers.values()):
            machine.start()
        wait_for(lambda: made.primary.serial(ZONE) > 0, LONGEST_S)
        made.primary.knotc("zone-notify")
        made.wait_served(ZONE)
        add(table, f"one record of {count}", runs, made, partial(change, made, count))
        add(table, f"{zones} new zones", many, made, partial(grow, made, zones))
    Console(width=120).print(table)


def text(count: int, mark: str) -> str:
    """A zone whose one TXT record differs."""
    soa = "$TTL 300\n@ SOA ns1 hostmaster 1 600 300 604800 60\n"
    rows = "".join(f"h{at} A 203.0.113.{at % 250}\n" for at in range(count))
    return f'{soa}{TOP}{rows}mark TXT "{mark}"\n'


def add(
    table: Table, what: str, runs: int, made: Hosts, act: Callable[[str], dict[str, float]]
) -> None:
    """Both ways in turns."""
    took: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for at in range(runs):
        for way, value in WAYS.items():
            made.primary.space.run("sysctl", "-qw", f"net.ipv4.tcp_pingpong_thresh={value}")
            time.sleep(random.uniform(1.1, 1.9))  # noqa: S311  # Knot's events come by the second
            took[way].append(act(f"r{at}w{value}"))
    for way, found in took.items():
        cells = []
        for name in ("fra1", "par1"):
            each = sorted(1000 * one[name] for one in found)
            last = each[int(0.95 * (len(each) - 1))]
            cells += [f"{statistics.median(each):.0f}", f"{last:.0f}"]
        table.add_row(what, way, str(runs), *cells)


def change(made: Hosts, count: int, mark: str) -> dict[str, float]:
    """Seconds until each name server has one other record."""
    made.put(ZONE, text(count, mark))
    since = time.monotonic()
    made.load(ZONE)
    wanted = {name: [f'"{mark}"'] for name in made.servers}
    return awaited(
        since, wanted, lambda name, told: told in made.servers[name].answer(f"mark.{ZONE}", "TXT")
    )


def grow(made: Hosts, zones: int, mark: str) -> dict[str, float]:
    """Seconds until each name server has the last of many new zones; those before go."""
    names = [f"z{at}{mark}.example" for at in range(zones)]
    made.case.primary["zones"] = {name: {"text": TOP} for name in ["example.net", *names]}
    made.primary.put(render_hosts(made.case)["primary"])
    since = time.monotonic()
    made.primary.knotc("-t", "100", "reload")
    wanted = {server: [*names] for server in made.servers}
    return awaited(since, wanted, lambda server, name: made.servers[server].serial(f"{name}.") > 0)


def awaited(
    since: float, wanted: dict[str, list[str]], has: Callable[[str, str], bool]
) -> dict[str, float]:
    """Seconds until each has all that is wanted of it; all of the patience when it never has."""
    found: dict[str, float] = {}
    while wanted and time.monotonic() - since < LONGEST_S:
        for name, left in [*wanted.items()]:
            while left and has(name, left[0]):
                left.pop(0)
            if not left:
                found[name] = time.monotonic() - since
                del wanted[name]
    return dict.fromkeys(wanted, LONGEST_S) | found
