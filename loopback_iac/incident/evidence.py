"""Files that the project's own verbs and daemons leave, read for what they say happened when.

Nothing is taken from them but times, names and verdicts; each is named by path and SHA-256.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from loopback_iac.incident import shapes
from loopback_iac.incident.facts import EvidenceFile, EvidenceKind
from loopback_iac.incident.fields import YEARS
from loopback_iac.model.problem import Problem

MOST_BYTES = 16 << 20
MOST_ENTRIES = 2000
MOST_MESSAGE = 400
KINDS = "audit-log, drill-record, dns-check, drift, agent-report, journal"


@dataclass(frozen=True)
class Entry:
    """One thing that happened. `at` None: the source has no time for it."""

    at: dt.datetime | None
    what: str
    source: str


@dataclass(frozen=True)
class Sign:
    """What evidence says of a fact; a person settles it where the facts say something else."""

    fact: str
    says: str
    source: str


@dataclass(frozen=True)
class Evidence:
    """One file, read."""

    path: str
    kind: EvidenceKind
    sha256: str
    entries: tuple[Entry, ...] = ()
    signs: tuple[Sign, ...] = ()


def parse_evidence(where: str, given: EvidenceFile, content: bytes) -> Evidence | Problem:
    """One file.

    In: `where` it is named, for refusals.
    Out: what it says, or why it cannot be read.
    """
    digest = hashlib.sha256(content).hexdigest()
    if given.kind == "attachment":
        attached = (Entry(given.taken_at, "attached, not read", given.path),)
        return Evidence(given.path, given.kind, digest, attached if given.taken_at else ())
    try:
        kind, tree = _recognized(content)
        if given.kind not in (None, kind):
            return _problem(where, given, f"it is {kind}", str(given.kind), "correct its kind")
        entries, signs = READERS[kind](given, tree)
        _check_amount(len(entries), MOST_ENTRIES, "entries")
        _check_years(entries)
    except ValidationError as error:
        first = error.errors()[0]
        got = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        return _problem(where, given, got, "it as it was written", _AGAIN)
    except _TooMuchError as cause:
        return _problem(where, given, cause.got, cause.need, _CUT)
    except (ValueError, RecursionError, OverflowError) as cause:
        fix = f"{_AGAIN}; of another kind: say `kind: attachment`, and it is listed unread"
        return _problem(where, given, str(cause), f"one of {KINDS}", fix)
    entries = tuple(replace(each, what=_shown(each.what)) for each in entries)
    signs = tuple(replace(each, says=_shown(each.says)) for each in signs)
    return Evidence(given.path, kind, digest, entries, signs)


def _shown(text: str) -> str:
    """A log may hold what a terminal obeys, and half characters that no file takes."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


class _TooMuchError(Exception):
    def __init__(self, got: str, need: str) -> None:
        super().__init__(got, need)
        self.got, self.need = got, need


def _check_amount(amount: int, most: int, what: str) -> None:
    if amount > most:
        raise _TooMuchError(f"{amount} {what}", f"at most {most}")


def _check_years(entries: tuple[Entry, ...]) -> None:
    for each in entries:
        if each.at is not None and each.at.year not in YEARS:
            raise ValueError(f"{each.at.isoformat()} is far off")


_AGAIN = "write it anew with the verb that made it"
_CUT = "cut it to the hours around the incident (journalctl --since --until)"


def _problem(where: str, given: EvidenceFile, got: str, need: str, fix: str) -> Problem:
    return Problem(where, f"{given.path}: {got}", need, fix, "evidence-unread")


def _recognized(content: bytes) -> tuple[EvidenceKind, Any]:
    _check_amount(len(content), MOST_BYTES, "bytes")
    text = content.decode("utf-8", "strict")
    try:
        tree = json.loads(text)
    except ValueError:
        lines = [json.loads(line) for line in text.splitlines() if line.strip()]
        return _journal_or_refuse(lines), lines
    for kind in ("audit-log", "drill-record"):
        if isinstance(tree, list) and tree and all(_has(each, *_MARKS[kind]) for each in tree):
            return kind, tree
    for kind, keys in _MARKS.items():
        if _has(tree, *keys):
            return kind, [tree] if kind in ("audit-log", "drill-record", "journal") else tree
    raise ValueError("nothing that is known by its keys")


def _journal_or_refuse(lines: list[Any]) -> EvidenceKind:
    if lines and all(_has(line, *_MARKS["journal"]) for line in lines):
        return "journal"
    raise ValueError("neither JSON nor lines of a journal")


_MARKS: dict[EvidenceKind, tuple[str, ...]] = {
    "audit-log": ("number", "made", "manifest_sha256"),
    "drill-record": ("drill", "runs"),
    "dns-check": ("zone", "servers", "checked_at"),
    "drift": ("hosts", "differences"),
    "agent-report": ("host", "role", "agent", "gates"),
    "journal": ("__REALTIME_TIMESTAMP", "MESSAGE"),
}


