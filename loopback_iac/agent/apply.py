"""The verb apply as a caller over SSH meets it: its work is done in a transient unit named by the
digest, and a second call with the same digest follows the same unit.

The bundle is parsed there as well: a second start of Python begins as early as it can.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from .files import read_on_disk, replace
from .refusal import RefusedError
from .state import FORMAT, RUN, read_enrolled
from .transient import follow_unit, run_leaving, start_unit

if TYPE_CHECKING:
    from collections.abc import Callable

    from .bundle import HostSet

_LONGEST_S = 900.0


def apply(digest: str, content: bytes) -> dict[str, Any]:
    """Bring the host to the bundle on stdin.

    In:  the digest from the command's words; stdin.
    Out: the result line.
    Raises: RefusedError saying what the host serves now.
    """
    host, _ = read_enrolled()
    facts = _converge_in_unit(digest, lambda: _stage(digest, content))
    return {"format": FORMAT, "host": host, "digest": digest} | facts


def stage_again(kept: HostSet) -> dict[str, Any]:
    """Apply a set that was rolled back once more, from its saved copy, in a unit as any other
    apply.
    """
    return _converge_in_unit(kept.digest, lambda: _forget(kept.digest))


def _converge_in_unit(digest: str, stage: Callable[[], None]) -> dict[str, Any]:
    unit = f"loopback-apply-{digest[:12]}"
    start_unit(
        *(unit, _ending(digest), "converge", f"digest={digest}"),
        environment={"LOOPBACK_CONNECTION": os.environ.get("SSH_CONNECTION", "")},
        stage=stage,
    )
    return follow_unit(unit, _ending(digest), "the apply", _LONGEST_S)


def _ending(digest: str) -> str:
    return f"{RUN}/bundle/{digest}.ending.json"


def _staged(digest: str) -> str:
    return f"{RUN}/bundle/{digest}.json"


def _stage(digest: str, content: bytes) -> None:
    os.makedirs(f"{RUN}/bundle", mode=0o700, exist_ok=True)
    try:
        replace(_staged(digest), content, 0o600)
    except OSError as failed:
        raise RefusedError(
            f"could not stage the bundle below {RUN}: {failed.strerror}", fix="free space there"
        ) from failed


def _forget(digest: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_staged(digest))


def run_converge(digest: str) -> None:
    """Inside the transient unit: do the work and leave an ending for whoever follows.

    Raises: RefusedError, after the ending was written.
    """
    try:
        run_leaving(_ending(digest), lambda: _converge(digest))
    finally:
        _forget(digest)


def _converge(digest: str) -> dict[str, Any]:
    from .bundle import parse_bundle
    from .converge import converge
    from .sets import read_set

    host, role = read_enrolled()
    found = read_on_disk(_staged(digest))
    coming = (
        parse_bundle(found.content, host=host, digest=digest, role=role)
        if found
        else read_set(digest)  # one that was taken back
    )
    if coming is None:
        raise RefusedError(f"no staged bundle {digest[:12]}")
    return converge(coming, os.environ.get("LOOPBACK_CONNECTION", ""))
