"""Updates of held packages over SSH, one host after the other: workers first, then PoP by PoP.

Each host does it itself, out of traffic. The next one is only asked when the one before serves
again, and a PoP only while another one announces.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from loopback_iac.remote.drain import POP, REPORT_S, check_others, check_target
from loopback_iac.remote.report import probe_reports
from loopback_iac.remote.ssh import ask_hosts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from loopback_iac.remote.ssh import Answer, Expected, Identity


class UpdateError(Exception):
    """A host did not come back as it should; the text says how it stands. No other was asked."""


class Updated(BaseModel):
    """What became of one host. `updated`: package -> old and new version; `took_s` in seconds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    host: str
    state: str
    updated: dict[str, tuple[str, str]]
    drained: bool
    took_s: float = 0.0


def order_hosts(hosts: Iterable[Expected]) -> list[Expected]:
    """Workers first, then PoPs, each by name: a worker's trouble shows before a PoP is touched."""
    return sorted(hosts, key=lambda host: (host.role == POP, host.host))


def update_hosts(
    hosts: Sequence[Expected],
    fleet: Sequence[Expected],
    identity: Identity,
    wait_s: float,
    seconds: int | None = None,
    *,
    last: bool = False,
) -> Iterator[Updated]:
    """Update hosts one by one, each when the one before it serves again.

    In: hosts to update; fleet, all there are: of its other PoPs one has to announce before a PoP is
        asked, unless `last`. How long to announce with GSHUT first; how long each may take besides.
    Out: each host as it is done.
    Raises: UpdateError, DrainError; hosts that follow were not asked. IdentityError.
    """
    words = ("update",) if seconds is None else ("update", str(seconds))
    longest_s = wait_s + (seconds or 0)
    for host in order_hosts(hosts):
        others = [each for each in fleet if each.role == POP and each.host != host.host]
        if host.role == POP:
            reports = probe_reports([host, *others], identity, REPORT_S)
            check_target(host, reports[host.host])
            if not last:
                check_others(host, others, reports)
        begun = time.monotonic()
        done = parse_updated(host, ask_hosts([host], words, identity, longest_s)[host.host])
        yield done.model_copy(update={"took_s": round(time.monotonic() - begun, 2)})


def parse_updated(host: Expected, answer: Answer) -> Updated:
    """What a host answered.

    Raises: UpdateError.
    """
    if answer.unreachable:
        raise UpdateError(
            f"{host.host}: {answer.unreachable}; an update that was begun goes on without us\n"
            "  fix: run it again, it follows what runs; `loopback drift` says how the host stands"
        )
    if answer.exit_status:
        said = (answer.stderr or answer.stdout).strip()[:4000]
        raise UpdateError(f"{host.host} (exit {answer.exit_status}): {said}")
    try:
        return Updated.model_validate(json.loads(answer.stdout))
    except (ValueError, ValidationError):
        raise UpdateError(
            f"{host.host} answered something else than an agent does: {answer.stdout[:200]!r}\n"
            "  fix: its agent may be older than this library: `loopback up`, then again"
        ) from None
