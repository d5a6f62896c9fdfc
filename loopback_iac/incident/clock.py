"""When what is due. Pure arithmetic on moments; the texts stand in laws/nis-2.yaml."""

import calendar
import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from loopback_iac.incident.facts import Facts
from loopback_iac.incident.law import DueStage, Stage, load_reporting


@dataclass(frozen=True)
class Deadline:
    """One report: until when, and what became of it."""

    stage: DueStage
    due: dt.datetime
    exact: bool
    """False: it can only be earlier, since what it is counted from has not happened."""
    because: str
    submitted: dt.datetime | None


def due_stage(facts: Facts) -> Stage:
    """The first stage that nothing was submitted for, nor for a later one."""
    if facts.submitted.notification or facts.submitted.final:
        return "final"
    return "notification" if facts.submitted.early_warning else "early-warning"


def deadlines_of(facts: Facts) -> list[Deadline]:
    """Every stage of Article 23(4), in order."""
    sent = facts.submitted
    submitted = {
        "early-warning": sent.early_warning,
        "notification": sent.notification,
        "final": sent.final,
    }
    found: list[Deadline] = []
    for stage in load_reporting().stages:
        due, exact, because = _due(facts, stage, found)
        found.append(Deadline(stage, due, exact, because, submitted[stage.stage]))
    return found


def _due(facts: Facts, stage: DueStage, before: list[Deadline]) -> tuple[dt.datetime, bool, str]:
    if stage.hours:
        event = "awareness" if facts.aware_at else "detection"
        because = f"{stage.hours} h after {event}"
        return facts.clock_from + dt.timedelta(hours=stage.hours), True, because
    last = before[-1]
    if facts.submitted.notification:
        due = add_months(facts.submitted.notification, stage.months, facts.zone)
        return due, True, "one month after the notification was submitted"
    due = add_months(last.due, stage.months, facts.zone)
    because = (
        "one month after the notification is submitted, which has not happened as far as is "
        "known; this is the day if it goes out at its own deadline, and sooner if it goes sooner"
    )
    return due, False, because


def start_text(facts: Facts) -> str:
    """What started the clock, in words."""
    if facts.aware_at:
        return f"awareness, by {facts.aware_by}"
    return "detection: nobody says when it became certain, and awareness is never earlier"


def add_months(moment: dt.datetime, months: int, zone: ZoneInfo) -> dt.datetime:
    """The same day and time of day so many months on, by the calendar of a zone.

    Out: in UTC; the last day where the month has no such day; where a clock change makes a time
    of day happen twice or never, the earlier reading.
    """
    local = moment.astimezone(zone)
    at = local.year * 12 + local.month - 1 + months
    year, month = at // 12, at % 12 + 1
    day = min(local.day, calendar.monthrange(year, month)[1])
    wall = local.replace(year=year, month=month, day=day)
    return min(wall.replace(fold=fold).astimezone(dt.UTC) for fold in (0, 1))
