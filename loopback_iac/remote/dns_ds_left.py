"""When a DS went out, kept on this machine until caches have forgotten it.

A Command may be cut off while it waits, and both engines then run it anew: the parent has no DS by
then, and does not tell since when. A runner that forgets its files forgets this as well.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from loopback_iac.remote.dns_look import write_whole


class ParentError(Exception):
    """A parent's server has what it should not, or does not answer; the text has the fix."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what}\n  fix: {fix}")
        self.what, self.fix = what, fix


class Left(NamedTuple):
    """A DS that was to go."""

    ttl_s: int
    """How long a cache may hold it."""
    gone_at: int | None = None
    """Seconds since the epoch; None: nobody saw it go."""


def read_left(zone: str) -> Left | None:
    """
    What an earlier run left behind; None when none did.

    Raises: ParentError when it cannot be read.
    """
    path = _path(zone)
    try:
        tree = json.loads(path.read_text())
        gone_at = tree["gone_at"]
        return Left(int(tree["ttl_s"]), None if gone_at is None else int(gone_at))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, KeyError, OverflowError) as cause:
        raise ParentError(
            f"{path} does not say when the DS of {zone} went out: {type(cause).__name__}",
            "wait as long as the DS's TTL was, remove that file, run it again",
        ) from cause


def write_left(zone: str, left: Left) -> None:
    """
    Keep it.

    Raises: ParentError when this machine cannot.
    """
    path = _path(zone)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(left._asdict()))
    except OSError as cause:
        raise _unkept(zone, str(cause)) from cause


def drop_left(zone: str) -> None:
    """
    Forget it.

    Raises: ParentError when this machine cannot.
    """
    try:
        _path(zone).unlink(missing_ok=True)
    except OSError as cause:
        raise _unkept(zone, str(cause)) from cause


def _path(zone: str) -> Path:
    given = os.environ.get("XDG_STATE_HOME", "")
    try:
        home = Path(given) if given else Path.home() / ".local/state"
    except RuntimeError as cause:
        raise _unkept(zone, str(cause)) from cause
    return home / "loopback/ds-out" / f"{quote(zone, safe='')}json"


def _unkept(zone: str, why: str) -> ParentError:
    return ParentError(
        f"when the DS of {zone} goes out cannot be kept on this machine: {why}",
        "set XDG_STATE_HOME to a folder that may be written to, and that lasts; run it again",
    )
