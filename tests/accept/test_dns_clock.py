"""`loopback dns check` where the clock is wrong, asked of real servers."""

from __future__ import annotations

import time

import pytest

from tests.accept.served_zone import check, rules, verdicts


@pytest.mark.parametrize("off_s", [-900, 900])
def test_a_clock_that_is_wrong_is_told_and_makes_nobody_a_liar(fleet, monkeypatch, off_s):
    """Ours, of whoever looks: beyond 300 s both daemons refuse the key's time (RFC 8945 5.2.3)."""
    right = time.time
    monkeypatch.setattr("time.time", lambda: right() + off_s)
    report = check([fleet.nsd, fleet.plain], ds=fleet.ds)
    assert rules(report, "nsd") == rules(report, "plain") == {"transfer-refused"}
    assert verdicts(report) == {"nsd": "faulty", "plain": "faulty"}
    assert {one.got for one in report.findings} == {"NOTAUTH: BadTime"}
