"""The saved sets: what a digest put on the host, so that the last confirmed one can always be put
back.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd

from .allowed import Place, parse_place
from .bundle import HostSet, SetFile
from .files import read_on_disk, remove, replace
from .refusal import RefusedError
from .state import LIBRARY

SETS = f"{LIBRARY}/sets"
ORIGIN = "origin"


def set_path(digest: str) -> str:
    """Where a set is kept."""
    return f"{SETS}/{digest}.json"


def save_set(kept: HostSet) -> None:
    """Keep a set over reboots, readable by root only: it holds the secrets that stand in the files
    as well.
    """
    os.makedirs(SETS, mode=0o700, exist_ok=True)
    os.chmod(SETS, 0o700)
    replace(set_path(kept.digest), kept.encode(), 0o600)


def read_set(digest: str | None) -> HostSet | None:
    """A saved set, or None."""
    found = read_on_disk(set_path(digest)) if digest else None
    return HostSet.decode(found.content) if found else None


def drop_sets(*, keep: set[str]) -> None:
    """Remove saved sets that nothing returns to any more."""
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(SETS):
            if name.endswith(".json") and name.removesuffix(".json") not in keep | {ORIGIN}:
                remove(f"{SETS}/{name}")


def save_origin(coming: HostSet, known: set[str]) -> None:
    """Keep what stood on the host before us, once per path: a first rollback and `release` put it
    back.

    In:  the set that comes; the paths some set of ours already had.
    """
    origin = read_set(ORIGIN) or HostSet(ORIGIN, coming.role, {})
    fresh = {}
    for path in coming.files:
        if path in origin.files or path in known:
            continue
        found = read_on_disk(path)
        if found is not None:
            text = found.content.decode("utf-8", "surrogateescape")
            owner, group = pwd.getpwuid(found.uid).pw_name, grp.getgrgid(found.gid).gr_name
            fresh[path] = SetFile(text, found.mode, owner, group)
    if fresh:
        save_set(origin._replace(files=origin.files | fresh))


def differing(kept: HostSet) -> list[str]:
    """Paths of a set that do not stand on the host as the set says, sorted."""
    return sorted(path for path, file in kept.files.items() if not _stands(path, file))


def _stands(path: str, file: SetFile) -> bool:
    found = read_on_disk(path)
    if found is None or found.content != file.content or found.mode != file.mode:
        return False
    try:
        return (found.uid, found.gid) == file.ids
    except RefusedError:
        return False


def place_of(path: str, role: str) -> Place:
    """The place of a path that was accepted once."""
    return parse_place(path, role)
