"""Every command printed in the documents runs on the deployed fleet; `down` comes last."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]  # README ends with `down`


def printed_commands():
    return [
        pytest.param(line, id=f"{page.name}: {line}")
        for page in PAGES
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
        for line in block.splitlines()
        if line.strip()
    ]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("line", printed_commands())
def test_printed_command(fleet, line):
    env = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LOOPBACK_LAB": fleet.lab.paths.name,
    }
    argv = shlex.split(line)
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    said = done.stdout[-3000:] + done.stderr[-3000:]
    kept = re.findall(r"^record: (.*record\.json),", done.stderr, re.MULTILINE)
    if line.startswith(("loopback drill ", "make lab")):
        # The verdict of a drill at full rate depends on what else the machine does; that it ran to
        # its end, kept a record and told the truth about it does not. test_drill.py holds the
        # verdicts, at a gentle rate.
        assert kept, said
        assert all(json.loads((ROOT / path).read_text())["held"] for path in kept) == (
            done.returncode == 0
        ), said
    else:
        assert done.returncode == 0, said
