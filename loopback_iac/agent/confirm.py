"""confirm, rollback and release: what happens to a set after it was applied.

A set counts only when somebody came in again over a new connection: that is the proof that the new
firewall and the
new sshd let the operator in. Until then the watch opens no gate and a timer waits to take the set
back.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import Any

from .apply import stage_again
from .bundle import HostSet
from .drain import APPLY, OPERATOR, drain, let_in, wait_announcing
from .files import remove
from .holes import forget_by_hand
from .keys import epochs_kept, forget_keys
from .plan import plan_retired, plan_steps
from .recover import disarm_timer, prune_sets, recover_locked, restore_origin, return_to_confirmed
from .refusal import RefusedError
from .reload import do_steps, stop_retired
from .sets import ORIGIN, read_set, set_path
from .state import (
    FORMAT,
    UNCONFIRMED,
    alone,
    changing_state,
    read_enrolled,
    read_state,
    standing,
)
from .watchfile import read_watch

_ACKNOWLEDGED_S = 5.0


def confirm(digest: str) -> dict[str, Any]:
    """Make an applied digest the confirmed one and let the PoP return to traffic.

    Out: the result line, once the gates are open again.
    Raises: RefusedError saying what the host serves.
    """
    host, _ = read_enrolled()
    with alone(wait=True):
        recover_locked()
        state = read_state()
        _confirm_locked(digest, state)
    if read_state()["active"] != digest:
        _apply_again(digest)
    state = read_state()
    if not state["drain"][OPERATOR]:
        wait_announcing(read_watch())
    return {"format": FORMAT, "host": host, "digest": digest, "state": "active"}


def _confirm_locked(digest: str, state: dict[str, Any]) -> None:
    pending = state["pending"]
    if pending and pending["digest"] == digest and pending["phase"] == UNCONFIRMED:
        _check_new_connection(pending)
        _mark_active(digest)
    elif state["active"] == digest and not pending:
        return
    elif not state["rolled_back"] or state["rolled_back"]["digest"] != digest:
        raise RefusedError(
            f"{digest[:12]} is not waiting to be confirmed here",
            fix="apply it, then confirm",
            host=standing(),
        )


def _check_new_connection(pending: dict[str, Any]) -> None:
    here = os.environ.get("SSH_CONNECTION", "")
    if here and here == pending["connection"]:
        raise RefusedError(
            "this is the connection that the apply came over; it proves nothing about a new one",
            fix="confirm over a connection of its own (no ControlMaster)",
            host=standing(),
        )


def _mark_active(digest: str) -> None:
    with changing_state() as state:
        state["active"] = digest
        state["pending"] = None
        state["rolled_back"] = None
        state["confirmed_at"] = round(time.time())
        state["drain"][APPLY] = None
    disarm_timer(digest)
    prune_sets()
    with contextlib.suppress(OSError):  # last, and never the reason to refuse: it goes next time
        for path in forget_keys(epochs_kept()):
            sys.stderr.write(f"loopback-agent confirm: removed {path}\n")


def _apply_again(digest: str) -> None:
    """The set went back meanwhile; this connection is a new one and can carry the proof."""
    kept = read_set(digest)
    why = (read_state()["rolled_back"] or {}).get("why", "")
    if kept is None:
        raise RefusedError(
            f"{digest[:12]} was rolled back ({why}) and its copy is gone",
            fix="apply it again",
            host=standing(),
        )
    stage_again(kept)
    acknowledged = _acknowledged(
        f"{digest[:12]} was rolled back ({why}); applied again, proving this connection\n"
    )
    with alone(wait=True):
        pending = read_state()["pending"]
        if not pending or pending["digest"] != digest:
            raise RefusedError(f"{digest[:12]} did not stay", fix="apply it again", host=standing())
        if not acknowledged:
            told = return_to_confirmed("this connection died under the new set")
            raise RefusedError("the new set cuts this connection off", host=f"rolled back; {told}")
        _mark_active(digest)


def _acknowledged(line: str) -> bool:
    """Write a line to the caller and see the kernel note the caller's acknowledgement: its packets
    still get in.
    """
    here = os.environ.get("SSH_CONNECTION", "")
    if not here:
        return True
    sys.stderr.write(line)
    sys.stderr.flush()
    end = time.monotonic() + _ACKNOWLEDGED_S
    time.sleep(0.3)  # sshd has to pick the line up first
    while time.monotonic() < end:
        if _unacknowledged_bytes(here) == 0:
            return True
        time.sleep(0.05)
    return False


def _unacknowledged_bytes(connection: str) -> int | None:
    """Bytes this SSH client has not acknowledged; None when the connection is gone."""
    client, client_port, _, port = connection.split()
    table = "/proc/net/tcp6" if ":" in client else "/proc/net/tcp"
    wanted = f":{int(port):04X}", f":{int(client_port):04X}"
    for name in (table, "/proc/net/tcp6"):
        with open(name, encoding="ascii") as stream:
            for line in stream:
                words = line.split()
                if (
                    words[1].endswith(wanted[0])
                    and words[2].endswith(wanted[1])
                    and words[3] == "01"
                ):
                    return int(words[4].split(":")[0], 16)
    return None


def rollback() -> dict[str, Any]:
    """Take an unconfirmed set back now.

    Raises: RefusedError when nothing is unconfirmed.
    """
    host, _ = read_enrolled()
    with alone(wait=True):
        if not read_state()["pending"]:
            raise RefusedError(
                "nothing is unconfirmed", fix="to go back further, apply the older stack"
            )
        told = return_to_confirmed("an operator asked for it")
    return {"format": FORMAT, "host": host, "state": told}


def release(digest: str) -> dict[str, Any]:
    """Take everything of ours off the host, unless a newer digest has taken over.

    Out: the result line; packages, SSH access and the host's own routing stay.
    """
    host, _ = read_enrolled()
    with alone(wait=True):
        recover_locked()
        state = read_state()
        current = state["pending"]["digest"] if state["pending"] else state["active"]
        if current != digest:
            kept = f"{current[:12]} is newer" if current else "nothing of ours is active"
            return {"format": FORMAT, "host": host, "digest": digest, "state": "kept", "why": kept}
        mine = {name: read_set(name) for name in {state["active"], digest} if name}
        drain(APPLY)
        let_in()
        forget_by_hand()
        for kept_set in filter(None, mine.values()):
            _take_off(kept_set)
        with changing_state() as state:
            state.update({"active": None, "pending": None, "rolled_back": None})
            state["drain"] = dict.fromkeys(state["drain"])
        disarm_timer(digest)
        prune_sets()
        remove(set_path(ORIGIN))
    return {"format": FORMAT, "host": host, "digest": digest, "state": "released"}


def _take_off(kept: HostSet) -> None:
    nothing = HostSet("none", kept.role, {})
    complaints = stop_retired(plan_retired(kept.files, {}, kept.role))
    for path in kept.files:
        restore_origin(path)
    do_steps(plan_steps(kept.files, kept.files, {}, kept.role), nothing)
    if complaints:
        raise RefusedError(
            "not all of it stopped: " + "; ".join(complaints),
            fix="release again",
            host="drained, partly released",
        )
