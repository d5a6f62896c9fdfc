"""The folder of a chain: one run at a time writes it, and what it writes is whole or not there."""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopback_iac.cli.running import refuse
from loopback_iac.evidence.verify import SIGNERS, Wrong, check_chain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PARTIAL = ".partial-"
BROKEN = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Chain:
    """Manifests that were checked, and where they lie."""

    folder: Path
    manifests: list[dict[str, Any]]

    @property
    def last_folder(self) -> Path:
        """Of the last manifest."""
        last = self.manifests[-1]
        return self.folder / f"{last['number']:06}-{last['sha256'][:12]}"


def now_utc() -> datetime:
    """The time that manifests are made at, and held against."""
    return datetime.now(UTC)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make the folder, keep others out of it, and clear what a killed run left."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as cause:
        refuse(f"--chain: {cause}\n  fix: name a folder that can be written", 2)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            refuse(f"--chain {folder}: another run writes it\n  fix: wait for it", 1)
        for left in folder.glob(f"{PARTIAL}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        os.close(lock)


def read_chain(folder: Path, now: datetime, signers: Path | None = None) -> Chain:
    """
    A chain that holds.

    In: signers, whom to believe; None: whom the folder itself names.
    """
    try:
        if not folder.is_dir() or not any(folder.glob("[0-9]*")):
            return Chain(folder, [])
        found = check_chain(folder, signers or folder / SIGNERS, now, whole=True)
    except Wrong as wrong:
        refuse(
            f"--chain {folder}: this does not hold: {wrong}\n"
            "  fix: bring the folder back as it was, from git or wherever it is kept",
            1,
        )
    except (OSError, *BROKEN) as cause:
        refuse(f"--chain {folder}: it cannot be read as a chain: {cause!r}", 1)
    return Chain(folder, found)


def need_chain(folder: Path, now: datetime) -> Chain:
    """A chain that holds and has something in it."""
    chain = read_chain(folder, now)
    if not chain.manifests:
        refuse(f"--chain {folder}: it has no manifest\n  fix: `loopback evidence record` first", 2)
    return chain


def write_folder(
    at: Path, files: Mapping[str, bytes], finish: Callable[[Path], None], *, inside: Path
) -> None:
    """
    Write a folder under another name, finish it there, and give it its name at the very end.

    In: finish, what is done with the written folder, such as signing; inside, where it is made.
    """
    made = Path(tempfile.mkdtemp(prefix=f"{PARTIAL}{at.name}-", dir=inside))
    mine = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(mine, fcntl.LOCK_EX)
        for name, text in files.items():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            (made / name).write_bytes(text)
        finish(made)
        made.chmod(0o755)
        for path in [*made.rglob("*"), made]:
            _sync(path)
        made.rename(at)
        _sync(inside)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    finally:
        os.close(mine)


def clear_killed(at: Path) -> None:
    """Remove what killed runs left of this folder; a run that writes it holds what it writes."""
    for left in at.parent.glob(f"{PARTIAL}{glob.escape(at.name)}-*"):
        with suppress(OSError):
            theirs = os.open(left, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(theirs, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left)
            finally:
                os.close(theirs)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
