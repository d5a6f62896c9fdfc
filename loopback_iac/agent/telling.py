"""Telling members of a failover address, again and again, which of them holds it.

A thread per member: one that is dead keeps nobody waiting. What a member was not told it does not
do, so one that does not hear is not chosen.
"""

from __future__ import annotations

import socket
import sys
import threading
from typing import TYPE_CHECKING

from .words import PATIENCE_S, PORT, Word, derive_key, read_line, render_word

if TYPE_CHECKING:
    from collections.abc import Mapping


class Teller:
    """One address and its members."""

    def __init__(self, members: Mapping[str, str], token: str, interval_s: float) -> None:
        """In: addresses of members by name."""
        self._members, self._interval_s = members, interval_s
        self._keys = {name: derive_key(token, name) for name in members}
        self._word: Word | None = None
        self._news = {name: threading.Event() for name in members}
        self._said: dict[str, str] = {}
        self.deaf: frozenset[str] = frozenset(members)

    def start(self) -> None:
        """Begin; the threads end with the process."""
        for name in self._members:
            threading.Thread(target=self._run, args=(name,), name=name, daemon=True).start()

    def tell(self, word: Word) -> None:
        """From now on, this; at once when it is news."""
        if word != self._word:
            self._word = word
            for event in self._news.values():
                event.set()

    def _run(self, name: str) -> None:
        while True:
            word = self._word
            # before the first word there is none to be heard, but whether one can be is known
            self._note(name, self._try(name, word or Word("", "", "")))
            self._news[name].wait(self._interval_s)
            self._news[name].clear()

    def _try(self, name: str, word: Word) -> str:
        """Out: why it did not hear; empty when it did."""
        try:
            with socket.create_connection((self._members[name], PORT), PATIENCE_S) as line:
                line.settimeout(PATIENCE_S)
                line.sendall(render_word(self._keys[name], read_line(line), word))
                answer = read_line(line)
        except OSError as broken:
            return f"{type(broken).__name__}: {broken}"
        return "" if answer == b"ok\n" else answer.decode("ascii", "replace").strip() or "hung up"

    def _note(self, name: str, why: str) -> None:
        self.deaf = self.deaf | {name} if why else self.deaf - {name}
        if self._said.get(name) != why:
            self._said[name] = why
            told = f"cannot be told who holds it, at TCP {PORT} ({why})" if why else "is told"
            sys.stderr.write(f"{name} {told}\n")
            sys.stderr.flush()
