"""Every command printed on a page that needs a lab runs on the deployed fleet."""

from __future__ import annotations

import pytest

from tests.printed import LAST, PAGES, printed_commands, see_it_run_in_a_lab


@pytest.mark.parametrize("line", printed_commands(*PAGES[: -len(LAST)], in_a_lab=True))
def test_printed_command(fleet, line):
    see_it_run_in_a_lab(line, fleet.lab.paths.name)
