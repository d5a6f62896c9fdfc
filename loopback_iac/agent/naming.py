"""The name server of this host as the health gate sees it: its process, and what it answers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .asking import TRANSPORTS, Asker
from .decide import Names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .watchfile import NameService

# A server that is flooded works; one that hangs does not.
BUSY_SHARE = 0.2
_SPENT = "/sys/fs/cgroup/system.slice/{}.service/cpu.stat"


class Naming:
    """An asker for each address, and how much of the processor the server used of late."""

    def __init__(
        self,
        kept: NameService,
        addresses: Iterable[str],
        spent: Callable[[], float | None] | None = None,
    ) -> None:
        self.spent = spent or (lambda: read_spent_s(kept.unit))
        self.askers = {a: Asker(a, kept.catalog, kept.list_at) for a in addresses}
        self.marks: dict[str, tuple[float, float | None]] = {}
        for asker in self.askers.values():
            asker.start()

    def look(self, *, running: bool) -> dict[str, Names]:
        """What is known now, by address.

        Raises: RuntimeError when an asker died: systemd starts the watch anew, gates stay.
        """
        return {a: self._names(asker, running=running) for a, asker in self.askers.items()}

    def _names(self, asker: Asker, *, running: bool) -> Names:
        if not asker.thread.is_alive():
            raise RuntimeError(f"nobody asks the name server at {asker.address} any more")
        now_s, heard = time.monotonic(), asker.heard
        silent = heard.silent(now_s)
        return Names(
            running,
            len(heard.zones),
            heard.whole,
            heard.wrong(now_s),
            heard.late(now_s),
            silent,
            self._is_busy(asker.address, now_s, silent=len(silent) == len(TRANSPORTS)),
        )

    def _is_busy(self, address: str, now_s: float, *, silent: bool) -> bool:
        """Whether it worked since it fell silent."""
        spent_now_s = self.spent()
        if not silent:
            self.marks[address] = (now_s, spent_now_s)
            return False
        at_s, spent_s = self.marks.get(address, (0.0, None))
        if spent_s is None or spent_now_s is None or now_s <= at_s:
            return False
        return spent_now_s - spent_s >= BUSY_SHARE * (now_s - at_s)


def read_spent_s(unit: str) -> float | None:
    """Seconds of processor that a unit used, all its processes together; None when not told."""
    try:
        with open(_SPENT.format(unit), encoding="ascii") as stream:
            return int(stream.readline().split()[1]) / 1e6
    except (OSError, ValueError, IndexError):
        return None
