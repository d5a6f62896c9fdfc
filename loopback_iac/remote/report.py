"""An agent's report, read strictly: what a host says of itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from loopback_iac.remote.ssh import ask_hosts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from loopback_iac.remote.ssh import Answer, Expected, Identity

CLOSED = "closed"
# who drains, in the agent's words -> what ends it; undrain does not finish what another began
_ENDS = {"apply": "loopback up", "update": "loopback update {host}"}


class _Value(BaseModel):
    # a newer agent may say more than we know; what we know must be there
    model_config = ConfigDict(frozen=True, extra="ignore")


class Pending(_Value):
    """A change that is not confirmed."""

    digest: str
    phase: str


class TunnelState(_Value):
    """One tunnel. Ages in seconds, round trip in milliseconds; None: never, or no answer.

    `connections`: TCP connections open to its far end; None: the agent does not say.
    """

    present: bool
    handshake_age_s: int | None
    rtt_ms: float | None
    connections: int | None = None


class ServerState(_Value):
    """What HAProxy of a PoP thinks of a worker: its word, and the share it gives."""

    status: str
    weight: int


class GateState(_Value):
    """One announcement: open, deprefer or closed, and why."""

    position: str | None
    reason: str | None

    @property
    def announced(self) -> bool:
        """Whether its prefixes are announced, de-preferred or not."""
        return self.position not in (CLOSED, None)


class BlackholeState(_Value):
    """One address that is given up: by whom (declared or by hand), and who was told."""

    address: str
    origin: str
    reason: str
    announced_to: tuple[str, ...]


class ArbiterState(_Value):
    """What an arbiter sees: whether the API takes its token, which members answer (None: not known
    yet), who holds each address.
    """

    api: str
    up: dict[str, bool | None]
    holders: dict[str, str]


class Report(_Value):
    """What the agent of a host says."""

    format: int
    host: str
    role: str
    standing: str
    active: str | None
    pending: Pending | None
    drain: tuple[str, ...]
    files: dict[str, str]
    bgp: dict[str, str] | None
    tunnels: dict[str, TunnelState]
    servers: dict[str, dict[str, ServerState]] | None = None  # backend -> worker
    gates: dict[str, GateState]
    blackholes: tuple[BlackholeState, ...]
    arbiter: ArbiterState | None = None


class Silence(_Value):
    """A host that gave no report, and why; `unreachable` when it gave no answer at all."""

    why: str
    unreachable: bool = False


def render_way_back(host: str, who: str) -> str:
    """The command that ends a drain.

    In: who wants it, as `Report.drain` names them.
    """
    return _ENDS.get(who, "loopback undrain {host}").format(host=host)


def probe_reports(
    hosts: Iterable[Expected], identity: Identity, deadline_s: float
) -> dict[str, Report | Silence]:
    """Ask every host for its report.

    Out: by host name.
    Raises: IdentityError.
    """
    answers = ask_hosts(hosts, ("report",), identity, deadline_s)
    return parse_answers(answers)


def parse_answers(answers: Mapping[str, Answer]) -> dict[str, Report | Silence]:
    """Out: a report, or why there is none, by host name."""
    return {host: _parse_answer(answer) for host, answer in answers.items()}


def _parse_answer(answer: Answer) -> Report | Silence:
    if answer.unreachable:
        return Silence(why=answer.unreachable, unreachable=True)
    if answer.exit_status:
        said = (answer.stderr or answer.stdout).strip().splitlines()
        return Silence(why=f"no report (exit {answer.exit_status}): {' '.join(said[:3])[:400]}")
    try:
        return Report.model_validate(json.loads(answer.stdout))
    except json.JSONDecodeError:
        return Silence(why="what it printed is no JSON")
    except ValidationError as cause:
        wrong = ", ".join(sorted({".".join(map(str, e["loc"])) for e in cause.errors()}))
        return Silence(
            why=f"its report lacks or misstates: {wrong}; update its agent (`loopback up`)"
        )
