"""Where a stack's state lives: checkpoint, journal, lock."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from loopback_iac.engine.errors import StateError
from loopback_iac.engine.journal import Journal, Ledger, iter_events

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopback_iac.engine.state import Row


@dataclass(slots=True)
class Checkpoint:
    """The stored state of a stack, secrets encrypted."""

    rows: list[Row] = field(default_factory=list)
    pending: list[Row] = field(default_factory=list)
    salt: str = ""

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

        Raises: StateError when a file is damaged or the journal belongs to another checkpoint.
        """
        checkpoint = Checkpoint()
        text = ""
        if self.state.exists():
            text = self.state.read_text(encoding="utf-8")
            checkpoint = parse_checkpoint(text, str(self.state))
        if not self.journal.exists():
            return checkpoint
        return self._replay(checkpoint, _digest(text))

    def load_saved(self) -> Checkpoint:
        """Read the checkpoint of the last run that ended, whatever goes on there now."""
        return parse_checkpoint(self.state.read_text(encoding="utf-8"), str(self.state))

    def _replay(self, checkpoint: Checkpoint, digest: str) -> Checkpoint:
        events = list(iter_events(self.journal))
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

    def has_leftover(self) -> bool:
        """Whether a killed run left a journal."""
        return self.journal.exists()

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
        text = self.state.read_text(encoding="utf-8") if self.state.exists() else ""
        journal = Journal(self.journal, ledger, {"base": _digest(text), "salt": salt})
        _sync_folder(self.folder)
        return journal

    @contextmanager
    def locked(self, verb: str) -> Iterator[str]:
        """
        Hold the stack for this process.

        Out: a note when a dead process had left its lock, else "".
        Raises: StateError naming the process that holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _ignore_in_git(self.folder)
        # flock ends with the process, so a stale lock can be told from a held one for sure.
        descriptor = os.open(self._lock, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                owner = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
                raise StateError(
                    f"the stack is locked by {owner or 'another process'}; wait until it has ended"
                ) from error
            former = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"loopback {verb}, process {os.getpid()}".encode(), 0)
            try:
                yield f"{former} ended without giving its lock back" if former else ""
            finally:
                os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)


def _replace(path: Path, text: str) -> None:
    """Whole or not at all, and on disk."""
    temporary = path.with_name(f"{path.name}.new")
    descriptor = os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
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
