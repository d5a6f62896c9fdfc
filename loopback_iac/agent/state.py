"""What this host is in the middle of: one small file, replaced by rename under a lock.

/var/lib/loopback/state.json is world-readable on purpose: it holds digests and times, and the
watch, which has no
privileges, reads from it whether the applied set is confirmed and whether the host is drained.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from typing import TYPE_CHECKING, Any

from .files import replace
from .programs import boot_id, boottime_s
from .refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

AGENT = "/usr/local/sbin/loopback-agent"  # the one name everybody calls this program by
LIBRARY = "/var/lib/loopback"
STATE = f"{LIBRARY}/state.json"
ENROLLED = f"{LIBRARY}/enrolled.json"
RUN = "/run/loopback"

FORMAT = 1  # of bundles, and of what a verb prints
DIGEST = re.compile(r"[0-9a-f]{12,128}")

# Phases of a pending set, in the order in which an apply walks them.
DRAINING, SWAPPING, UNCONFIRMED = "draining", "swapping", "unconfirmed"

State = dict[str, Any]
EMPTY: State = {
    "format": 1,
    "active": None,
    "pending": None,
    "rolled_back": None,
    "drain": {"operator": None, "apply": None, "update": None},
}


def read_state() -> State:
    """The saved state; an empty one before the first apply."""
    try:
        with open(STATE, encoding="utf-8") as stream:
            found: State = json.load(stream)
    except FileNotFoundError:
        return json.loads(json.dumps(EMPTY))  # type: ignore[no-any-return]
    found["drain"] = EMPTY["drain"] | found["drain"]  # an older agent knew fewer reasons to drain
    return found


@contextlib.contextmanager
def changing_state() -> Iterator[State]:
    """Read, change, write, alone: the only way the state is ever changed."""
    with _locked("state", wait=True):
        state = read_state()
        yield state
        replace(STATE, json.dumps(state, sort_keys=True).encode(), 0o644)


@contextlib.contextmanager
def changing_blackholes() -> Iterator[None]:
    """Change or load what is given up, alone; an apply that runs is not waited for to its end."""
    with _locked("blackholes", wait=True):
        yield


@contextlib.contextmanager
def alone(*, wait: bool = False) -> Iterator[None]:
    """Hold the lock that every change of the host's set takes.

    Raises: RefusedError when another one holds it and `wait` is off.
    """
    with _locked("apply", wait=wait):
        yield


@contextlib.contextmanager
def alone_with_packages(*, wait: bool = True) -> Iterator[None]:
    """Hold the lock that every change of packages takes.

    Raises: RefusedError when another one holds it and `wait` is off.
    """
    with _locked("packages", wait=wait):
        yield


@contextlib.contextmanager
def _locked(name: str, *, wait: bool) -> Iterator[None]:
    os.makedirs(f"{RUN}/lock", mode=0o755, exist_ok=True)
    descriptor = os.open(f"{RUN}/lock/{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as busy:
            raise RefusedError(
                "another apply, update, rollback or release is running on this host",
                fix="wait for it to end (`loopback-agent report` shows it), then apply again",
                host=f"under change by the other one, {standing()}",
            ) from busy
        yield
    finally:
        os.close(descriptor)


def read_enrolled() -> tuple[str, str]:
    """(host name, role) from enroll.

    Raises: RefusedError before the first enroll.
    """
    try:
        with open(ENROLLED, encoding="utf-8") as stream:
            value = json.load(stream)
    except FileNotFoundError:
        raise RefusedError("this host was never enrolled", fix="run enroll first") from None
    return value["host"], value["role"]


def expired(pending: dict[str, Any]) -> bool:
    """Whether the time to confirm is over: the deadline passed, or the host rebooted meanwhile."""
    return bool(pending["boot"] != boot_id() or boottime_s() >= pending["deadline_s"])


def standing() -> str:
    """How the host stands, in a few words for the end of a complaint."""
    state = read_state()
    pending, active = state["pending"], state["active"]
    serving = f"serving {active[:12]}" if active else "serving nothing of ours yet"
    if pending and pending["phase"] == UNCONFIRMED:
        back = f"returns to {active[:12]}" if active else "is taken off again"
        left_s = max(0, round(pending["deadline_s"] - boottime_s()))
        serving = (
            f"serving {pending['digest'][:12]} unconfirmed, {back} in {left_s} s without a confirm"
        )
    elif pending:
        phase, coming = pending["phase"], pending["digest"][:12]
        serving += f", an apply of {coming} is under way or was cut off ({phase})"
    drained = [who for who, wish in state["drain"].items() if wish]
    return serving + (f", drained by {' and '.join(drained)}" if drained else "")
