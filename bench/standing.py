"""A lab for measurements: booted, deployed with `bench/fleet`, taken down afterwards."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from loopback_iac.lab import Lab, bring_up, take_down

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
PROGRAM = ROOT / "bench/fleet"
NAME = "bench"


class Standing:
    """The fleet of one topology as an operator has it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def configure(self, **settings: int | None) -> None:
        """Set, or with None take back, values of the program's configuration."""
        file = self.lab.paths.stack_config
        tree = yaml.safe_load(file.read_text())
        for name, value in settings.items():
            tree["config"].pop(f"loopback-edge:{name}", None)
            if value is not None:
                tree["config"][f"loopback-edge:{name}"] = value
        file.write_text(yaml.safe_dump(tree, sort_keys=False))

    def run(
        self, argv: list[str], timeout_s: float = 500
    ) -> tuple[float, subprocess.CompletedProcess[str]]:
        """Seconds and outcome of a command on the workstation."""
        begun = time.monotonic()
        done = self.lab.exec("ops", argv, timeout_s=timeout_s)
        return time.monotonic() - begun, done

    def loopback(self, verb: str, *words: str) -> tuple[float, dict[str, Any]]:
        """Seconds and `--json` answer of a verb that has to succeed."""
        took_s, done = self.run(["loopback", verb, "--json", "-C", str(PROGRAM), *words])
        if done.returncode:
            raise SystemExit(f"loopback {verb}: {done.stdout[-1500:]}{done.stderr[-3000:]}")
        return took_s, json.loads(done.stdout)


@contextmanager
def standing(topology: str) -> Iterator[Standing]:
    """The lab `bench` with this topology, not yet deployed."""
    take_down(NAME)
    lab, _ = bring_up(NAME, topology)
    try:
        yield Standing(lab)
    finally:
        take_down(NAME)
