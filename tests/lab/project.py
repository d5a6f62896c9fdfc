"""A project of its own on the lab's workstation, run by the command a user types."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from loopback_iac.lab import Lab


def run_project(lab: Lab, folder: Path, *words: str) -> tuple[int, str, dict[str, Any]]:
    """In: folder, the project; its configuration and its state lie beside the program.

    Out: exit code, what it said, the result.
    """
    argv = ["loopback", *words, "-C", str(folder), "--json"]
    argv += ["--config-file", str(folder / "config.yaml"), "--state-dir", str(folder / "state")]
    done = lab.exec("ops", argv, timeout_s=240)
    assert done.stdout, done.stderr
    return done.returncode, done.stderr, json.loads(done.stdout)


def change_project(lab: Lab, folder: Path, *words: str) -> tuple[dict[str, Any], list[Any]]:
    """Out: the result, and what was done to which resource, in the order in which it was."""
    code, said, result = run_project(lab, folder, *words)
    assert code == 0, said[-3000:]
    return result, [
        (change["urn"].rsplit("::", 1)[1], change["op"])
        for change in result["changes"]
        if change["op"] != "same"
    ]
