"""The drills there are: what is done, what undoes it, what must hold."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopback_iac.lab.drill.ground import AGENT
from loopback_iac.lab.paths import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loopback_iac.lab.drill.ground import Ground
    from loopback_iac.lab.drill.measure import Fault, RunFigures
    from loopback_iac.lab.drill.witness import BfdSession, Session

DRAIN_S = 5  # GSHUT this long before the withdrawal; production takes the fleet's drain_s
GSHUT = "(65535,0)"  # RFC 8326, as BIRD prints it


@dataclass(frozen=True)
class Evidence:
    """Everything one run left behind."""

    fault: Fault
    figures: RunFigures
    sessions: Mapping[str, tuple[Session, ...]]  # by PoP, before the repair began
    bfd: tuple[BfdSession, ...]  # with the lost PoP, before the fault
    route_left_ms: Mapping[int, float | None]  # T0 to when the router sent the prefix elsewhere
    route_back_ms: Mapping[int, float | None]  # begin of the repair to when it sent it back
    served_after_return: Mapping[int, str | None]  # PoP that the last sampled connection names
    notes: Mapping[str, str]


@dataclass(frozen=True)
class Check:
    """One thing that must hold: `judge` gives the reason why not, or nothing."""

    name: str
    says: str
    judge: Callable[[Evidence], str]


@dataclass(frozen=True)
class Drill:
    """One drill. `begin` gives notes to record; `undo` may be repeated, or follow half a begin."""

    name: str
    what: str
    repair: str
    expects: str  # printed beside what was measured, never asserted
    hold_s: float
    begin: Callable[[Ground, str], Mapping[str, str]]
    undo: Callable[[Ground, str], None]
    must_hold: tuple[Check, ...]


def _each_family(judge: Callable[[int, Evidence], str]) -> Callable[[Evidence], str]:
    def judge_all(evidence: Evidence) -> str:
        found = {f: judge(f, evidence) for f in sorted(evidence.figures.families)}
        return "; ".join(f"IPv{family}: {why}" for family, why in found.items() if why)

    return judge_all


def _quiet_before(family: int, evidence: Evidence) -> str:
    failed = evidence.figures.families[family].before.failed
    return f"{failed} connections failed before the fault" if failed else ""


def _other_pop_serves(family: int, evidence: Evidence) -> str:
    figures = evidence.figures.families[family]
    if figures.proved_ms is None:
        return "no answer came through another PoP"
    return "" if figures.recovery_ms is not None else "connections failed until the repair"


def _clients_keep_addresses(family: int, evidence: Evidence) -> str:
    figures = evidence.figures.families[family]
    if not figures.sampled:
        return "no answer was sampled"
    wrong = figures.wrong_client
    return f"{wrong} of {figures.sampled} workers saw another client" if wrong else ""


def _route_left(family: int, evidence: Evidence) -> str:
    left = evidence.route_left_ms[family] is not None
    return "" if left else "the router kept its route to the lost PoP"


def _returned(family: int, evidence: Evidence) -> str:
    if evidence.route_back_ms[family] is None:
        return f"the router did not come back to {evidence.fault.pop}"
    served = evidence.served_after_return[family]
    return "" if served == evidence.fault.pop else f"the last sampled answer came through {served}"


def _stopped_by_bfd(family: int, evidence: Evidence) -> str:
    sessions = [s for s in evidence.sessions[evidence.fault.pop] if s.family == family]
    if not sessions:
        return "the router has no session with the lost PoP"
    # it stood before the fault, so the error is of this fall and not of an earlier one
    if any(s.established for s in sessions):
        return "the session still stands"
    said = [s.last_error or "no error" for s in sessions if "BFD" not in s.last_error]
    return f"the session fell for another reason: {', '.join(said)}" if said else ""


def _sessions_stay(family: int, evidence: Evidence) -> str:
    down = [s.protocol for s in evidence.sessions[evidence.fault.pop]
            if s.family == family and not s.established]  # fmt: skip
    return f"{', '.join(down)} fell, though the PoP only drained" if down else ""


def _only_moving_fail(family: int, evidence: Evidence) -> str:
    failed = evidence.figures.families[family].failed_unmoved
    return f"{failed} connections failed while no route was changing" if failed else ""


def _asked_to_leave_first(family: int, evidence: Evidence) -> str:
    said = evidence.notes.get(f"route from the PoP, IPv{family}", "")
    return "" if GSHUT in said else "the route was not marked GRACEFUL_SHUTDOWN before it went"


_COMMON = (
    Check("quiet-before", "no connection failed before the fault", _each_family(_quiet_before)),
    Check(
        "other-pop-serves",
        "new connections succeed through another PoP while this one is away",
        _each_family(_other_pop_serves),
    ),
    Check(
        "clients-keep-addresses",
        "every sampled worker saw the client's own address and port",
        _each_family(_clients_keep_addresses),
    ),
    Check(
        "route-left",
        "the upstream router sent the prefixes to another PoP",
        _each_family(_route_left),
    ),
    Check(
        "returned",
        "after the repair the PoP announces again and serves",
        _each_family(_returned),
    ),
)


def _begin_silence(ground: Ground, pop: str) -> Mapping[str, str]:
    ground.lab.silent(pop, silent=True)
    return {}


def _end_silence(ground: Ground, pop: str) -> None:
    ground.lab.silent(pop, silent=False)


def _begin_drain(ground: Ground, pop: str) -> Mapping[str, str]:
    """Drain over SSH; meanwhile read at the upstream how the PoP's routes look."""
    notes: dict[str, str] = {}
    argv = ground.agent_argv(pop, "drain", str(DRAIN_S))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as ssh:
        try:
            deadline = time.monotonic() + DRAIN_S - 1
            while time.monotonic() < deadline:
                if notes and all(GSHUT in said for said in notes.values()):
                    break
                time.sleep(0.2)
                notes = {
                    f"route from the PoP, IPv{family}": ground.routes_from(pop, family)
                    for family in (4, 6)
                }
            out, complaint = ssh.communicate(timeout=DRAIN_S + 30)
        except BaseException:
            ssh.kill()
            raise
    if ssh.returncode:
        raise LabError(f"{pop}: the drain failed ({ssh.returncode}): {complaint.strip()}")
    return notes | {"drain": out.strip()}


