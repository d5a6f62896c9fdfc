"""Where a stack's state lives: checkpoint, journal, lock."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from loopback_iac.engine.errors import StateError
from loopback_iac.engine.journal import Journal, Ledger, iter_events, writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopback_iac.engine.journal import Event
    from loopback_iac.engine.state import Row

_TRIES, _RETRY_S = 10, 0.02


@dataclass(slots=True)
class Checkpoint:
    """The stored state of a stack, secrets encrypted."""

    rows: list[Row] = field(default_factory=list)
    pending: list[Row] = field(default_factory=list)
    salt: str = ""
    killed: bool = False  # a run that was killed left its journal, which is in this

    def render(self) -> str:
        """The file `pulumi stack import` takes: deployment version 3."""
        deployment: dict[str, Any] = {"manifest": {}}
        if self.salt:
            deployment["secrets_providers"] = {"type": "passphrase", "state": {"salt": self.salt}}
        deployment["resources"] = self.rows
        if self.pending:
            deployment["pending_operations"] = self.pending
        deployment["metadata"] = {}
        return json.dumps({"version": 3, "deployment": deployment}, indent=1) + "\n"


def parse_checkpoint(text: str, place: str) -> Checkpoint:
    """
    Read a deployment as this engine or `pulumi stack export` wrote it.

    Raises: StateError when it is none, or encrypted by another secrets provider.
    """
    try:
        document = json.loads(text)
        deployment = document["deployment"]
        version = document["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(f"{place}: no deployment document ({error})") from error
    if version != 3:
        raise StateError(f"{place}: deployment version {version!r}, need 3")
    secrets = deployment.get("secrets_providers") or {}
    if secrets.get("type") not in (None, "", "passphrase"):
        raise StateError(f"{place}: secrets provider {secrets['type']!r}, need passphrase")
    return Checkpoint(
        rows=deployment.get("resources") or [],
        pending=deployment.get("pending_operations") or [],
        salt=(secrets.get("state") or {}).get("salt") or "",
    )


class Store:
    """The folder of one stack; one process at a time works in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state.json"
        self.journal = folder / "journal.jsonl"
        self._undone = folder / "undone.json"
        self._lock = folder / "lock"

    def load(self) -> Checkpoint:
        """
        Read the checkpoint, with the events of a killed run already in it.

        For whoever holds the lock; others `look`.
        Raises: StateError when a file is damaged or the journal belongs to another checkpoint.
        """
        text = self._read()
        checkpoint = self._parse(text)
        try:
            events = list(iter_events(self.journal))
        except FileNotFoundError:
            return checkpoint
        checkpoint = self._replay(checkpoint, events, _digest(text or ""))
        checkpoint.killed = True
        return checkpoint

    def load_saved(self) -> Checkpoint:
        """Read the checkpoint of the last run that ended, whatever goes on there now."""
        return self._parse(self._read())

    def look(self) -> tuple[Checkpoint, str]:
        """
        Read the checkpoint without the lock.

        Out: as `load`, or as the last run that ended left it when one is going on; and who runs.
        Raises: as `load`.
        """
        with self._undisturbed() as owner:
            return (self.load_saved() if owner else self.load()), owner

    def _read(self) -> str | None:
        try:
            return self.state.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def _parse(self, text: str | None) -> Checkpoint:
        return Checkpoint() if text is None else parse_checkpoint(text, str(self.state))

    def _replay(self, checkpoint: Checkpoint, events: list[Event], digest: str) -> Checkpoint:
        if not events:  # killed before its first line was whole: nothing had begun
            return checkpoint
        header, *events = events
        if events and events[-1].get("e") == "close":
            if events[-1]["digest"] == digest:
                return checkpoint  # killed between writing the checkpoint and dropping the journal
            events.pop()
        if header.get("base") != digest:
            raise StateError(
                f"{self.journal} belongs to another state.json than the one beside it;"
                " restore the state.json of that run"
            )
        ledger = Ledger(checkpoint.rows, checkpoint.pending)
        for event in events:
            ledger.apply(event)
        salt = header.get("salt") or checkpoint.salt
        return Checkpoint(rows=ledger.rows(), pending=ledger.pending(), salt=salt)

    def save(self, checkpoint: Checkpoint, journal: Journal | None = None) -> None:
        """
        Replace the checkpoint in one step, then drop the journal.

        In: journal: the one of this run, closed here; a killed run's file is dropped as well.
        """
        text = checkpoint.render()
        if journal is not None:
            journal.close(_digest(text))
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _replace(self.state, text)
        self.journal.unlink(missing_ok=True)

    def save_undone(self, told: dict[str, Any] | None) -> None:
        """Keep what a run left undone beside the checkpoint, which has no place for it."""
        if told is None:
            self._undone.unlink(missing_ok=True)
        else:
            _replace(self._undone, json.dumps(told, indent=1) + "\n")

    def load_undone(self) -> dict[str, Any] | None:
        """
        Read it; None when nothing is left undone.

        Raises: StateError when the file is damaged.
        """
        try:
            told: dict[str, Any] = json.loads(self._undone.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise StateError(f"{self._undone}: damaged ({error}); run `up` again") from error
        return told

    def start_journal(self, ledger: Ledger, salt: str) -> Journal:
        """
        Begin the journal of a run on top of the checkpoint that is on disk.

        In: salt: of the key that encrypts this run's rows; a replay needs it.
        """
        header = {"base": _digest(self._read() or ""), "salt": salt}
        journal = Journal(self.journal, ledger, header)
        _sync_folder(self.folder)
        return journal

    @contextmanager
    def locked(self, verb: str) -> Iterator[str]:
        """
        Hold the stack for this process.

        Out: a note when a dead process had left its lock, else "".
        Raises: StateError naming the process that holds it.
        """
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _ignore_in_git(self.folder)
        # flock ends with the process, so a stale lock can be told from a held one for sure.
        with writing(self._lock):
            descriptor = os.open(self._lock, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            if not _try_lock(descriptor, fcntl.LOCK_EX):
                owner = _read_owner(descriptor)
                raise StateError(f"the stack is locked by {owner}; wait until it has ended")
            former = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
            os.ftruncate(descriptor, 0)
            began = datetime.now(UTC).isoformat(timespec="seconds")
            words = f"loopback {verb}, process {os.getpid()}, since {began}"
            with writing(self._lock):
                os.pwrite(descriptor, words.encode(), 0)
            try:
                yield f"{former} ended without giving its lock back" if former else ""
            finally:
                os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)

    @contextmanager
    def _undisturbed(self) -> Iterator[str]:
        """
        Keep runs from beginning for the moment of a read.

        Out: who is running already, else "".
        """
        try:
            descriptor = os.open(self._lock, os.O_RDONLY)
        except FileNotFoundError:  # nothing has run here yet
            yield ""
            return
        try:
            yield "" if _try_lock(descriptor, fcntl.LOCK_SH) else _read_owner(descriptor)
        finally:
            os.close(descriptor)


def _try_lock(descriptor: int, kind: int) -> bool:
    """Out: whether it is held now; a reader that holds it for a moment is waited for."""
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_RETRY_S)
        else:
            return True
    return False


def _read_owner(descriptor: int) -> str:
    return os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "another process"


def _replace(path: Path, text: str) -> None:
    """Whole or not at all, and on disk."""
    temporary = path.with_name(f"{path.name}.new")
    with writing(path):
        try:
            descriptor = os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        temporary.replace(path)
        _sync_folder(path.parent)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _ignore_in_git(folder: Path) -> None:
    """State holds ciphertexts and addresses: keep it out of commits unless someone insists."""
    mark = folder / ".gitignore"
    if not mark.exists():
        mark.write_text("*\n", encoding="utf-8")
