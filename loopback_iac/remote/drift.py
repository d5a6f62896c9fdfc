"""Where hosts differ from what was applied to them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopback_iac.remote.report import Silence, render_way_back

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from loopback_iac.remote.report import ArbiterState, Report
    from loopback_iac.remote.ssh import Expected

TAKES = "takes the token"
AS_APPLIED = "as applied"
OPEN = "open"
DECLARED = "declared"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was applied. `rule` is a permanent id."""

    host: str
    rule: str
    got: str
    need: str
    fix: str


def check_drift(
    expected: Iterable[Expected], reports: Mapping[str, Report | Silence]
) -> list[Difference]:
    """Compare what the state expects with what hosts report.

    Out: differences by host in the order given, worst first; empty when nothing drifted.
    """
    found: list[Difference] = []
    for host in expected:
        report = reports.get(host.host, Silence(why="it was not asked"))
        found += _check_host(host, report)
    return found


def _check_host(expected: Expected, report: Report | Silence) -> Iterator[Difference]:
    name = expected.host
    if isinstance(report, Silence):
        fix = "look at the host's console; replace its host key in the stack config if it is new"
        yield Difference(name, "host-answers", report.why, "a report over SSH", fix)
        return
    if (report.host, report.role) != (name, expected.role):
        got = f"it says it is {report.role} {report.host!r}"
        need, fix = f"{expected.role} {name!r}", "correct the host's address in the stack config"
        yield Difference(name, "host-is-itself", got, need, fix)
        return
    yield from _check_digest(expected, report)
    for path, state in sorted(report.files.items()):
        if state != AS_APPLIED:
            fix = "`loopback up` applies it again; keep a wanted change in the program"
            yield Difference(name, "file-as-applied", f"{path}: {state}", AS_APPLIED, fix)
    yield from _check_service(name, report)


def _check_digest(expected: Expected, report: Report) -> Iterator[Difference]:
    name, need = expected.host, f"{expected.digest[:12]} confirmed"
    if report.pending is not None:
        got = f"{report.pending.digest[:12]} is {report.pending.phase}"
        fix = "wait for the apply that runs, or `loopback up` again"
        yield Difference(name, "change-confirmed", got, need, fix)
    if report.active != expected.digest:
        got = f"{report.active[:12]} is active" if report.active else "nothing of ours is active"
        fix = "`loopback up`; if another stack manages this host, take it out of one of them"
        yield Difference(name, "digest-as-applied", got, need, fix)


def _check_service(name: str, report: Report) -> Iterator[Difference]:
    for who in report.drain:
        fix = f"`{render_way_back(name, who)}`, when the work on it is done"
        yield Difference(name, "not-drained", f"drained by {who}", "in service", fix)
    for gate, state in sorted(report.gates.items()):
        if state.position != OPEN and not report.drain:
            got = f"{gate} is {state.position or 'withdrawn'}: {state.reason or 'no reason given'}"
            fix = "`loopback-agent report` on the host shows what its watch misses"
            yield Difference(name, "gate-open", got, "announced", fix)
    for hole in report.blackholes:
        if hole.origin != DECLARED:
            got = f"{hole.address} is given up {hole.reason}"
            fix = (
                f"`loopback-agent blackhole remove {hole.address}` on the host,"
                " or declare it under blackholes first"
            )
            yield Difference(name, "blackhole-declared", got, "what the program gives up", fix)
    if report.arbiter is not None:
        yield from _check_arbiter(name, report.arbiter)
    for tunnel, seen in sorted(report.tunnels.items()):
        if not seen.present or seen.rtt_ms is None:
            got = f"{tunnel}: {'no answer through it' if seen.present else 'the interface is gone'}"
            fix = "look at the peer; `systemctl restart wg-quick@<tunnel>` makes the interface anew"
            yield Difference(name, "tunnel-carries", got, "an answer from the peer", fix)


def _check_arbiter(name: str, seen: ArbiterState) -> Iterator[Difference]:
    """An arbiter that could move nothing, or has nobody left to move it to."""
    if seen.api != TAKES:
        fix = "mend what the API names; a new token goes through `loopback up`"
        yield Difference(name, "arbiter-asks", seen.api, "an API that takes its token", fix)
    for member, up in sorted(seen.up.items()):
        if not up:
            got = f"{member} {'does not answer' if up is False else 'is not known yet'}"
            fix = "start its service, on its own address as well; open its port to the arbiter"
            yield Difference(name, "member-answers", got, "an answer to the arbiter", fix)
