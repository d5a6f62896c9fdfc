"""What must hold in a drill, each with the words it is told in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopback_iac.lab.drill.drill import Check

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopback_iac.lab.drill.drill import Evidence
    from loopback_iac.lab.drill.measure import FamilyFigures

LONE_HITS = 2  # in a row; on a busy machine one is lost now and then, also in the last moment
GSHUT = "(65535,0)"  # RFC 8326, as BIRD prints it


def each_family(judge: Callable[[int, Evidence], str]) -> Callable[[Evidence], str]:
    """A check that must hold over IPv4 and over IPv6."""

    def judge_all(evidence: Evidence) -> str:
        found = {f: judge(f, evidence) for f in sorted(evidence.figures.families)}
        return "; ".join(f"IPv{family}: {why}" for family, why in found.items() if why)

    return judge_all


def _still_out(figures: FamilyFigures) -> str:
    if figures.recovery_ms is not None or 0 < figures.hit_at_end <= LONE_HITS:
        return ""
    return "connections failed until the repair"


def _quiet_before(family: int, evidence: Evidence) -> str:
    failed = evidence.figures.families[family].before.failed
    return f"{failed} connections failed before the fault" if failed else ""


def _other_pop_serves(family: int, evidence: Evidence) -> str:
    figures = evidence.figures.families[family]
    if figures.proved_ms is None:
        return "no answer came through another PoP"
    return _still_out(figures)


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
        return f"the router did not come back to {evidence.pop}"
    served = evidence.served_after_return[family]
    return "" if served == evidence.pop else f"the last sampled answer came through {served}"


def _stopped_by_bfd(family: int, evidence: Evidence) -> str:
    sessions = [s for s in evidence.sessions[evidence.pop] if s.family == family]
    if not sessions:
        return "the router has no session with the lost PoP"
    # it stood before the fault, so the error is of this fall and not of an earlier one
    if any(s.established for s in sessions):
        return "the session still stands"
    said = [s.last_error or "no error" for s in sessions if "BFD" not in s.last_error]
    return f"the session fell for another reason: {', '.join(said)}" if said else ""


def _stays(family: int, evidence: Evidence) -> str:
    went = [c.towards for c in evidence.changes if c.family == family]
    told = ", ".join(str(towards) for towards in went)
    return f"the router changed its route {len(went)} times: {told}" if went else ""


def _announced(family: int, evidence: Evidence) -> str:
    gone = any(c.family == family and c.towards is None for c in evidence.changes)
    return "for a moment the router had no route at all" if gone else ""


def _recovers(family: int, evidence: Evidence) -> str:
    figures = evidence.figures.families[family]
    return _still_out(figures) if figures.during.failed + figures.during.retried else ""


def _served_again(family: int, evidence: Evidence) -> str:
    served = evidence.served_after_return[family]
    return "" if served else "no answer came after the repair"


def _none_fails(family: int, evidence: Evidence) -> str:
    figures = evidence.figures.families[family]
    failed = figures.failed_unmoved + figures.failed_moving
    return f"{failed} connections failed" if failed else ""


def _no_worker_falls(evidence: Evidence) -> str:
    fell = {name: count for name, count in evidence.falls.workers.items() if count}
    return ", ".join(f"{name} went DOWN {count} times" for name, count in fell.items())


def _no_bfd_falls(evidence: Evidence) -> str:
    return ", ".join(f"BFD {name} fell" for name in sorted(evidence.falls.bfd))


def _sessions_stay(family: int, evidence: Evidence) -> str:
    down = [s.protocol for s in evidence.sessions[evidence.pop]
            if s.family == family and not s.established]  # fmt: skip
    return f"{', '.join(down)} fell, though the PoP only drained" if down else ""


def _only_moving_fail(family: int, evidence: Evidence) -> str:
    failed = evidence.figures.families[family].failed_unmoved
    return f"{failed} connections failed while no route was changing" if failed else ""


def _asked_to_leave_first(family: int, evidence: Evidence) -> str:
    said = evidence.notes.get(f"route from the PoP, IPv{family}", "")
    return "" if GSHUT in said else "the route was not marked GRACEFUL_SHUTDOWN before it went"


QUIET_BEFORE = Check(
    "quiet-before", "no connection failed before the fault", each_family(_quiet_before)
)
CLIENTS_KEEP_ADDRESSES = Check(
    "clients-keep-addresses",
    "every sampled worker saw the client's own address and port",
    each_family(_clients_keep_addresses),
)
OTHER_POP_SERVES = Check(
    "other-pop-serves",
    "new connections succeed through another PoP while this one is away",
    each_family(_other_pop_serves),
)
ROUTE_LEFT = Check(
    "route-left", "the upstream router sent the prefixes to another PoP", each_family(_route_left)
)
RETURNED = Check(
    "returned",
    "after the repair the PoP announces again and serves",
    each_family(_returned),
)
STOPPED_BY_BFD = Check(
    "stopped-by-bfd",
    "what ended the lost PoP's announcement was BFD",
    each_family(_stopped_by_bfd),
)
ONLY_MOVING_FAIL = Check(
    "only-moving-fail",
    "no connection failed, out or back, but those under way as the path moved",
    each_family(_only_moving_fail),
)
ASKED_TO_LEAVE_FIRST = Check(
    "asked-to-leave-first",
    "the PoP marked its routes GRACEFUL_SHUTDOWN before it withdrew them",
    each_family(_asked_to_leave_first),
)
SESSIONS_STAY = Check(
    "sessions-stay",
    "the BGP sessions of the client's PoP stayed up",
    each_family(_sessions_stay),
)
STAYS = Check("stays", "the client's PoP kept its clients", each_family(_stays))
ANNOUNCED = Check("announced", "some PoP was announced all the time", each_family(_announced))
RECOVERS = Check(
    "recovers", "new connections succeeded again before the repair", each_family(_recovers)
)
SERVED_AGAIN = Check(
    "served-again", "after the repair clients are answered", each_family(_served_again)
)
NONE_FAILS = Check("none-fails", "no new connection failed", each_family(_none_fails))
NO_WORKER_FALLS = Check("no-worker-falls", "no worker was taken out of service", _no_worker_falls)
NO_BFD_FALLS = Check("no-bfd-falls", "no BFD session fell", _no_bfd_falls)

ALWAYS = (QUIET_BEFORE, CLIENTS_KEEP_ADDRESSES)
POP_LOST = (*ALWAYS, OTHER_POP_SERVES, ROUTE_LEFT, RETURNED)
POP_STAYS = (*ALWAYS, STAYS, SERVED_AGAIN)
