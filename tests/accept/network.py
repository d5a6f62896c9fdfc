"""Namespaces with real daemons in them: what the rendered text does, not only whether it parses.

The lab makes them; here are those that workers and clients of tests are started in.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopback_iac.lab.names import space
from loopback_iac.lab.names.space import cable, start_logged, wait_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

__all__ = ["Namespace", "cable", "namespaces", "start_logged", "wait_for"]

ENDS = Path(__file__).parent / "ends.py"


class Namespace(space.Namespace):
    """One in which workers are served and asked."""

    def serve(self, name: str, address: str, port: int) -> subprocess.Popen[str]:
        """A worker's ingress: reads the PROXY header and answers with what it said."""
        process = self.start(sys.executable, str(ENDS), "serve", name, address, str(port))
        wait_for(lambda: f"{address}:{port}" in self.run("ss", "-Hlnt").stdout)
        return process

    def ask(self, address: str, port: int, source: str = "", count: int = 1) -> list[Any]:
        """Connect `count` times; each answer as the worker gave it, or the error's name."""
        words = [sys.executable, str(ENDS), "ask", address, str(port), source, str(count)]
        return json.loads(self.run(*words).stdout)

    def hold(self, address: str, port: int, source: str, count: int) -> list[Any]:
        """As `ask`, with each connection kept open until the last has its answer."""
        words = [sys.executable, str(ENDS), "hold", address, str(port), source, str(count)]
        return json.loads(self.run(*words).stdout)


def be_patient(fleet: dict[str, Any]) -> None:
    """Timers of a declared fleet that a busy machine's pauses fit into: a second and a half.

    What only has to happen is tried with these; how fast it does, drills and benches measure.
    """
    for pool in fleet["pools"].values():
        for worker in pool["workers"].values():
            worker["rtt_ms"] = 300


@contextlib.contextmanager
def namespaces(*names: str) -> Iterator[list[Namespace]]:
    """Namespaces that are gone afterwards, with everything started in them."""
    with space.namespaces(*names) as made:
        # the same namespaces and processes: what is started in one is ended with it
        yield [Namespace(each.name, each.processes) for each in made]
