"""How the PoPs see the workers of a pool: healthy, serving, still connected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopback_iac.remote.report import Report, Silence, probe_reports

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from loopback_iac.remote.report import ServerState
    from loopback_iac.remote.ssh import Expected, Identity

POP = "pop"
UP = (
    "UP"  # of a server that passed its last checks; "UP 1/3" has just failed one, or was none asked
)
LAST_RESORT = ".last"  # backends without checks say nothing
REPORT_S = 15.0
Reports = dict[str, Report | Silence]


@dataclass(frozen=True, slots=True)
class Lack:
    """Why a PoP does not see what is needed."""

    pop: str
    worker: str
    got: str

    def __str__(self) -> str:
        """As a person reads it."""
        return f"{self.pop}: {f'{self.worker} ' if self.worker else ''}{self.got}"


def probe_pops(hosts: Sequence[Expected], identity: Identity) -> Reports:
    """Ask every PoP of a fleet for its report.

    Raises: IdentityError.
    """
    return probe_reports([h for h in hosts if h.role == POP], identity, REPORT_S)


def check_workers(reports: Reports, pool: str, workers: Collection[str]) -> list[Lack]:
    """Each worker has to be UP in every backend of the pool at every PoP.

    Out: what is lacking, by PoP and worker; empty when all is well.
    """
    return [lack for pop, found in _by_pop(reports, pool) for lack in _each(pop, found, workers)]


def check_one_serves(reports: Reports, pool: str, workers: Collection[str]) -> list[Lack]:
    """One of these workers has to be UP with a share of its own, in every backend at every PoP."""
    lacks = []
    for pop, found in _by_pop(reports, pool):
        if isinstance(found, str):
            lacks.append(Lack(pop, "", found))
            continue
        for backend, servers in sorted(found.items()):
            seen = [servers[name] for name in workers if name in servers]
            if not any(server.status == UP and server.weight for server in seen):
                told = f"{backend} has none of {', '.join(sorted(workers))} UP with a weight"
                lacks.append(Lack(pop, "", told))
    return lacks


def count_left(reports: Reports, workers: Collection[str]) -> dict[str, int | None]:
    """Connections open from each PoP to these workers; None where the PoP does not say."""
    left: dict[str, int | None] = {}
    for pop, report in sorted(reports.items()):
        if isinstance(report, Silence):
            left[pop] = None
            continue
        seen = [t.connections for n, t in report.tunnels.items() if _peer(n) in workers]
        told = [count for count in seen if count is not None]
        left[pop] = sum(told) if len(told) == len(seen) else None
    return left


def _peer(tunnel: str) -> str:
    return tunnel.partition("-")[2]  # lb-w1, and lc-w1 while keys rotate


def _by_pop(
    reports: Reports, pool: str
) -> Iterator[tuple[str, dict[str, dict[str, ServerState]] | str]]:
    """By PoP its backends of the pool, or why there are none."""
    for pop, report in sorted(reports.items()):
        if isinstance(report, Silence):
            yield pop, f"gave no report: {report.why}"
            continue
        found = {
            backend: servers
            for backend, servers in (report.servers or {}).items()
            if backend.startswith(f"{pool}.") and not backend.endswith(LAST_RESORT)
        }
        yield pop, found or f"its HAProxy does not speak of pool {pool}"


def _each(
    pop: str, found: dict[str, dict[str, ServerState]] | str, workers: Collection[str]
) -> Iterator[Lack]:
    if isinstance(found, str):
        yield Lack(pop, "", found)
        return
    for name in sorted(workers):
        for backend, servers in sorted(found.items()):
            if name not in servers:
                yield Lack(pop, name, f"is not in {backend}")
            elif servers[name].status != UP:
                yield Lack(pop, name, f"is {servers[name].status} in {backend}")
