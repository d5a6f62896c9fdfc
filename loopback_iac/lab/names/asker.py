"""Somebody who asks one server steadily, and what became of the questions."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from loopback_iac.lab.names import steady
from loopback_iac.lab.names.space import exchange

if TYPE_CHECKING:
    from loopback_iac.lab.names.space import Namespace

KINDS = ("asked", "secure", "insecure", "bogus", "failed", "silent")
LOOK_EVERY_S = 0.1


class Asker:
    """Asks from the moment it is made."""

    def __init__(
        self, space: Namespace, server: str, questions: list[list[str]], rate: int, flag: str
    ) -> None:
        """In: as `steady` takes them, and the namespace to ask from."""
        self.rate = rate
        self.running = space.start(sys.executable, steady.__file__)
        wanted = {"server": server, "questions": questions, "rate": rate, "flag": flag}
        exchange(self.running, json.dumps(wanted))

    def mark(self) -> dict[str, Any]:
        """What became of the questions since the last mark."""
        found: dict[str, Any] = json.loads(exchange(self.running, "mark"))
        return found

    def after(self, count: int) -> dict[str, int]:
        """What becomes of so many questions from here on, or more."""
        self.mark()
        found = Counter[str]()
        while found["asked"] < count:
            time.sleep(LOOK_EVERY_S)
            told = self.mark()
            found.update({kind: told[kind] for kind in KINDS})
        return {kind: found[kind] for kind in KINDS}

    def end(self) -> None:
        """Ask no more."""
        self.running.kill()
        self.running.wait(30)
