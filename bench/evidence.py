"""What a record, a bundle and its check take, and whether others' validators take its documents.

Words: `python -m bench evidence 1000 3` for so many resources and runs.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.controls import many
from bench.rivals import ensure_environment
from tests.unit.evidence.states import SIGNER, make_key, sealed, state, urn

HERE = Path(__file__).parent
LOOPBACK = str(Path(sys.executable).with_name("loopback"))


def main(count: int = 1000, runs: int = 3) -> None:
    """Print the table; seconds by the clock and of the processor, each the median."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_key(folder / "key")
        small, wide = folder / "small.json", folder / "wide.json"
        small.write_text(state())
        wide.write_text(exported(count))
        columns = {
            each.stem: [measure(each, folder / f"{each.stem}-{run}") for run in range(runs)]
            for each in (small, wide)
        }
        told = validated(folder / "small-0/out")
    resources = len(json.loads(state())["deployment"]["resources"])
    table = Table(f"median of {runs}, clock (processor)", f"{resources} resources", str(count))
    for what in columns["small"][0]:
        table.add_row(what, *(middle(found, what) for found in columns.values()))
    Console().print(table)
    Console().print(told)


def exported(count: int) -> str:
    """The passing stack, its clouds and commands again and again, as a state."""
    rows = [
        {"urn": urn(each.kind, each.name), "type": each.kind, "inputs": sealed(each.facts)}
        for each in many(count)
    ]
    return json.dumps({"version": 3, "deployment": {"resources": rows}})


def measure(text: Path, folder: Path) -> dict[str, tuple[float, float]]:
    """Two records, a bundle, its check."""
    folder.mkdir()
    chain, out, key = folder / "chain", folder / "out", folder.parent / "key"
    common = ["--chain", str(chain), "--key", str(key), "--signer", SIGNER]
    record = [LOOPBACK, "evidence", "record", *common, "--no-git", "--state-file", str(text)]
    return {
        "first record": timed(record),
        "next record": timed(record),
        "bundle": timed([LOOPBACK, "evidence", "bundle", *common, "--out", str(out)]),
        "verify.py": timed([sys.executable, "-I", "-S", str(out / "verify.py"), str(out)]),
    }


def timed(argv: list[str]) -> tuple[float, float]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    wall = time.monotonic() - begun
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def middle(found: list[dict[str, tuple[float, float]]], what: str) -> str:
    wall, cpu = (statistics.median(one[what][at] for one in found) for at in (0, 1))
    return f"{wall:.2f} s ({cpu:.2f})"


def validated(bundle: Path) -> str:
    """What the validators said."""
    python = str(ensure_environment("evidence") / "python")
    argv = [python, str(HERE / "peers/evidence/validate.py"), str(bundle)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return done.stdout
