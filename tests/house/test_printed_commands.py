"""Pages that need no lab: each command they print runs. The others' are in tests/lab."""

from __future__ import annotations

import pytest

from tests.printed import PAGES, printed_commands, run_printed


@pytest.mark.parametrize("line", printed_commands(*PAGES, in_a_lab=False))
def test_printed_command(line):
    done = run_printed(line)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_every_page_is_read_once():
    lines = [*printed_commands(*PAGES, in_a_lab=False), *printed_commands(*PAGES, in_a_lab=True)]
    assert len({line.id.partition(": ")[0] for line in lines}) > 5
    printed = sum(page.read_text().count("```sh\n") for page in PAGES)
    assert printed <= len(lines)
