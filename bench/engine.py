"""The embedded engine beside the Pulumi CLI's file backend, with a provider that answers at once.

Both run the same unmodified program with the same plugin and write every step durably. The Pulumi
CLI is in no package registry: it is measured when `pulumi` is on PATH, else the table says so.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
ROOT = HERE.parent
LOOPBACK = str(Path(sys.executable).parent / "loopback")
SIXTY = ["--policy-pack", str(HERE / "sixty")]
VERBS = {
    "plan": (["plan"], ["preview"]),
    "plan, 60 policies": (["plan", *SIXTY], ["preview", *SIXTY]),
    "up": (["up", "--yes"], ["up", "--yes", "--skip-preview"]),
    "up, nothing to do": (["up", "--yes"], ["up", "--yes", "--skip-preview"]),
    "destroy": (["destroy", "--yes"], ["destroy", "--yes", "--skip-preview"]),
}


def write_project(folder: Path, count: int) -> None:
    project = {
        "name": "bench",
        "runtime": {
            "name": "python",
            "options": {"toolchain": "pip", "virtualenv": str(ROOT / ".venv")},
        },
        "main": str(HERE / "things"),
        "plugins": {"providers": [{"name": "instant", "path": str(HERE / "instant")}]},
    }
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    (folder / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": {"bench:count": str(count)}}))


def timed(argv: list[str], folder: Path, env: dict[str, str]) -> float:
    begun = time.monotonic()
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)}: {done.stdout[-1500:]}{done.stderr[-1500:]}")
    return time.monotonic() - begun


def measure(count: int, runs: int) -> dict[str, dict[str, list[float]]]:
    pulumi = shutil.which("pulumi")
    times: dict[str, dict[str, list[float]]] = {v: {"loopback": [], "pulumi": []} for v in VERBS}
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_project(folder, count)
            env = os.environ | {
                "PULUMI_CONFIG_PASSPHRASE": "bench",
                "PULUMI_HOME": str(folder / "home"),
                "PULUMI_BACKEND_URL": f"file://{folder}",
                "PULUMI_SKIP_UPDATE_CHECK": "true",
                "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            }
            for verb, (words, _) in VERBS.items():
                times[verb]["loopback"].append(timed([LOOPBACK, *words], folder, env))
            if pulumi:
                timed([pulumi, "stack", "init", "dev"], folder, env)
                for verb, (_, words) in VERBS.items():
                    argv = [pulumi, *words, "--non-interactive", "--stack", "dev"]
                    times[verb]["pulumi"].append(timed(argv, folder, env))
    return times


def main(count: int = 1000, runs: int = 3) -> None:
    """Print the table."""
    table = Table("seconds, median of " + str(runs), "loopback", "pulumi", "ratio")
    for verb, sides in measure(count, runs).items():
        ours = statistics.median(sides["loopback"])
        theirs = statistics.median(sides["pulumi"]) if sides["pulumi"] else None
        ratio = f"{ours / theirs:.2f}" if theirs else "-"
        table.add_row(verb, f"{ours:.1f}", f"{theirs:.1f}" if theirs else "not on PATH", ratio)
    console = Console()
    console.print(f"{count} resources of an instant provider, every step durable")
    console.print(table)
