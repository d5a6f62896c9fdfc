"""What facts of an incident cannot all be true together."""

import datetime as dt
from collections.abc import Iterator

from loopback_iac.incident.facts import Earlier, Facts, Service
from loopback_iac.model.problem import Problem

# two clocks may differ by so much without either being wrong
SLACK = dt.timedelta(minutes=2)


def check_facts(facts: Facts, now: dt.datetime) -> list[Problem]:
    """Contradictions, and moments that have not come yet.

    In: `now`: nothing happened after it.
    """
    found = []
    if not facts.services:
        fix = "name what it touched; its kind may be unknown"
        found.append(Problem("services", "is empty", "one service or more", fix, "services-empty"))
    found += [*_check_future(facts, now), *_check_order(facts), *_check_twice(facts)]
    for at, service in enumerate(facts.services):
        found += _check_service(facts, f"services[{at}]", service)
    return found


def lasted(facts: Facts) -> dt.timedelta | None:
    """How long it lasted; None while that is not known, or not over."""
    if facts.began_at is None or facts.ended is None or facts.ended < facts.began_at:
        return None
    return facts.ended - facts.began_at


def _moments(facts: Facts) -> Iterator[tuple[str, dt.datetime | None]]:
    for name in ("began_at", "detected_at", "aware_at"):
        yield name, getattr(facts, name)
    yield "ended_at", facts.ended
    for name in ("early_warning", "notification", "final"):
        yield f"submitted.{name}", getattr(facts.submitted, name)
    yield from ((f"measures[{n}].at", each.at) for n, each in enumerate(facts.measures))
    yield from ((f"events[{n}].at", each.at) for n, each in enumerate(facts.events))
    yield from ((f"earlier[{n}].detected_at", e.detected_at) for n, e in _earlier(facts))
    yield from ((f"evidence[{n}].taken_at", each.taken_at) for n, each in enumerate(facts.evidence))


def _earlier(facts: Facts) -> Iterator[tuple[int, Earlier]]:
    yield from enumerate(facts.earlier or ())


def _check_future(facts: Facts, now: dt.datetime) -> Iterator[Problem]:
    for path, moment in _moments(facts):
        if moment is not None and moment > now + SLACK:
            got = f"{moment.isoformat()} has not come yet"
            need = f"a moment up to now, {now.isoformat(timespec='seconds')}"
            fix = "mend the moment or its zone, or this machine's clock"
            yield Problem(path, got, need, fix, "moment-future")


_ORDER = (
    ("began_at", "detected_at"),
    ("began_at", "ended_at"),
    ("detected_at", "aware_at"),
    ("detected_at", "submitted.early_warning"),
    ("detected_at", "submitted.notification"),
    ("submitted.early_warning", "submitted.notification"),
    ("submitted.notification", "submitted.final"),
)


def _check_order(facts: Facts) -> Iterator[Problem]:
    moments = dict(_moments(facts))
    for first, then in _ORDER:
        before, after = moments[first], moments[then]
        if before is not None and after is not None and after < before:
            got = f"{after.isoformat()} is before {first}"
            need = f"{before.isoformat()} or later"
            yield Problem(then, got, need, "mend one of them, or say unknown", "moment-order")
    for at, each in enumerate(facts.earlier or ()):
        if each.detected_at > facts.detected_at:
            got = f"{each.detected_at.isoformat()} is after this one's"
            fix = "leave it out, or mend the moment"
            yield Problem(f"earlier[{at}].detected_at", got, "an earlier one", fix, "moment-order")


def _check_twice(facts: Facts) -> Iterator[Problem]:
    lists = {
        "services": [each.name for each in facts.services],
        "earlier": [each.id for each in facts.earlier or ()],
        "evidence": [each.path for each in facts.evidence],
    }
    for part, names in lists.items():
        for at, name in enumerate(names):
            if name in names[:at]:
                got = f"{name} stands there twice"
                yield Problem(f"{part}[{at}]", got, "", "keep one", "facts-twice")


def _check_service(facts: Facts, path: str, service: Service) -> Iterator[Problem]:
    whole = lasted(facts)
    if whole is not None:
        for name in ("unavailable_minutes", "limited_minutes", "slow_minutes"):
            least = getattr(service, name).least
            if least * 60 > int(whole.total_seconds()) + 60:
                got = f"{least} minutes in an incident of {int(whole.total_seconds() / 60)}"
                need = "no more than from began_at to ended_at"
                yield Problem(f"{path}.{name}", got, need, "mend one of them", "minutes-too-many")
    pairs = (
        ("unavailable_minutes", "limited_minutes", "what is unavailable is limited as well"),
        ("users_affected", "users_total", "nobody else is affected"),
        ("data_users_affected", "users_total", "nobody else is affected"),
        ("domains_wrong", "domains_managed", "other domains are not yours"),
    )
    for part, total, why in pairs:
        least, most = getattr(service, part).least, getattr(service, total).most
        if most is not None and least > most:
            got = f"{least} of {most} {total}"
            yield Problem(f"{path}.{part}", got, f"no more: {why}", "mend one", "part-over-whole")
