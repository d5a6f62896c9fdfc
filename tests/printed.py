"""The commands that the documents print, by whether they need the deployed fleet."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# they come last of all: drills at full rate, which need the machine, and what ends with `down`
LAST = (ROOT / "docs/drills.md", ROOT / "README.md")
PAGES = [*sorted({*(ROOT / "docs").rglob("*.md")} - {*LAST}), *LAST]
IN_A_LAB = ("loopback lab ", "loopback drill", "make lab")


def printed_commands(*pages: Path, in_a_lab: bool):
    """Lines of `sh` blocks, in their order. A page that needs the fleet once is left whole."""
    return [
        pytest.param(line, id=f"{page.name}: {line}")
        for page, lines in ((page, _lines(page)) for page in pages)
        if in_a_lab == any(line.startswith(IN_A_LAB) for line in lines)
        for line in lines
    ]


def _lines(page: Path) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def run_printed(line: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command as a reader types it, in the project's folder."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = os.environ | {"PATH": path} | variables
    argv = shlex.split(line)
    return subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def see_it_run_in_a_lab(line: str, name: str) -> None:
    """It ends well; a drill has a record and says of itself what the record says.

    The verdict of a drill at full rate depends on what else the machine does; that it ran to its
    end, kept a record and told the truth about it does not. lab/test_drill.py holds the verdicts,
    at a gentle rate.
    """
    # `make lab` loses its PoP once here; test_drill.py loses it under every bound
    done = run_printed(line, LOOPBACK_LAB=name, LOOPBACK_DEMO_RUNS="1")
    said = done.stdout[-3000:] + done.stderr[-3000:]
    if line.startswith(("loopback drill ", "make lab")):
        kept = re.findall(r"^record: (.*record\.json),", done.stderr, re.MULTILINE)
        assert kept, said
        held = all(json.loads((ROOT / path).read_text())["held"] for path in kept)
        assert held == (done.returncode == 0), said
    else:
        assert done.returncode == 0, said
