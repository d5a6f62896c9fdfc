"""docs/zones.md has every rule of a zone with its source, and a program that runs."""

from __future__ import annotations

import re
from pathlib import Path

from loopback_iac.dns.findings import ADVICE, ERRORS
from loopback_iac.dns.guard import Danger

PAGE = (Path(__file__).parents[3] / "docs/zones.md").read_text()


def test_every_rule_stands_there_with_its_rfc():
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (RFC[^|]+) \| [^|]+ \|$", PAGE, re.MULTILINE))
    told = {rule: text.split(": ", 1)[0] for rule, text in (ERRORS | ADVICE).items()}
    assert rows == told
    assert all(f"`change-{danger.value}`" in PAGE for danger in Danger)


def test_the_program_printed_there_runs(capsys):
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(program, {})  # noqa: S102  # it is ours
    assert "www 300 IN A 203.0.113.10\n" in capsys.readouterr().out
