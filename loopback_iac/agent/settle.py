"""Keys whose replacement a signer began to write down and never ended: they are given their end.

Knot 3.4 makes a new key active and ends the one before in one step, and keeps them in its database
key after key. Killed between the two, it comes back with both active and plans no end for the
first. So this runs before each start of a signer, while nobody else has the database open.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from .programs import must, run
from .refusal import RefusedError

# a start is not held up for longer, however many zones there are
PATIENCE_S = 30.0
_ENDS = ("retire-active", "post-active", "retire", "remove", "revoke")


def settle_keys(wait_s: int) -> None:
    """End keys that were replaced, of all zones, and say so on stderr.

    In: for how long validators may have a DS that names no newer KSK. Units: s.
    Raises: RefusedError when Knot's database cannot be read.
    """
    zones = json.loads(must("keymgr", "-j", "-l") or "[]")
    last = time.monotonic() + PATIENCE_S
    for at, zone in enumerate(zones):
        if time.monotonic() > last:
            sys.stderr.write(f"keys of {len(zones) - at} zones were not looked at\n")
            break
        keys = json.loads(must("keymgr", "-j", zone, "list") or "[]")
        for key in unsettled(keys):
            done = run("keymgr", zone, "set", key["id"], *_end_of(key, wait_s))
            told = f"kept no end for it; {done.complaint}" if done.code else "its end is set"
            sys.stderr.write(f"[{zone}] key {key['tag']} was replaced: {told}\n")


def unsettled(keys: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keys that are active beside one that replaced them.

    In: a zone's keys, as `keymgr -j ZONE list` prints them.
    Out: those for whose place a newer one was made. Keys that were put beside each other on purpose
    stay: what Knot makes for another's place is active later than it is made. A ZSK is made while
    the one before is active; a KSK is submitted to the parent, and only then is the one before
    active as well, if nobody had told of its DS.
    """
    found = []
    for kind, other in (("ksk", "zsk"), ("zsk", "ksk")):
        own = [key for key in keys if key[kind] and not key[other] and _is_active(key)]
        newest = max(own, key=lambda key: int(key["active"]), default=None)
        found += [
            key
            for key in own
            if newest is not None
            and key["algorithm"] == newest["algorithm"]
            and key["created"] < newest["created"] < newest["active"]
            and (_was_submitted(newest) if kind == "ksk" else key["active"] <= newest["created"])
        ]
    return found


def _was_submitted(ksk: dict[str, Any]) -> bool:
    return bool(ksk["ready"] >= ksk["created"])


def _is_active(key: dict[str, Any]) -> bool:
    began = not key["public-only"] and 0 < key["active"] <= time.time()
    return began and not any(key[name] for name in _ENDS)


def _end_of(key: dict[str, Any], wait_s: int) -> tuple[str, ...]:
    """As Knot would have written; when a ZSK that is retired goes, it plans itself."""
    if key["ksk"]:
        return ("retire_active=+0", f"retire=+{wait_s}", f"remove=+{wait_s}")
    return ("retire=+0",)


def parse_wait(word: str) -> int:
    """In: a number of seconds, in digits. Raises: RefusedError."""
    if not (word.isascii() and word.isdecimal()) or len(word) > 7:
        raise RefusedError(f"settle-keys SECONDS, not {word!r}", host="unchanged")
    return int(word)
