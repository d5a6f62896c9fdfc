"""A zone of 100,000 records: parsed, held to its rules, compared with one that differs in one.

Beside it octoDNS with the same records: it builds and validates each record by itself, we hold
the zone as a whole to its rules as well. Both start from the records in memory; what a zone file
costs us is told apart, since octoDNS has none of its own.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.rivals import ensure_environment

HERE = Path(__file__).parent
NAME = "example.net."
FEW = 500
Records = dict[str, dict[str, list[Any]]]
Figures = dict[str, Any]


def main(count: int = 100_000, runs: int = 3) -> None:
    """Print the table; times are of the processor, each the median."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, count)
        peer = str(ensure_environment("octodns") / "python")
        theirs_argv = [peer, str(HERE / "peers/octodns/measure.py")]
        ours_argv = [sys.executable, "-m", "bench.zone"]
        ours = [said([*ours_argv, str(folder / "ours.json"), str(folder)]) for _ in range(runs)]
        theirs = [
            said([*theirs_argv, str(folder / "theirs.json"), str(folder)]) for _ in range(runs)
        ]
    table = Table(f"{count:,} records, median of {runs}", "Loopback", "octoDNS")
    for what in dict.fromkeys([*ours[0], *theirs[0]]):
        table.add_row(what, middle(ours, what), middle(theirs, what))
    Console(width=110).print(table)


def middle(found: list[Figures], what: str) -> str:
    if what not in found[0]:
        return ""
    if isinstance(found[0][what], bool):
        return str(all(one[what] for one in found)).lower()
    return f"{statistics.median(one[what] for one in found):.4g}"


def said(argv: list[str]) -> Figures:
    told = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=HERE.parent)
    if told.returncode:
        raise SystemExit(told.stderr[-1500:])
    figures: Figures = json.loads(told.stdout.splitlines()[-1])
    return figures


def records(count: int, *, ours: bool) -> Records:
    """Records of five types, as each side has them declared."""
    dot = "" if ours else f".{NAME}"
    mx: Any = "10 mail" if ours else {"preference": 10, "exchange": f"mail.{NAME}"}
    found: Records = {
        "@" if ours else "": {"NS": [f"ns1{dot}", "ns2.example.org."]},
        "ns1": {"A": ["192.0.2.1"]},
        "mail": {"A": ["192.0.2.2"]},
    }
    for at in range(count - 4):
        kinds: tuple[dict[str, list[Any]], ...] = (
            {"A": [f"10.{at >> 16}.{at >> 8 & 255}.{at & 255}"]},
            {"AAAA": [f"2001:db8::{at >> 16:x}:{at & 65535:x}"]},
            {"CNAME": [f"h{at - 2}{dot}"]},
            {"TXT": [f"v=spf1 ip4:10.0.0.{at % 256} -all"]},
            {"MX": [mx]},
        )
        found[f"h{at}"] = kinds[at % 5]
    return found


def write(folder: Path, count: int) -> None:
    """The same zones for both, and a small one in octoDNS YAML as we write it."""
    from loopback_iac.dns import parse_zone, render_octodns  # noqa: PLC0415 - measured as well

    for side in ("ours", "theirs"):
        old = records(count, ours=side == "ours")
        new = old | {"h0": {"A": ["10.9.9.9"]}}
        few = records(FEW, ours=side == "ours")
        given = {"old": old, "new": new, "few": few}
        (folder / f"{side}.json").write_text(json.dumps(given))
    few = parse_zone("few", {"name": NAME, "records": records(FEW, ours=True)})
    (folder / f"{NAME}yaml").write_text(render_octodns(few))


def peak_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def measure(file: str) -> Figures:
    from loopback_iac.dns import (  # noqa: PLC0415 - as above
        check_change,
        check_zone,
        difference,
        parse_zone,
        parse_zone_file,
        render_zone_file,
    )

    given = json.loads(Path(file).read_text())
    before = peak_mib()
    begun = time.process_time()
    old = parse_zone("old", {"name": NAME, "records": given["old"]})
    problems = check_zone(old)
    built = time.process_time() - begun
    new = parse_zone("new", {"name": NAME, "records": given["new"]})
    begun = time.process_time()
    found = difference(old, new)
    problems += check_change(found)
    compared = time.process_time() - begun
    peak = peak_mib()
    begun = time.process_time()
    text = render_zone_file(old)
    rendered = time.process_time() - begun
    begun = time.process_time()
    again = parse_zone_file(text)
    read = time.process_time() - begun
    if problems or again != old:
        raise SystemExit(f"{problems[:3]}, {again == old}")
    return {
        "parse and check: s": built,
        "difference and guard: s": compared,
        "MiB over the records themselves, both zones": peak - before,
        "changes": len(found.changes),
        "zone file written: s": rendered,
        "zone file read: s": read,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(sys.argv[1])))
