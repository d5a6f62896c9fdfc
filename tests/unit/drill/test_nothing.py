"""The drill that breaks nothing holds what others ask for, and tells of a session that moved."""

from __future__ import annotations

from loopback_iac.lab.drill.drills import DRILLS
from loopback_iac.lab.drill.moves import told_reset
from loopback_iac.lab.drill.witness import SAME_S, Since


def test_it_comes_first_and_asks_for_all_that_a_quiet_fleet_keeps():
    first = next(iter(DRILLS.values()))
    assert first.name == "nothing"
    asked = {check.name for check in first.must_hold}
    quiet = {"quiet-before", "none-fails", "stays", "served-again", "clients-keep-addresses"}
    assert quiet | {"no-session-reset", "no-bfd-falls", "no-worker-falls"} == asked


def test_a_session_that_moved_or_went_is_told_and_one_told_a_moment_off_is_not():
    before = {"t1 a": Since("up", 10.0), "t1 b": Since("up", 10.0), "t1 c": Since("up", 10.0)}
    after = {"t1 a": Since("up", 10.0 + SAME_S / 2), "t1 b": Since("up", 14.0)}
    assert told_reset(before, after) == "t1 b, t1 c"
    assert told_reset(before, before) == ""
