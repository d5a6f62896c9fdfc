"""A draft as one tree: what a template prints and what is kept as JSON; nothing is guessed."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from loopback_iac.incident.clock import Deadline, deadlines_of, start_text
from loopback_iac.incident.evidence import Entry, Evidence, Sign
from loopback_iac.incident.facts import Facts
from loopback_iac.incident.fields import UNKNOWN, Amount, moment_text
from loopback_iac.incident.law import (
    Stage,
    load_reporting,
    load_significance,
)
from loopback_iac.incident.significance import VERDICTS, Verdict, judge_significance
from loopback_iac.model.law import LawText

FORMAT = 1
WORDS = "Draft, for a person to check. No legal advice; nothing was sent to anybody."


@dataclass(frozen=True)
class Before:
    """The version before this one."""

    version: int
    folder: str
    sha256: str

    def as_tree(self) -> dict[str, Any]:
        """As it is kept."""
        return {"version": self.version, "folder": self.folder, "sha256": self.sha256}


def make_draft(
    facts: Facts,
    evidence: Sequence[Evidence],
    stage: Stage,
    now: dt.datetime,
    before: Before | None = None,
) -> dict[str, Any]:
    """Everything a report of this stage has to say.

    In: `before`: the newest version there is, of whatever stage.
    Out: plain values; every moment in UTC with the local one beside it; `unknown` where it is.
    """
    due = load_reporting().of(stage)
    verdict = judge_significance(facts)
    found = [_settle(facts, sign) for each in evidence for sign in each.signs]
    return {
        "format": FORMAT,
        "notice": WORDS,
        "exercise": facts.exercise,
        "incident": facts.id,
        "stage": stage,
        "title": due.title,
        "point": due.point,
        "says": due.says,
        "progress": stage == "final" and facts.ongoing,
        "version": before.version + 1 if before else 1,
        "previous": before.as_tree() if before else None,
        "drafted_at": _moment(facts, now),
        "clock": _clock(facts, now),
        "significance": _significance(verdict),
        "facts": _facts(facts),
        "unknown": _unknown(facts, stage, verdict),
        "to_settle": [each for each in found if each],
        "timeline": _timeline(facts, evidence),
        "evidence": [
            {"path": each.path, "kind": each.kind, "sha256": each.sha256} for each in evidence
        ],
        "law": [_law(text) for text in (load_reporting(), load_significance())],
    }


def _moment(facts: Facts, moment: dt.datetime | None) -> object:
    if moment is None:
        return UNKNOWN
    local = moment.astimezone(facts.zone)
    return {"utc": moment_text(moment), "local": f"{local:%Y-%m-%d %H:%M:%S %Z}"}


def _clock(facts: Facts, now: dt.datetime) -> dict[str, Any]:
    law = load_reporting()
    return {
        "zone": str(facts.zone),
        "from": _moment(facts, facts.clock_from),
        "from_what": start_text(facts),
        "starts": law.starts,
        "counting": law.counting,
        "deadlines": [_deadline(facts, each, now) for each in deadlines_of(facts)],
    }


def _deadline(facts: Facts, found: Deadline, now: dt.datetime) -> dict[str, Any]:
    late = (found.submitted or now) > found.due
    if found.submitted:
        state = "submitted late" if late else "submitted in time"
    else:
        state = "passed" if late else "open"
    return {
        "stage": found.stage.stage,
        "title": found.stage.title,
        "point": found.stage.point,
        "due": _moment(facts, found.due),
        "exact": found.exact,
        "because": found.because,
        "submitted": _moment(facts, found.submitted),
        "state": state,
        "left": None if found.submitted else _left(found.due - now),
    }


def _left(rest: dt.timedelta) -> str:
    minutes = int(abs(rest.total_seconds()) // 60)
    text = f"{minutes // 60} h {minutes % 60} min"
    return f"{text} ago" if rest < dt.timedelta() else f"in {text}"


def _significance(verdict: Verdict) -> dict[str, Any]:
    return {
        "verdict": VERDICTS[verdict.answer],
        "because": verdict.because,
        "criteria": [
            {
                "point": each.criterion.point,
                "says": each.criterion.says,
                "service": each.service,
                "verdict": VERDICTS[each.answer],
                "because": each.because,
            }
            for each in verdict.judged
        ],
        "not_tested": [
            {"article": each.article, "because": each.because} for each in verdict.untested
        ],
    }


def _facts(facts: Facts) -> dict[str, Any]:
    tree = _plain(facts, facts)
    return {name: value for name, value in tree.items() if name not in ("format", "evidence")}


def _plain(value: Any, facts: Facts) -> Any:  # noqa: ANN401  # every kind of fact there is
    match value:
        case BaseModel():
            return {name: _plain(getattr(value, name), facts) for name in type(value).model_fields}
        case Amount():
            return value.as_tree()
        case dt.datetime():
            return _moment(facts, value)
        case tuple():
            return [_plain(each, facts) for each in value]
        case bool() | int() | str():
            return value
    return UNKNOWN if value is None else str(value)


def _unknown(facts: Facts, stage: Stage, verdict: Verdict) -> list[dict[str, str]]:
    """What this stage is about and nobody knows, and what would decide a criterion."""
    tree = _facts(facts)
    found = {
        path: f"asked by {load_reporting().of(stage).point}"
        for path in load_reporting().of(stage).asks
        if _at(tree, path) == UNKNOWN
    }
    for each in verdict.judged:
        for path in each.unknown:
            said = found.get(path)
            point = f"decides {each.criterion.point}"
            found[path] = f"{said}; {point}" if said and point not in said else said or point
    return [{"fact": path, "because": because} for path, because in found.items()]


def _at(tree: Any, path: str) -> Any:  # noqa: ANN401  # as above
    for step in path.split("."):
        tree = tree[step]
    return tree


def _settle(facts: Facts, sign: Sign) -> dict[str, str] | None:
    """A fact that evidence speaks against, or that nobody filled in although it speaks of it."""
    if sign.fact == "data_compromised":
        said = {each.data_compromised for each in facts.services}
        agreed = "yes" in said
        words = f"no service has data_compromised: yes (they say {', '.join(sorted(said))})"
    else:
        agreed = any(each.unavailable_minutes.least > Decimal(0) for each in facts.services)
        words = "no service has any unavailable_minutes"
    if agreed:
        return None
    return {"fact": sign.fact, "says": sign.says, "source": sign.source, "facts": words}


def _timeline(facts: Facts, evidence: Iterable[Evidence]) -> list[dict[str, Any]]:
    """Everything with its source, by time; what has no time comes last."""
    entries = [*_own_entries(facts), *(entry for each in evidence for entry in each.entries)]
    known = [(each.at, each) for each in entries if each.at]
    known.sort(key=lambda pair: pair[0])
    ordered = [*(each for _, each in known), *(each for each in entries if each.at is None)]
    return [
        {"at": _moment(facts, each.at), "what": each.what, "source": each.source}
        for each in ordered
    ]


def _own_entries(facts: Facts) -> list[Entry]:
    sent = facts.submitted
    moments = [
        (facts.began_at, "the incident began"),
        (facts.detected_at, f"detected, by {facts.detected_by}"),
        (facts.aware_at, f"aware that it is significant, by {facts.aware_by}"),
        (facts.ended, "the incident ended"),
        (sent.early_warning, "early warning submitted"),
        (sent.notification, "notification submitted"),
        (sent.final, "final report submitted"),
    ]
    entries = [Entry(at, what, "facts") for at, what in moments if at]
    entries += [
        Entry(each.at, f"measure, {each.state}: {each.what}", "facts") for each in facts.measures
    ]
    entries += [Entry(each.at, each.what, f"facts, from {each.source}") for each in facts.events]
    return entries


def _law(text: LawText) -> dict[str, str]:
    return {
        "law": text.law,
        "version": text.version,
        "source": text.source,
        "read_on": str(text.read_on),
        "note": text.note,
    }
