"""Divides this machine's processors among a lab's hosts, as far as machines of their own do.

In the field a server that boots takes nothing from a PoP; in the lab both run on the same cores,
and without this a first boot is given as much as whoever serves clients. The kernel groups what
runs by session, so the `Nice=` of a unit changes nothing here (sched(7), autogroup).

Only while a drill needs it, and only where cgroups of version 1 divide processors: elsewhere
nothing is done.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Self

from loopback_iac.lab import cgroups
from loopback_iac.lab.paths import CGROUPS
from loopback_iac.lab.topology import ROUTERS, Role

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from loopback_iac.lab.instance import Lab

PROCESSORS = CGROUPS / "cpu"
# Weights beside each other; 1024 is what a session has that is in no group (Linux sched-design-CFS)
ALL_HOSTS, PASSES_ON, SERVES, OTHER, IN_THE_MAKING = 262144, 8192, 4096, 1024, 64
LOOK_S = 0.2
LOOKS = 5  # so often again, for what was started while the first was moved


class Shares:
    """While the block runs, every host has a share by what it does; new ones the smallest."""

    def __init__(self, lab: Lab, serving: Callable[[], set[str]]) -> None:
        """In: serving, the workers that take connections at this moment."""
        self._paths, self._serving = lab.paths, serving
        # servers that clouds make while the block runs are not among them
        self._roles = {host.name: host.role for host in lab.base.hosts}
        self._seen: dict[str, int] = {}
        self._over = threading.Event()
        self._looking = threading.Thread(target=self._look_again, daemon=True)

    def __enter__(self) -> Self:
        """Give each host its share."""
        if PROCESSORS.is_dir():
            self._weigh(self._place(""), ALL_HOSTS)
            self._weigh(self._place("").parent, ALL_HOSTS)
            self._look()
            self._looking.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take all of it back: processes go on without a group, and no group is left."""
        self._over.set()
        if self._looking.ident is None:
            return
        self._looking.join()
        for host in self._seen:
            _move(_inside(self._place(host)), PROCESSORS)
        for place in (*map(self._place, self._seen), self._place(""), self._place("").parent):
            # another lab may have groups beside ours
            with contextlib.suppress(OSError):
                place.rmdir()

    def _look_again(self) -> None:
        while not self._over.wait(LOOK_S):
            with contextlib.suppress(OSError):  # a host went while it was looked at
                self._look()

    def _look(self) -> None:
        there = cgroups.hierarchies()[0] / self._paths.cgroup()
        hosts = sorted(p.name for p in there.iterdir() if p.is_dir())
        serving = set() if self._roles.keys() >= set(hosts) else self._serving()
        for host in hosts:
            looks = self._seen[host] = self._seen.get(host, 0) + 1
            if looks <= LOOKS:
                self._weigh(self._place(host), self._share(host, serving))
                _move(cgroups.pids(self._paths, host), self._place(host))
            elif host not in self._roles:
                self._weigh(self._place(host), self._share(host, serving))

    def _share(self, host: str, serving: set[str]) -> int:
        role = self._roles.get(host)
        if role is None:
            return SERVES if host in serving else IN_THE_MAKING
        return {Role.POP: PASSES_ON, Role.WORKER: SERVES}.get(
            role, PASSES_ON if role in ROUTERS else OTHER
        )

    def _place(self, host: str) -> Path:
        return PROCESSORS / self._paths.cgroup(host)

    @staticmethod
    def _weigh(place: Path, share: int) -> None:
        place.mkdir(parents=True, exist_ok=True)
        (place / "cpu.shares").write_text(str(share))


def _inside(place: Path) -> list[int]:
    # processes come and go, also with the group
    with contextlib.suppress(OSError):
        return [int(pid) for pid in (place / "cgroup.procs").read_text().split()]
    return []


def _move(pids: list[int], place: Path) -> None:
    for pid in pids:
        with contextlib.suppress(OSError):  # it ended
            (place / "cgroup.procs").write_text(str(pid))
