"""Taking a PoP out of traffic and back with nothing but SSH: no Pulumi, no state, no CI.

The PoP's own agent does it: it notes the intention, which outlives this connection and a reboot,
and its watch carries it out.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopback_iac.remote.report import Report, Silence, probe_reports, render_way_back
from loopback_iac.remote.ssh import ask_hosts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loopback_iac.remote.ssh import Answer, Expected, Identity

POP = "pop"
REPORT_S = 10.0  # a host that does not answer by then is not waited for


class DrainError(Exception):
    """The PoP was not brought to what was asked; the text says how it stands and what to do."""


@dataclass(frozen=True, slots=True)
class Drained:
    """How the PoP stands. `announces` is what it reports afterwards; None: it gives no report."""

    pop: str
    drained: bool
    announces: bool | None
    standing: str  # in the agent's words, or why it gave no report
    took_s: float


def drain_pop(
    pop: Expected,
    others: Sequence[Expected] | None,
    identity: Identity,
    wait_s: float,
    seconds: int | None,
) -> Drained:
    """Drain a PoP and wait until it announces nothing.

    In: other PoPs of the fleet, of which one has to announce (None: nobody asks for that). How long
        to announce with GSHUT (RFC 8326) first: None is what the fleet declares.
    Raises: DrainError; IdentityError.
    """
    reports = probe_reports([pop, *(others or ())], identity, REPORT_S)
    check_target(pop, reports[pop.host])
    if others is not None:
        check_others(pop, others, reports)
    words = ("drain",) if seconds is None else ("drain", str(seconds))
    return _change(pop, words, identity, wait_s + (seconds or 0))


def undrain_pop(pop: Expected, identity: Identity, wait_s: float) -> Drained:
    """Take the intention back and wait until the PoP announces again.

    Raises: DrainError, with the watch's own reasons when it does not announce; IdentityError.
    """
    check_target(pop, probe_reports([pop], identity, REPORT_S)[pop.host])
    return _change(pop, ("undrain",), identity, wait_s)


def check_target(pop: Expected, report: Report | Silence) -> None:
    """A host that is somebody else is left alone; one that cannot say is taken at its key.

    Raises: DrainError.
    """
    if isinstance(report, Silence):
        if not report.unreachable:
            return  # a broken report must not keep anybody from draining
        raise DrainError(
            f"{pop.host} cannot be reached: {report.why}\n"
            "  fix: its console, and there `loopback-agent drain` or `systemctl stop bird`; what is"
            " off announces nothing once its neighbors' hold timers have ended"
        )
    if (report.host, report.role) != (pop.host, POP):
        raise DrainError(
            f"{pop.address} says it is {report.role} {report.host!r}, not PoP {pop.host!r}: left"
            " as it is\n  fix: correct the name or the address"
        )


def check_others(
    pop: Expected, others: Sequence[Expected], reports: Mapping[str, Report | Silence]
) -> None:
    """Whether the fleet stays on the net without this PoP.

    Raises: DrainError when no other PoP is known to announce.
    """
    if any(_announces(reports[other.host]) for other in others):
        return
    told = "; ".join(f"{other.host} {_standing(reports[other.host])}" for other in others)
    raise DrainError(
        f"no other PoP is known to announce ({told or 'there is none'}): draining {pop.host} would"
        " take the fleet off the net\n  fix: bring another PoP back first, or say --last"
    )


def _announces(report: Report | Silence) -> bool:
    if isinstance(report, Silence) or report.drain:
        return False
    return any(gate.announced for gate in report.gates.values())


def _standing(report: Report | Silence) -> str:
    if isinstance(report, Silence):
        return f"gave no report: {report.why}"
    if report.drain:
        return f"is drained by {' and '.join(report.drain)}"
    return "announces nothing"


def _change(pop: Expected, words: tuple[str, ...], identity: Identity, wait_s: float) -> Drained:
    begun = time.monotonic()
    drained = _parse_drained(pop, words[0], ask_hosts([pop], words, identity, wait_s)[pop.host])
    took_s = round(time.monotonic() - begun, 2)
    report = probe_reports([pop], identity, REPORT_S)[pop.host]
    if isinstance(report, Silence):
        return Drained(pop.host, drained, None, f"no report: {report.why}", took_s)
    announces = any(gate.announced for gate in report.gates.values())
    if announces == drained:
        raise DrainError(_render_contrary(pop.host, words[0], report, announces=announces))
    return Drained(pop.host, drained, announces, report.standing, took_s)


def _render_contrary(host: str, verb: str, report: Report, *, announces: bool) -> str:
    """The intention is noted, and the PoP does the contrary."""
    does = "still announces" if announces else "announces nothing yet"
    fix = "mend what its watch names; it announces by itself then"
    if announces:
        fix = f"`loopback {verb} {host}` again, or `systemctl stop bird` on its console"
    elif report.drain:
        ways = " and ".join(f"`{render_way_back(host, who)}`" for who in report.drain)
        fix = f"it is drained by {' and '.join(report.drain)}: {ways}"
    return (
        f"{host}: {verb} is noted, but it {does}: {report.standing}; {_reasons(report)}"
        f"\n  fix: {fix}"
    )


def _reasons(report: Report) -> str:
    return "; ".join(
        f"{name} is {gate.position or 'withdrawn'} ({gate.reason or 'no reason given'})"
        for name, gate in sorted(report.gates.items())
    )


def _parse_drained(pop: Expected, verb: str, answer: Answer) -> bool:
    if answer.unreachable:
        raise DrainError(
            f"{pop.host}: {answer.unreachable}; the {verb} may be under way, its intention is noted"
            f" first\n  fix: say `loopback {verb} {pop.host}` again, twice is as good as once; and"
            " --wait longer when the fleet declares a long drain"
        )
    if answer.exit_status:
        said = (answer.stderr or answer.stdout).strip()[:2000]
        raise DrainError(f"{pop.host} (exit {answer.exit_status}): {said}")
    try:
        return bool(json.loads(answer.stdout)["drained"])
    except (ValueError, KeyError, TypeError):
        raise DrainError(
            f"{pop.host} answered something else than an agent does: {answer.stdout[:200]!r}"
        ) from None
