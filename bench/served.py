"""A signed zone of 10,000 RRsets on one server, one record of it altered: how long, and is it seen.

Beside it `octodns-report` of the same records on the same server, in the same run, in turns. It
asks with a resolver, compares servers with each other, and looks at no signature, no TTL and no
record that nobody declared; both start from a file of the zone, and both starts are counted.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from bench.rivals import ensure_environment
from bench.zone import NAME, records
from loopback_iac.dns import parse_zone, render_octodns, render_zone_file
from loopback_iac.dns.rdata import render_rdata
from loopback_iac.lab.names.image import writable_image
from loopback_iac.remote.dns_ask import Limits
from loopback_iac.remote.dns_transfer import fetch_zone, parse_tsig
from tests.accept.name_servers import HOST, KEY_LINE, Daemon, knot, nsd, running

HERE = Path(__file__).parent
ALTERED = "10.99.99.99"
SOA = "ns1 hostmaster 1 3600 900 604800 3600"


class Run(NamedTuple):
    """One command: its time, that of the processor, what it saw."""

    seconds: float
    cpu_s: float
    seen: str


WAYS = ("queries", "transfer", "all")


def main(count: int = 10_000, runs: int = 3) -> None:
    """Print the table: seconds of whole commands, the median and the spread; who saw what."""
    given = records(count - 1, ours=True)
    given["@"] = given["@"] | {"SOA": [SOA]}
    zone = parse_zone("bench", {"name": NAME, "records": given})
    with tempfile.TemporaryDirectory() as name, writable_image() as image:
        folder = Path(name)
        (folder / "zone").write_text(render_zone_file(zone))
        (folder / f"{NAME}yaml").write_text(render_octodns(zone))
        (folder / "key").write_text(KEY_LINE)
        (folder / "octodns.yaml").write_text(
            f"providers:\n  own:\n    class: octodns.provider.yaml.YamlProvider\n"
            f"    directory: {folder}\nzones:\n  {NAME}:\n    sources: [own]\n    targets: [own]\n"
        )
        signer = knot(image, "signer", (folder / "zone").read_text(), sign={})
        with running(signer):
            signed = transferred(signer)
        altered = re.sub(r"(?m)^(h5000\S* .* A) \S+$", rf"\1 {ALTERED}", signed)
        if altered == signed:
            raise SystemExit("nothing was altered")
        for made in (knot(image, "knot", altered), nsd(image, "nsd", altered)):
            with running(made):
                compare(made, folder, len(zone.rrsets), runs)


def transferred(server: Daemon) -> str:
    """The zone as a server has it, as a file."""
    found = asyncio.run(fetch_zone(server.server, NAME, parse_tsig(KEY_LINE), Limits()))
    if not isinstance(found, tuple):
        raise SystemExit(found.why)
    rows = [f"{o} {ttl_s} IN {kind} {render_rdata(kind, wire)}\n" for o, kind, ttl_s, wire in found]
    return "".join(rows)


def compare(server: Daemon, folder: Path, count: int, runs: int) -> None:
    """One server: every way, in turns."""
    found: dict[str, list[Run]] = {}
    for _ in range(runs):
        for way in WAYS:
            found.setdefault(f"loopback dns check --by {way}", []).append(ours(server, folder, way))
        found.setdefault("octodns-report --concurrency 64", []).append(theirs(server, folder))
    title = f"{count:,} RRsets, one altered, {server.name}; seconds, median of {runs}"
    table = Table(title, "median", "least", "most", "CPU", "seen")
    for what, rows in found.items():
        told = {row.seen for row in rows}
        times = [row.seconds for row in rows]
        figures = [f"{f(times):.2f}" for f in (statistics.median, min, max)]
        figures.append(f"{statistics.median(row.cpu_s for row in rows):.2f}")
        table.add_row(what, *figures, "; ".join(sorted(told)))
    Console(width=140).print(table)


def ours(server: Daemon, folder: Path, way: str) -> Run:
    """Seconds, and which records it named."""
    words = [str(Path(sys.executable).parent / "loopback"), "dns", "check", str(folder / "zone")]
    words += ["--server", f"{server.name}={HOST}:{server.port}", "--by", way, "--json"]
    done, seconds, cpu_s = run([*words, "--tsig-file", str(folder / "key")])
    report = json.loads(done)
    named = sorted({f"{one['owner']} {one['type']}" for one in report["findings"]})
    return Run(seconds, cpu_s, f"{report['servers'][0]['verdict']}: {', '.join(named)}")


def theirs(server: Daemon, folder: Path) -> Run:
    """Seconds, and how many records it called inconsistent; asked alone, as a server is."""
    words = [str(ensure_environment("octodns") / "python"), str(HERE / "peers/octodns/report.py")]
    words += [str(server.port), "--config-file", str(folder / "octodns.yaml"), "--zone", NAME]
    words += ["--source", "own", "--concurrency", "64", "--timeout", "5", HOST]
    done, seconds, cpu_s = run(words)
    rows = list(csv.reader(io.StringIO(done)))
    wrong = [row for row in rows[1:] if row and row[-1] != "True"]
    seen = f"{len(rows) - 1} records asked, {len(wrong)} called inconsistent"
    return Run(seconds, cpu_s, seen)


def run(words: list[str]) -> tuple[str, float, float]:
    """What a command printed, its seconds, and those of the processor; servers are not in them."""
    before, begun = spent_s(), time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=HERE.parent)
    seconds = time.perf_counter() - begun
    if done.returncode not in (0, 1) or not done.stdout:
        raise SystemExit(done.stderr[-1500:])
    return done.stdout, seconds, spent_s() - before


def spent_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)  # of those that have ended
    return used.ru_utime + used.ru_stime
