"""The facts of one incident as somebody writes them down. What is left out is unknown."""

import datetime as dt
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import BeforeValidator, ConfigDict, Field

from loopback_iac.incident.fields import (
    ONGOING,
    UNKNOWN,
    Amount,
    End,
    KnownAmount,
    Moment,
    PerhapsLines,
    PerhapsMoment,
    YesNo,
    Zone,
)
from loopback_iac.model.fields import Int, Line, LineList, Several, Value, matching
from loopback_iac.model.problem import InputRejected, Problem
from loopback_iac.model.structure import collect, plain

MOST_CHARACTERS = 1 << 20
# Articles 5 to 10; `other` says that none of them is about the service
Kind = Literal["dns", "tld", "cloud", "data-centre", "cdn", "managed", "other", "unknown"]
EvidenceKind = Literal[
    "audit-log", "drill-record", "dns-check", "drift", "agent-report", "journal", "attachment"
]
Identity = Annotated[
    str,
    matching(
        r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
        "name-dns-label",
        "names no folder",
        "lower-case letters, digits and inner hyphens, at most 63",
        "choose another id",
    ),
]


def _perhaps_list(value: object) -> object:
    if value == UNKNOWN:
        return None
    return tuple(value) if isinstance(value, list) else value


class Entity(Value):
    """Who reports."""

    name: Line
    registration: Line = UNKNOWN
    contact: Line = UNKNOWN
    member_states: PerhapsLines = None
    """Where its services are used."""
    turnover_eur: KnownAmount = Amount()
    """Total, of the preceding financial year."""


class Service(Value):
    """One service that the incident touched. Minutes are counted over the whole incident."""

    name: Line
    kind: Kind = "unknown"
    unavailable_minutes: KnownAmount = Amount()
    """Completely, for everybody, in one piece."""
    limited_minutes: KnownAmount = Amount()
    """For some or in part, the above included."""
    slow_minutes: KnownAmount = Amount()
    """With an average response time of more than 10 s; names only."""
    users_affected: KnownAmount = Amount()
    users_total: KnownAmount = Amount()
    """In the Union: customers under contract, and persons who use it through business customers."""
    data_compromised: YesNo = "unknown"
    """Integrity, confidentiality or authenticity of data that the service rests on."""
    data_users_affected: KnownAmount = Amount()
    misconfiguration: YesNo = "unknown"
    """Whether data is wrong for no other reason."""
    domains_wrong: KnownAmount = Amount()
    domains_managed: KnownAmount = Amount()
    physical_access: YesNo = "unknown"
    """Whether somebody got into a data centre who should not have."""


class Measure(Value):
    """Something that was done against it, or still is."""

    at: PerhapsMoment = None
    what: Line
    state: Literal["applied", "ongoing"] = "applied"


class Event(Value):
    """Something that happened, and who says so."""

    at: PerhapsMoment = None
    what: Line
    source: Line


class Earlier(Value):
    """An incident before this one, for Article 4."""

    id: Line
    detected_at: Moment
    same_cause: YesNo = "unknown"
    loss_eur: KnownAmount = Amount()


class Submitted(Value):
    """When what was submitted to the authority."""

    early_warning: PerhapsMoment = None
    notification: PerhapsMoment = None
    final: PerhapsMoment = None


class EvidenceFile(Value):
    """A file beside the facts, by path from there."""

    path: Line
    kind: EvidenceKind | None = None
    """None: told by what is in it."""
    taken_at: PerhapsMoment = None
    """Of a report that has no time in it."""


class Facts(Value):
    """All of it."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    format: Int = Field(ge=1, le=1)
    id: Identity
    title: Line
    exercise: bool = False
    """A rehearsal: every page says so."""
    entity: Entity
    zone: Zone = ZoneInfo("UTC")
    """Of the times that are printed beside UTC, and of the calendar that months are counted in."""
    began_at: PerhapsMoment = None
    detected_at: Moment
    detected_by: Line = UNKNOWN
    aware_at: PerhapsMoment = None
    """When it was reasonably certain that it is significant: starts the clock. None: detection."""
    aware_by: Line = UNKNOWN
    ended_at: End = None
    scheduled: YesNo = "unknown"
    malicious: YesNo = "unknown"
    """Suspected of being caused by unlawful or malicious acts."""
    unauthorised_access: YesNo = "unknown"
    """A successful one, to network and information systems."""
    severe_disruption: YesNo = "unknown"
    """Whether it can disrupt operations severely."""
    cross_border: YesNo = "unknown"
    affected_states: PerhapsLines = None
    cause: Line = UNKNOWN
    threat_type: Line = UNKNOWN
    severity: Line = UNKNOWN
    description: Line = UNKNOWN
    loss_eur: KnownAmount = Amount()
    """Direct financial loss that it caused or can cause."""
    trade_secrets: YesNo = "unknown"
    death: YesNo = "unknown"
    health_damage: YesNo = "unknown"
    """Caused, or capable of it, like the two above."""
    earlier: Annotated[tuple[Earlier, ...] | None, BeforeValidator(_perhaps_list)] = None
    services: Several[Service]
    assets: PerhapsLines = None
    """Zones, prefixes, PoPs, hosts."""
    indicators: PerhapsLines = None
    measures: Several[Measure] = ()
    events: Several[Event] = ()
    recipients_informed: Line = UNKNOWN
    other_reports: PerhapsLines = None
    """Under other law: GDPR 33, DORA 19, a contract."""
    lessons: PerhapsLines = None
    submitted: Submitted = Submitted()
    evidence: Several[EvidenceFile] = ()
    notes: LineList = ()

    @property
    def ongoing(self) -> bool:
        """Whether somebody says that it still is."""
        return self.ended_at == ONGOING

    @property
    def ended(self) -> dt.datetime | None:
        """None: unknown, or ongoing."""
        return self.ended_at if isinstance(self.ended_at, dt.datetime) else None

    @property
    def clock_from(self) -> dt.datetime:
        """Awareness; where nobody says when, detection, which is never later."""
        return self.aware_at or self.detected_at


def parse_facts(title: str, text: str, now: dt.datetime) -> Facts:
    """Facts as a file has them.

    In: `title` names the file in refusals; `text` is YAML or JSON; nothing happened after `now`.
    Raises: InputRejected with every problem at once.
    """
    from loopback_iac.incident.check_facts import check_facts  # noqa: PLC0415 - they know each other

    problems: list[Problem] = []
    found = collect(Facts, "", plain(_load(title, text)), problems)
    if found is not None:
        problems += check_facts(found, now)
    if problems or found is None:
        raise InputRejected(title, tuple(problems))
    return found


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands in one map twice: the last one would win in silence."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: ANN401, FBT001, FBT002 - as yaml has it
        keys = [key.value for key, _ in node.value]
        for at, key in enumerate(keys):
            if key in keys[:at]:
                mark = node.value[at][0].start_mark
                raise yaml.constructor.ConstructorError(None, None, f"{key} stands twice", mark)
        return super().construct_mapping(node, deep)


def _load(title: str, text: str) -> object:
    fix = "write it like docs/incident-example.yaml"
    if len(text) > MOST_CHARACTERS:
        need = f"at most {MOST_CHARACTERS}"
        problem = Problem(title, f"{len(text)} characters", need, fix, "facts-syntax")
        raise InputRejected(title, (problem,))
    try:
        tree = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe one
    except (yaml.YAMLError, ValueError, RecursionError) as cause:
        got = " ".join(str(cause).split())
        problem = Problem(title, got, "a map in YAML or JSON", fix, "facts-syntax")
        raise InputRejected(title, (problem,)) from None
    return tree
