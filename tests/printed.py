"""The commands that the documents print, by whether they need the deployed fleet."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]  # README ends with `down`
IN_A_LAB = ("loopback lab ", "loopback drill", "make lab")


def printed_commands(*, in_a_lab: bool):
    """Lines of `sh` blocks, in their order. A page that needs the fleet once is left whole."""
    pages = {page: _lines(page) for page in PAGES}
    return [
        pytest.param(line, id=f"{page.name}: {line}")
        for page, lines in pages.items()
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
