"""Writing files so that a kill, a full disk or a symlink in the way never leaves a half-written
one.

Every path is walked from / with O_NOFOLLOW, each step a real directory: a symlink planted in a
directory that
another user may write to cannot lead a root process elsewhere.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from .refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SPARE_BYTES = (
    1 << 20
)  # what a write may need beyond the bytes themselves: journal, directory blocks
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class OnDisk(NamedTuple):
    """A regular file as found."""

    content: bytes
    mode: int
    uid: int
    gid: int

    @property
    def sha256(self) -> str:
        """Hex digest of the content."""
        import hashlib

        return hashlib.sha256(self.content).hexdigest()


@contextlib.contextmanager
def parent_of(path: str, *, create: bool = False) -> Iterator[tuple[int, str]]:
    """The directory of `path`, opened step by step.

    Out: (directory descriptor, last name).
    Raises: RefusedError when a step is a symlink or no directory; FileNotFoundError when one is
         missing.
    """
    steps = path.strip("/").split("/")
    descriptor = os.open("/", _DIRECTORY)
    try:
        walked = ""
        for step in steps[:-1]:
            walked += "/" + step
            if create:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(step, 0o755, dir_fd=descriptor)
            try:
                inner = os.open(step, _DIRECTORY, dir_fd=descriptor)
            except OSError as refused:
                if refused.errno in (errno.ELOOP, errno.ENOTDIR):
                    raise RefusedError(
                        f"{walked} is a symlink or no directory;"
                        f" {path} is only written below real directories",
                        fix=f"look at {walked} and who made it; remove it, then apply again",
                    ) from refused
                raise
            os.close(descriptor)
            descriptor = inner
        yield descriptor, steps[-1]
    finally:
        os.close(descriptor)


def read_on_disk(path: str) -> OnDisk | None:
    """The file at `path`, or None when there is none.

    Raises: RefusedError when something else than a regular file stands there.
    """
    try:
        with parent_of(path) as (folder, name):
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode):
                kind = "symlink" if stat.S_ISLNK(found.st_mode) else "special file or directory"
                raise RefusedError(
                    f"{path} is a {kind}; the agent only replaces regular files",
                    fix=f"look at {path} and who made it; remove it, then apply again",
                )
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            with open(descriptor, "rb") as stream:
                return OnDisk(
                    stream.read(), stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid
                )
    except FileNotFoundError:
        return None


def _waiting_name(name: str) -> str:
    # no *.conf, *.service or *.network ending: no daemon's directory include may pick it up
    return f".{name}.loopback-new"


def write_beside(path: str, content: bytes, mode: int, uid: int = 0, gid: int = 0) -> None:
    """Write the new content next to `path`, synced, not yet in its place.

    Raises: OSError (no space, read-only) that names the path, with nothing left behind.
    """
    try:
        _write_beside(path, content, mode, uid, gid)
    except OSError as failed:
        raise OSError(failed.errno, failed.strerror, path) from failed


def _write_beside(path: str, content: bytes, mode: int, uid: int, gid: int) -> None:
    with parent_of(path, create=True) as (folder, name):
        waiting = _waiting_name(name)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(waiting, dir_fd=folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(waiting, flags, 0o600, dir_fd=folder)
        try:
            with open(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fchown(stream.fileno(), uid, gid)
                os.fchmod(stream.fileno(), mode)
                os.fsync(stream.fileno())
        except OSError:
            os.unlink(waiting, dir_fd=folder)
            raise


def put_in_place(path: str) -> None:
    """Rename what `write_beside` wrote over `path` and sync the directory."""
    with parent_of(path) as (folder, name):
        os.rename(_waiting_name(name), name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)


def forget_beside(paths: Iterable[str]) -> None:
    """Remove waiting copies that will not be put in place."""
    for path in paths:
        with (
            contextlib.suppress(OSError, RefusedError),  # one that cannot go may not keep others
            parent_of(path) as (folder, name),
        ):
            os.unlink(_waiting_name(name), dir_fd=folder)


def replace(path: str, content: bytes, mode: int, uid: int = 0, gid: int = 0) -> None:
    """Write a whole file by rename, synced."""
    write_beside(path, content, mode, uid, gid)
    put_in_place(path)


def remove(path: str) -> None:
    """Remove a file; one that is gone already is fine."""
    with contextlib.suppress(FileNotFoundError), parent_of(path) as (folder, name):
        os.unlink(name, dir_fd=folder)
        os.fsync(folder)


def remove_empty(folder: str) -> None:
    """Remove a folder that nothing is left in; one that holds something, or is gone, stays so."""
    with contextlib.suppress(OSError, RefusedError), parent_of(folder) as (above, name):
        os.rmdir(name, dir_fd=above)


def check_space(needs: dict[str, int]) -> None:
    """Refuse before anything is changed when a filesystem lacks room.

    In:  path -> bytes to be written there; a path need not exist yet.
    Units: bytes.
    Raises: RefusedError naming the filesystem, what it has and what is needed.
    """
    wanted: dict[int, tuple[str, int, int]] = {}
    for path, size in needs.items():
        folder = path
        while not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        device = os.stat(folder).st_dev
        shown, so_far, count = wanted.get(device, (folder, 0, 0))
        wanted[device] = (shown, so_far + -(-size // 4096) * 4096, count + 1)
    for shown, size, count in wanted.values():
        found = os.statvfs(shown)
        free = found.f_bavail * found.f_frsize
        if free < size + SPARE_BYTES:
            raise RefusedError(
                f"no room: the filesystem of {shown} has {free} bytes free,"
                f" {size + SPARE_BYTES} are needed",
                fix=f"free space on the filesystem of {shown}, then apply again",
            )
        if found.f_files and found.f_favail < count + 16:
            raise RefusedError(
                f"no room: the filesystem of {shown} has {found.f_favail} inodes free,"
                f" {count + 16} are needed",
                fix=f"remove files from the filesystem of {shown}, then apply again",
            )
