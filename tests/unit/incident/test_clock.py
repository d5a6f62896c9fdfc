"""When what is due: hours through nights and weekends, months by a calendar, in any zone."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from loopback_iac.incident import deadlines_of, due_stage
from loopback_iac.incident.clock import add_months
from tests.unit.incident.facts_of import facts


def utc(text):
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)


def due(**changes):
    return {each.stage.stage: each.due for each in deadlines_of(facts(**changes))}


def test_hours_run_from_awareness_through_the_weekend():
    friday = "2026-11-20T17:30:00+01:00"
    found = due(detected_at="2026-11-20T02:13:00+01:00", aware_at=friday)
    assert found["early-warning"] == utc("2026-11-21T17:30:00+01:00")  # a Saturday
    assert found["notification"] == utc("2026-11-23T17:30:00+01:00")


def test_without_awareness_detection_counts():
    assert due()["early-warning"] == utc("2026-11-21T02:13:00+01:00")


def test_hours_are_hours_where_a_clock_is_put_back():
    found = due(detected_at="2026-10-24T12:00:00+02:00", zone="Europe/Berlin")
    assert found["early-warning"] == utc("2026-10-25T11:00:00+01:00")


def test_the_month_runs_from_the_notification_and_is_provisional_before():
    open_ = deadlines_of(facts())[-1]
    assert (open_.due, open_.exact) == (utc("2026-12-23T02:13:00+01:00"), False)
    sent = deadlines_of(facts(submitted={"notification": "2026-11-21T09:00:00+01:00"}))[-1]
    assert (sent.due, sent.exact) == (utc("2026-12-21T09:00:00+01:00"), True)


@pytest.mark.parametrize(
    ("start", "months", "zone", "end"),
    [
        ("2026-01-31T10:00:00+01:00", 1, "Europe/Berlin", "2026-02-28T10:00:00+01:00"),
        ("2028-01-31T10:00:00+01:00", 1, "Europe/Berlin", "2028-02-29T10:00:00+01:00"),
        ("2026-12-15T10:00:00+01:00", 1, "Europe/Berlin", "2027-01-15T10:00:00+01:00"),
        # the same time of day although the offset changed
        ("2026-10-01T10:00:00+02:00", 1, "Europe/Berlin", "2026-11-01T10:00:00+01:00"),
        # 02:30 does not happen on 28 March 2027, and happens twice on 31 October: the earlier
        ("2027-02-28T02:30:00+01:00", 1, "Europe/Berlin", "2027-03-28T01:30:00+01:00"),
        ("2027-09-30T02:30:00+02:00", 1, "Europe/Berlin", "2027-10-30T02:30:00+02:00"),
        ("2027-08-31T02:30:00+02:00", 2, "Europe/Berlin", "2027-10-31T02:30:00+02:00"),
        # 31 January in Auckland is 30 January in UTC
        ("2026-01-31T08:00:00+13:00", 1, "Pacific/Auckland", "2026-02-28T08:00:00+13:00"),
        ("2026-08-31T10:00:00+02:00", -6, "Europe/Berlin", "2026-02-28T10:00:00+01:00"),
    ],
)
def test_a_month_by_the_calendar(start, months, zone, end):
    assert add_months(utc(start), months, ZoneInfo(zone)) == utc(end)


def test_what_is_due_is_the_first_that_was_not_submitted():
    sent = "2026-11-20T09:00:00+01:00"
    assert due_stage(facts()) == "early-warning"
    assert due_stage(facts(submitted={"early_warning": sent})) == "notification"
    assert due_stage(facts(submitted={"notification": sent})) == "final"