def _end_drain(ground: Ground, pop: str) -> None:
    ground.agent(pop, "undrain")


DRILLS = {
    drill.name: drill
    for drill in (
        Drill(
            name="silent-pop",
            what="every packet on all links of the client's PoP is dropped, in silence",
            repair="packets pass again",
            expects="BFD notices after its detection time, then BGP and the kernel take"
            " milliseconds; a SYN that was lost meanwhile is repeated by the client after 1 s",
            hold_s=2,
            begin=_begin_silence,
            undo=_end_silence,
            must_hold=(
                *_COMMON,
                Check(
                    "stopped-by-bfd",
                    "what ended the lost PoP's announcement was BFD",
                    _each_family(_stopped_by_bfd),
                ),
            ),
        ),
        Drill(
            name="drain",
            what=f"`{AGENT} drain {DRAIN_S}` at the client's PoP, over SSH",
            repair=f"`{AGENT} undrain`",
            expects="no new connection fails but those in flight at the moment the path moves;"
            " their packets reach a PoP that does not know them and are reset, and so are"
            " long-lived connections",
            hold_s=2,
            begin=_begin_drain,
            undo=_end_drain,
            must_hold=(
                *_COMMON,
                Check(
                    "only-moving-fail",
                    "no connection failed, out or back, but those under way as the path moved",
                    _each_family(_only_moving_fail),
                ),
                Check(
                    "asked-to-leave-first",
                    "the PoP marked its routes GRACEFUL_SHUTDOWN before it withdrew them",
                    _each_family(_asked_to_leave_first),
                ),
                Check(
                    "sessions-stay",
                    "the BGP sessions of the drained PoP stayed up",
                    _each_family(_sessions_stay),
                ),
            ),
        ),
    )
}
