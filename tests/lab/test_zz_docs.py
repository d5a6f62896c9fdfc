"""Every command of the pages that come last runs on the deployed fleet; `down` ends them."""

from __future__ import annotations

import pytest

from tests.printed import LAST, printed_commands, see_it_run_in_a_lab


@pytest.mark.parametrize("line", printed_commands(*LAST, in_a_lab=True))
def test_printed_command(fleet, line):
    see_it_run_in_a_lab(line, fleet.lab.paths.name)