def _has(tree: object, *keys: str) -> bool:
    return isinstance(tree, dict) and all(key in tree for key in keys)


Read = tuple[tuple[Entry, ...], tuple[Sign, ...]]


def _read_audit_log(given: EvidenceFile, tree: Any) -> Read:  # noqa: ANN401  # what JSON holds
    found = []
    for each in tree:
        row = shapes.AuditRow.model_validate(each)
        counts = ", ".join(f"{len(urns)} {verb}" for verb, urns in row.changes.items() if urns)
        who = f"by {row.author}" if row.author else "by nobody whom git knows"
        what = f"update {row.number} of {row.stack} recorded: {counts or 'no change'}, {who}"
        why = "; ".join(filter(None, (row.reason, row.change, row.subject)))
        found.append(Entry(row.made, f"{what}: {why}" if why else what, given.path))
    return tuple(found), ()


def _read_drills(given: EvidenceFile, tree: Any) -> Read:  # noqa: ANN401  # as above
    entries: list[Entry] = []
    for each in tree:
        record = shapes.DrillRecord.model_validate(each)
        name = f"drill {record.drill}"
        for number, run in enumerate(record.runs, 1):
            label = f"{name}, run {number}"
            begun = _moment(run.fault.at_realtime_ns / 1e9)
            over = begun + dt.timedelta(milliseconds=run.fault.lasted_ms)
            lost = f" (lost: {record.lost})" if record.lost else ""
            entries.append(Entry(begun, f"{label}: fault begun: {record.what}{lost}", given.path))
            entries.append(Entry(over, f"{label}: repair begun: {record.repair}", given.path))
            for change in run.route_changes:
                text = f"{label}: IPv{change.family} route moved to {change.towards or 'nobody'}"
                entries.append(Entry(_moment(change.realtime_ns / 1e9), text, given.path))
        held = "held" if record.held else "BROKEN"
        entries.append(Entry(record.at, f"{name}: record written, {held}", given.path))
    return tuple(entries), ()


def _read_dns_check(given: EvidenceFile, tree: Any) -> Read:  # noqa: ANN401  # as above
    report = shapes.DnsCheck.model_validate(tree)
    at = _moment(report.checked_at)
    wrong = [each for each in report.servers if each.verdict != "equal"]
    title = f"zone {report.zone}"
    entries = [
        Entry(at, f"{title} at {each.name} {each.address}: {each.verdict}", given.path)
        for each in wrong
    ]
    if not wrong:
        told = f"{title}: {len(report.servers)} servers looked at, all equal"
        entries = [Entry(at, told, given.path)]
    signs = []
    altered = {each.verdict for each in wrong} & {"tampered", "diverged"}
    if altered:
        says = f"{title} was served otherwise than declared: {', '.join(sorted(altered))}"
        signs.append(Sign("data_compromised", says, given.path))
    if report.servers and all(each.verdict == "unreachable" for each in report.servers):
        says = f"{title}: none of {len(report.servers)} servers answered when it was looked at"
        signs.append(Sign("unavailable_minutes", says, given.path))
    return tuple(entries), tuple(signs)


def _read_drift(given: EvidenceFile, tree: Any) -> Read:  # noqa: ANN401  # as above
    drift = shapes.Drift.model_validate(tree)
    found = [
        Entry(given.taken_at, f"{each.host}: {each.rule}: {each.got}", given.path)
        for each in drift.differences
    ]
    calm = f"{len(drift.hosts)} hosts serve what was applied to them"
    return tuple(found) or (Entry(given.taken_at, calm, given.path),), ()


def _read_agent(given: EvidenceFile, tree: Any) -> Read:  # noqa: ANN401  # as above
    report = shapes.AgentReport.model_validate(tree)
    found = [Entry(given.taken_at, f"{report.host}: {report.standing}", given.path)]
    for name, gate in report.gates.items():
        told = f"{report.host}: {name} is {gate.position or 'unknown'}: {gate.reason or 'unknown'}"
        found.append(Entry(given.taken_at, told, given.path))
    return tuple(found), ()


def _read_journal(given: EvidenceFile, tree: Any) -> Read:  # noqa: ANN401  # as above
    found = []
    for each in tree:
        line = shapes.JournalLine.model_validate(each)
        at = _moment(int(line.realtime_us) / 1e6)
        who = " ".join(
            filter(None, (line.host, line.unit.removesuffix(".service") or line.identifier))
        )
        found.append(Entry(at, f"{who}: {line.message[:MOST_MESSAGE]}", given.path))
    return tuple(found), ()


def _moment(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


READERS: dict[EvidenceKind, Callable[[EvidenceFile, Any], Read]] = {
    "audit-log": _read_audit_log,
    "drill-record": _read_drills,
    "dns-check": _read_dns_check,
    "drift": _read_drift,
    "agent-report": _read_agent,
    "journal": _read_journal,
}
