"""An exception holds while all of it is said, by two people, for a short time."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from loopback_iac.controls import (
    Outcome,
    evaluate,
    load_controls,
    overlapping,
    plan_of_action,
    read_exceptions,
    shown,
    unused,
)
from loopback_iac.controls.action import MEND_WITHIN_DAYS
from tests.unit.controls.cases import FAILING
from tests.unit.controls.passing import TODAY, WISH, build_stack

GOOD = {
    "id": "EXC-1",
    "rule": "RED-02",
    "urn": "urn:edge",
    "reason": "the second contract begins in January",
    "risk": "R-12",
    "compensating_control": "drill of 3 November",
    "owner": "edge",
    "author": "A. Author",
    "approver": "B. Boss",
    "ticket": "T-99",
    "created": "2026-11-01",
    "expires": "2026-12-01",
    "last_review": "2026-11-20",
}
RED_02 = FAILING["RED-02"][0]


def report(*exceptions, edits=RED_02):
    return evaluate(build_stack(*edits), TODAY, replace(WISH, exceptions=exceptions))


def rules(change, today=TODAY):
    given = {key: value for key, value in (GOOD | change).items() if value is not None}
    (found,) = read_exceptions([given], today)
    assert found.active is not bool(found.problems)
    return [problem.rule for problem in found.problems]


def test_one_that_is_in_order_covers_its_finding_and_stays_in_the_report():
    found = report(GOOD)
    (finding,) = found.of("RED-02")
    assert (finding.outcome, finding.exception, finding.owner, finding.due) == (
        Outcome.EXCEPTED,
        "EXC-1",
        "edge",
        date(2026, 12, 1),
    )
    assert "fra1, par1 stand with: carrier-hotel; taken by edge until 2026-12-01" in finding.text


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"approver": " a. AUTHOR"}, "exception-approver"),
        ({"urn": "urn:*"}, "exception-urn"),
        ({"rule": "RED-99"}, "exception-rule"),
        ({"rule": "CMD-01", "expires": "2026-11-25"}, "exception-refused"),
        ({"expires": "2027-05-01"}, "exception-long"),
        ({"rule": "RED-01", "expires": "2026-12-02"}, "exception-long"),
        ({"expires": "2026-11-20"}, "exception-past"),
        ({"last_review": "2026-11-22"}, "exception-review"),
        ({"last_review": "2026-10-31"}, "exception-review"),
        ({"expires": "soon"}, "date-syntax"),
        ({"reason": " "}, "text-one-line"),
        ({"because": "x"}, "field-unknown"),
        *(({field: None}, "field-missing") for field in sorted(GOOD.keys() - {"id"})),
    ],
)
def test_one_that_is_not_is_inactive_and_says_why(change, rule):
    assert rule in rules(change)
    given = {key: value for key, value in (GOOD | change).items() if value is not None}
    assert report(given).outcome("RED-02") is Outcome.FAIL


def test_the_last_day_still_counts_and_the_longest_time_is_allowed():
    assert rules({"expires": "2026-11-21"}) == []
    assert rules({"expires": "2026-11-21"}, TODAY + timedelta(days=1)) == ["exception-past"]
    assert rules({"expires": "2027-04-30"}) == []  # 180 days
    assert rules({"rule": "RED-01", "expires": "2026-12-01"}) == []  # 30 days


def test_whatever_is_given_instead_of_one_is_inactive_and_does_not_break():
    for given in (None, "EXC-1", 7, [], {}, {"id": 5}):
        (found,) = read_exceptions([given], TODAY)
        assert (found.active, bool(found.problems)) == (False, True)
        assert shown(found)["problems"]


def test_it_covers_only_what_it_names():
    two = [*FAILING["PRO-01"][0], ("h2", "deleteProtection", False)]
    mine = GOOD | {"rule": "PRO-01", "urn": "urn:h1"}
    found = report(mine, edits=two)
    outcomes = {f.name: f.outcome for f in found.of("PRO-01") if f.outcome is not Outcome.PASS}
    assert outcomes == {"h1": Outcome.EXCEPTED, "h2": Outcome.FAIL}
    subject = GOOD | {"rule": "RED-09", "urn": "urn:edge", "subject": "vip other"}
    assert report(subject, edits=FAILING["RED-09"][0]).outcome("RED-09") is Outcome.FAIL


def test_no_exception_covers_what_cannot_be_excepted():
    for name, control in load_controls().items():
        if control.exceptable or control.manual:
            continue
        found = report(GOOD | {"rule": name, "expires": "2026-11-25"}, edits=FAILING[name][0])
        assert found.outcome(name) is Outcome.FAIL


def test_unused_twice_named_and_overlapping_ones_are_found():
    read = read_exceptions([GOOD, GOOD | {"id": "EXC-2"}, GOOD | {"rule": "RED-03"}], TODAY)
    assert [each.active for each in read] == [False, True, False]  # EXC-1 stands there twice
    read = read_exceptions([GOOD, GOOD | {"id": "EXC-2", "subject": "x"}], TODAY)
    assert overlapping(read) == [("EXC-1", "EXC-2")]
    apart = [GOOD | {"subject": "y"}, GOOD | {"id": "EXC-2", "subject": "x"}]
    assert overlapping(read_exceptions(apart, TODAY)) == []
    assert unused(read, report(GOOD).findings) == ["EXC-2"]
    assert unused(read, report(edits=()).findings) == ["EXC-1", "EXC-2"]


def test_what_fails_or_is_excepted_becomes_an_action_with_a_day():
    edits = [*RED_02, *FAILING["CMD-01"][0], *FAILING["TIM-01"][0]]
    actions = plan_of_action(report(GOOD, edits=edits))
    days = {action.control: (action.due - TODAY).days for action in actions}
    assert days["CMD-01"] == MEND_WITHIN_DAYS["critical"]
    assert days["TIM-01"] == MEND_WITHIN_DAYS["medium"]
    assert days["RED-02"] == 10  # the exception's last day
    assert [action.due for action in actions] == sorted(action.due for action in actions)
    (excepted,) = [action for action in actions if action.control == "RED-02"]
    assert (excepted.exception, excepted.owner, excepted.where) == ("EXC-1", "edge", "urn:edge")
    assert all(action.remediation for action in actions)
    assert plan_of_action(evaluate(build_stack(), TODAY, WISH)) == ()
