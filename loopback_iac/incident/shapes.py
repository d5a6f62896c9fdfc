"""What is read of the files that serve as evidence; each may say more than we know."""

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class AuditRow(_Shape):
    """One update in `loopback audit log --json`."""

    number: int
    made: AwareDatetime
    stack: str
    author: str
    reason: str
    change: str
    subject: str
    changes: dict[str, tuple[str, ...]]


class Fault(_Shape):
    """When something was broken on purpose."""

    at_realtime_ns: int
    lasted_ms: float


class RouteChange(_Shape):
    """The upstream router sent a prefix elsewhere."""

    family: int
    realtime_ns: int
    towards: str | None


class DrillRun(_Shape):
    """One run of a drill."""

    fault: Fault
    route_changes: tuple[RouteChange, ...] = ()


class DrillRecord(_Shape):
    """record.json of `loopback drill`."""

    schema_: int = Field(alias="schema", ge=2, le=2)
    drill: str
    what: str
    repair: str
    lost: str | None
    held: bool
    at: AwareDatetime
    runs: tuple[DrillRun, ...]


class ServerVerdict(_Shape):
    """What was thought of one address of one name server."""

    name: str
    address: str
    verdict: str


class DnsCheck(_Shape):
    """`loopback dns check --json`."""

    format: int = Field(ge=1, le=1)
    zone: str
    checked_at: int
    servers: tuple[ServerVerdict, ...]


class HostDifference(_Shape):
    """One thing that is not as it was applied."""

    host: str
    rule: str
    got: str


class Drift(_Shape):
    """`loopback drift --json`."""

    hosts: tuple[str, ...]
    differences: tuple[HostDifference, ...]


class Gate(_Shape):
    """Where an announcement stands, and why."""

    position: str | None
    reason: str | None


class AgentReport(_Shape):
    """`loopback-agent report`."""

    format: int = Field(ge=1, le=1)
    host: str
    standing: str
    gates: dict[str, Gate]


def _message(value: object) -> object:
    """The journal gives bytes that are no text as a list of numbers, and nothing as null."""
    if isinstance(value, list):
        return bytes(value).decode("utf-8", "replace")
    return value or ""


class JournalLine(_Shape):
    """A line of `journalctl --output=json`."""

    realtime_us: str = Field(alias="__REALTIME_TIMESTAMP", pattern=r"^[0-9]{1,17}$")
    message: Annotated[str, BeforeValidator(_message)] = Field(alias="MESSAGE")
    host: str = Field("", alias="_HOSTNAME")
    identifier: str = Field("", alias="SYSLOG_IDENTIFIER")
    unit: str = Field("", alias="_SYSTEMD_UNIT")
