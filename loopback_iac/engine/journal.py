"""The ledger of a run, and the append-only journal that makes each event durable."""

from __future__ import annotations

import json
import os
import threading
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias

from loopback_iac.engine.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopback_iac.engine.state import Row

Event: TypeAlias = dict[str, Any]

_LIVE, _CONDEMNED, _DONE = "live", "condemned", "done"


class Ledger:
    """
    What the state is after each event of a run.

    Live run and replay after a kill go through the same `apply`, so they cannot disagree.
    """

    def __init__(self, rows: list[Row], pending: list[Row]) -> None:
        self.olds = [dict(row) for row in rows]
        self._fates = [_CONDEMNED if row.get("delete") else _LIVE for row in rows]
        self._news: dict[str, Row] = {}
        self._renamed: dict[str, str] = {}
        self._former = list(pending)
        self._pending: dict[int, Row] = {}

    def apply(self, event: Event) -> None:
        """Take one event into account."""
        kind = event["e"]
        if kind == "begin":
            self._pending[event["n"]] = {"resource": event["r"], "type": event["op"]}
            return
        self._pending.pop(event.get("n", 0), None)
        if kind == "new":
            self._take_new(event)
        elif kind == "gone":
            self._fates[event["old"]] = _DONE
            self._forget_former(self.olds[event["old"]]["urn"])
        elif kind == "replacing":
            self.olds[event["old"]]["pendingReplacement"] = True
        elif kind == "outputs":
            self._news[event["urn"]] = {**self._news[event["urn"]], "outputs": event["o"]}
        elif kind != "end":
            raise StateError(f"journal: unknown event {kind!r}")

    def _take_new(self, event: Event) -> None:
        old: int | None = event.get("old")
        row: Row = event.get("r") or (self.olds[old] if old is not None else {})
        self._news[row["urn"]] = row
        self._forget_former(row["urn"])
        if old is None:
            return
        if self.olds[old]["urn"] != row["urn"]:
            self._renamed[self.olds[old]["urn"]] = row["urn"]
            self._forget_former(self.olds[old]["urn"])
        if event.get("keep"):
            self._fates[old] = _CONDEMNED
            self.olds[old]["delete"] = True
        else:
            self._fates[old] = _DONE

    def _forget_former(self, urn: str) -> None:
        """An interrupted update or delete is settled by the next step that ends well."""
        self._former = [
            row
            for row in self._former
            if row["resource"]["urn"] != urn or row["type"] not in ("updating", "deleting")
        ]

    def settle(self, urn: str) -> None:
        """Strike the operations on a resource whose end nobody saw: somebody has looked."""
        self._former = [row for row in self._former if row["resource"]["urn"] != urn]

    def rows(self) -> list[Row]:
        """New rows in completion order, untouched old ones, then those waiting for deletion."""
        untouched = [row for row, fate in zip(self.olds, self._fates, strict=True) if fate == _LIVE]
        condemned = [
            row for row, fate in zip(self.olds, self._fates, strict=True) if fate == _CONDEMNED
        ]
        left = [self._rename(row) for row in (*untouched, *condemned)]
        return [*self._news.values(), *left]

    def pending(self) -> list[Row]:
        """Operations that began and whose end nobody saw, of this run and earlier ones."""
        return [*self._former, *self._pending.values()]

    def _rename(self, row: Row) -> Row:
        if not self._renamed:
            return row
        new = dict(row)
        names = self._renamed
        for key in ("parent", "deletedWith"):
            if new.get(key) in names:
                new[key] = names[new[key]]
        provider, _, ident = (new.get("provider") or "").rpartition("::")
        if provider in names:
            new["provider"] = f"{names[provider]}::{ident}"
        if new.get("dependencies"):
            new["dependencies"] = [names.get(urn, urn) for urn in new["dependencies"]]
        if new.get("propertyDependencies"):
            new["propertyDependencies"] = {
                key: [names.get(urn, urn) for urn in urns or []]
                for key, urns in new["propertyDependencies"].items()
            }
        return new


class Journal:
    """
    Appends events to a file; a durable one is on disk before `record` returns.

    Threads that wait for the disk at the same time share one fsync.
    """

    def __init__(self, path: Path, ledger: Ledger, header: Event) -> None:
        self._ledger = ledger
        self._writing, self._syncing = threading.Lock(), threading.Lock()
        self._written = self._synced = 0
        self._numbers = count(1)
        self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        self._write({"journal": 1, **header})
        self._sync(self._written)

    def record(self, event: Event, *, durable: bool = True) -> None:
        """
        Write an event and take it into the ledger.

        In: durable: wait until it is on disk; others reach the disk with the next durable one.
        """
        with self._writing:
            self._write(event)
            self._ledger.apply(event)
            mine = self._written
        if durable:
            self._sync(mine)

    def begin(self, operation: str, row: Row) -> int:
        """
        Note an operation before its RPC is sent.

        In: operation: creating, updating or deleting.
        Out: the number to `end` it with.
        """
        number = next(self._numbers)
        self.record({"e": "begin", "n": number, "op": operation, "r": row})
        return number

    def end(self, number: int) -> None:
        """Note that the outcome of an operation is known."""
        self.record({"e": "end", "n": number}, durable=False)

    def close(self, digest: str) -> None:
        """Note the digest of the checkpoint that is about to replace base and journal."""
        with self._writing:
            self._write({"e": "close", "digest": digest})
            mine = self._written
        self._sync(mine)
        os.close(self._file)

    def _write(self, event: Event) -> None:
        line = (json.dumps(event, separators=(",", ":")) + "\n").encode()
        while line:
            line = line[os.write(self._file, line) :]
        self._written += 1

    def _sync(self, mine: int) -> None:
        with self._syncing:
            if self._synced < mine:
                upto = self._written
                os.fsync(self._file)
                self._synced = upto


def iter_events(path: Path) -> Iterator[Event]:
    """
    Read a journal back; a torn last line (the kill hit its write) counts as not written.

    Raises: StateError when any other line is damaged.
    """
    raw = path.read_bytes()
    whole, _, _ = raw.rpartition(b"\n")
    for number, line in enumerate(whole.split(b"\n") if whole else [], start=1):
        try:
            event = json.loads(line)
        except ValueError as error:
            raise StateError(f"{path}:{number}: damaged journal line: {error}") from error
        if not isinstance(event, dict):
            raise StateError(f"{path}:{number}: damaged journal line")
        yield event
