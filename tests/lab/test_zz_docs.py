"""Every command printed on a page that needs a lab runs on the deployed fleet; `down` is last."""

from __future__ import annotations

import json
import re

import pytest

from tests.printed import ROOT, printed_commands, run_printed


@pytest.mark.timeout(400)
@pytest.mark.parametrize("line", printed_commands(in_a_lab=True))
def test_printed_command(fleet, line):
    # `make lab` loses its PoP once here; test_drill.py loses it under every bound
    done = run_printed(line, LOOPBACK_LAB=fleet.lab.paths.name, LOOPBACK_DEMO_RUNS="1")
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
