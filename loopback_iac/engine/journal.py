"""The ledger of a run, and the append-only journal that makes each event durable."""

from __future__ import annotations

import json
import os
import threading
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias

from loopback_iac.engine.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopback_iac.engine.state import Row

Event: TypeAlias = dict[str, Any]

_LIVE, _CONDEMNED, _DONE = "live", "condemned", "done"
_DAMAGED = (
    "damaged journal line; keep a copy of the file, cut it off before this line, and look"
    " whether what the lines cut off name exists; then run `loopback plan`"
)


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
            for old in _affected(event):
                self._fates[old] = _DONE
                self._forget_former(self.olds[old]["urn"])
        elif kind == "replacing":
            for old in _affected(event):
                self.olds[old]["pendingReplacement"] = True
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


def _affected(event: Event) -> list[int]:
    """A row that was deleted, and those that went along with it."""
    return [event["old"], *event.get("along", [])]


class Journal:
    """
    Appends events to a file; a durable one is on disk before `record` returns.

    Threads that wait for the disk at the same time share one fsync. Once a write has failed, none
    follows: the file ends with the last whole line before it.
    """

    def __init__(self, path: Path, ledger: Ledger, header: Event) -> None:
        self._path, self._ledger = path, ledger
        self._writing, self._syncing = threading.Lock(), threading.Lock()
        self._written = self._synced = self._size = 0
        self._failed: OSError | None = None
        self._numbers = count(1)
        with writing(path):
            self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        try:
            self._write({"journal": 1, **header})
            self._sync(self._written)
        except StateError:
            os.close(self._file)
            path.unlink(missing_ok=True)
            raise

    def record(self, event: Event, *, durable: bool = True) -> None:
        """
        Write an event and take it into the ledger.

        In: durable: wait until it is on disk; others reach the disk with the next durable one.
        Raises: StateError when it cannot be written; the ledger has it all the same, unless it is
        one that begins something.
        """
        with self._writing:
            try:
                self._write(event)
            except StateError:
                if event["e"] != "begin":
                    self._ledger.apply(event)
                raise
            self._ledger.apply(event)
            mine = self._written
        if durable:
            self._sync(mine)

    def begin(self, operation: str, row: Row) -> int:
        """
        Note an operation before its RPC is sent.

        In: operation: creating, updating or deleting.
        Out: the number to `end` it with.
        Raises: StateError when it cannot be written: nothing may be sent.
        """
        number = next(self._numbers)
        self.record({"e": "begin", "n": number, "op": operation, "r": row})
        return number

    def end(self, number: int) -> None:
        """Note that the outcome of an operation is known; unwritten, it may stay as pending."""
        with suppress(StateError):  # what went wrong is being told; the next write says this
            self.record({"e": "end", "n": number}, durable=False)

    def close(self, digest: str) -> None:
        """
        Note the digest of the checkpoint that is about to replace base and journal.

        Raises: StateError when it cannot be written; the journal stands for what has been done.
        """
        try:
            with self._writing:
                self._failed = None  # what was cut off may leave room for this line
                self._write({"e": "close", "digest": digest})
                mine = self._written
            self._sync(mine)
        finally:
            os.close(self._file)

    def _write(self, event: Event) -> None:
        line = (json.dumps(event, separators=(",", ":")) + "\n").encode()
        with writing(self._path):
            if self._failed is not None:
                raise self._failed
            try:
                left = line
                while left:
                    left = left[os.write(self._file, left) :]
            except OSError as error:
                self._failed = error
                os.ftruncate(self._file, self._size)
                raise
        self._size += len(line)
        self._written += 1

    def _sync(self, mine: int) -> None:
        with self._syncing, writing(self._path):
            if self._synced < mine:
                upto = self._written
                try:
                    os.fsync(self._file)
                except OSError as error:
                    self._failed = error
                    raise
                self._synced = upto


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """
    Write to a file of the state.

    Raises: StateError naming it, when the disk is full or does not take it.
    """
    try:
        yield
    except OSError as error:
        raise StateError(
            f"{path}: cannot be written ({error.strerror}); make room there, or let it be written,"
            " and run this again: nothing begins that is not on record, and what was done is kept"
        ) from error


def iter_events(path: Path) -> Iterator[Event]:
    """
    Read a journal back; a torn last line (the kill hit its write) counts as not written.

    Raises: FileNotFoundError; StateError when any other line is damaged.
    """
    raw = path.read_bytes()
    whole, _, _ = raw.rpartition(b"\n")
    for number, line in enumerate(whole.split(b"\n") if whole else [], start=1):
        try:
            event = json.loads(line)
        except ValueError as error:
            raise StateError(f"{path}:{number}: {_DAMAGED} ({error})") from error
        if not isinstance(event, dict):
            raise StateError(f"{path}:{number}: {_DAMAGED}")
        yield event
