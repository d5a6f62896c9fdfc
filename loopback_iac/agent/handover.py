"""What the arbiter notes of itself, and the one thing an operator may ask it: another holder."""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import Any, NamedTuple

from .arbiterfile import read_arbiter
from .files import replace
from .refusal import RefusedError
from .state import LIBRARY

WISH = f"{LIBRARY}/hand-over.json"
# DynamicUser= puts it there; root reads it by the same name
FOLDER = "/var/lib/loopback-arbiter"
RULING = f"{FOLDER}/ruling.json"
LONGEST_S = 60.0


class Wish(NamedTuple):
    """A member that an operator wants to hold the addresses."""

    ident: str
    member: str


class Ruling(NamedTuple):
    """How the arbiter sees things; kept over restarts."""

    invocation: str  # systemd's name of the run that wrote it
    api: str
    up: dict[str, bool | None]
    holders: dict[str, str]
    reasons: dict[str, str]
    moves: dict[str, int]
    handed: str  # the last wish that came true


def read_ruling(path: str = RULING) -> Ruling | None:
    """What the last look came to; None before the first, or when the file is another agent's."""
    try:
        with open(path, encoding="utf-8") as stream:
            return Ruling(**json.load(stream))
    except (OSError, ValueError, TypeError):
        return None


def write_ruling(ruling: Ruling) -> None:
    """Replace the file, in the folder that systemd gives the unit."""
    path = f"{os.environ.get('STATE_DIRECTORY', FOLDER)}/ruling.json"
    with open(f"{path}.new", "w", encoding="utf-8") as stream:
        json.dump(ruling._asdict(), stream, sort_keys=True)
    os.replace(f"{path}.new", path)


def read_wish(handed: str) -> Wish | None:
    """A wish that is neither done nor older than its patience."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        if time.time() - os.stat(WISH).st_mtime < LONGEST_S:
            with open(WISH, encoding="utf-8") as stream:
                value = json.load(stream)
            if value["ident"] != handed:
                return Wish(str(value["ident"]), str(value["member"]))
    return None


def hand_over(member: str) -> dict[str, Any]:
    """Have the arbiter of this host give the addresses to a member, and wait until it has them.

    Raises: RefusedError with the arbiter's own reasons when it does not happen.
    """
    kept = read_arbiter()
    if kept is None:
        raise RefusedError("this host is no arbiter", fix="ask the one that is")
    names = [each.name for each in kept.members]
    if member not in names:
        raise RefusedError(f"there is no member {member!r}; there are {', '.join(names)}")
    ident = os.urandom(8).hex()
    replace(WISH, json.dumps({"ident": ident, "member": member}).encode(), 0o644)
    end_s = time.monotonic() + LONGEST_S
    while time.monotonic() < end_s:
        ruling = read_ruling()
        if ruling is not None and ruling.handed == ident:
            return {"format": 1, "holders": ruling.holders}
        time.sleep(0.2)
    ruling = read_ruling()
    told = "the arbiter has noted nothing"
    if ruling is not None:
        up = {True: "answers", False: "does not answer", None: "is not known yet"}
        told = f"{member} {up[ruling.up.get(member)]}; the API: {ruling.api}; " + "; ".join(
            f"{address}: {reason}" for address, reason in sorted(ruling.reasons.items())
        )
    raise RefusedError(
        f"{member} did not get it within {LONGEST_S:g} s: {told}",
        fix="mend what it names, then ask again",
    )


def report_arbiter() -> dict[str, Any] | None:
    """What the arbiter of this host sees; None on a host that is none."""
    if read_arbiter() is None:
        return None
    ruling = read_ruling()
    if ruling is None:
        return {"api": "not asked yet", "up": {}, "holders": {}, "reasons": {}, "moves": {}}
    told = ruling._asdict()
    return {name: told[name] for name in ("api", "up", "holders", "reasons", "moves")}
