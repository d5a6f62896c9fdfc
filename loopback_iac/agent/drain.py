"""Taking a PoP out of traffic and putting it back: an intention in the saved state that the watch
carries out.

Three parties can drain, an operator, an apply and an update of packages; the PoP returns when none
of them wants it drained any more.
"""

from __future__ import annotations

import contextlib
import time

from .gates import (
    CLOSED,
    BirdError,
    announcing,
    configure_bird,
    read_positions,
    read_reasons,
    write_gate,
)
from .programs import active_units, boot_id, boottime_s, must
from .refusal import RefusedError
from .state import changing_state, standing
from .watchfile import Watch, read_watch

WORKER = "worker"
# Beside our own table, which an apply swaps. SYNs of PoPs are dropped: to HAProxy this worker is
# dead, new connections go to others, and those that stand go on.
_LET_NOBODY_IN = """\
destroy table inet loopback-drain
table inet loopback-drain {
	chain drain {
		type filter hook prerouting priority -310; policy accept;
		iifname "lb-*" tcp flags & (syn | ack) == syn counter drop
		iifname "lc-*" tcp flags & (syn | ack) == syn counter drop
	}
}
"""
OPERATOR, APPLY, UPDATE = "operator", "apply", "update"
SLACK_S = 5.0  # what the watch may take beyond drain_s before its gates are closed for it


def want_drained(who: str, seconds: float) -> None:
    """Note the intention; a drain that already runs keeps its start."""
    with changing_state() as state:
        if not state["drain"][who]:
            state["drain"][who] = {"boot": boot_id(), "since_s": boottime_s(), "seconds": seconds}


def want_undrained(who: str) -> None:
    """Take the intention back; the watch opens the gate after its return hold."""
    with changing_state() as state:
        state["drain"][who] = None


def drain(who: str, seconds: float | None = None) -> bool:
    """Drain and wait until nothing is announced any more; a worker: until its time is over.

    In:  who wants it; how long to announce with GSHUT first (watch.json's drain_s when None), or
         how long a worker's connections have to end.
    Out: whether anything was announced before.
    Units: seconds.
    """
    watch = read_watch()
    if watch is None:
        if who == OPERATOR:
            want_drained(who, 0)
        return False
    hold_s = watch.drain_s if seconds is None else seconds
    if watch.role == WORKER:
        if who == OPERATOR:
            _drain_worker(hold_s)
        return False
    if who == APPLY and not any(read_positions(watch).values()):
        return False  # no gate file since boot: the unconfirmed set keeps it that way
    was_announcing = bool(announcing(watch))
    want_drained(who, hold_s)
    if not was_announcing:
        return False
    _wait_withdrawn(watch, hold_s + SLACK_S)
    return True


def _drain_worker(hold_s: float) -> None:
    """Take no new connection, and leave those that stand `hold_s` to end."""
    want_drained(OPERATOR, hold_s)
    must("nft", "-f", "-", stdin=_LET_NOBODY_IN)
    time.sleep(hold_s)


def let_in() -> None:
    """A worker takes new connections again."""
    watch = read_watch()
    if watch is not None and watch.role == WORKER:
        must("nft", "destroy", "table", "inet", "loopback-drain")


def _wait_withdrawn(watch: Watch, longest_s: float) -> None:
    end, asked = time.monotonic() + longest_s, 0.0
    while announcing(watch):
        now = time.monotonic()
        if now - asked > 0.5:
            asked = now
            if now > end or "loopback-watch" not in active_units("loopback-watch"):
                close_gates(watch)
        time.sleep(0.05)


def close_gates(watch: Watch) -> None:
    """Withdraw without the watch: it is dead or hangs. The files alone keep a restarted BIRD
    withdrawn.

    Raises: RefusedError when BIRD runs and does not take it.
    """
    for announcement in watch.announcements:
        write_gate(announcement, CLOSED)
    if "bird" in active_units("bird"):
        try:
            configure_bird(watch.bird_socket)
        except BirdError as refused:
            raise RefusedError(
                f"the gates are closed, but bird does not read them: {refused}",
                fix="`systemctl stop bird` withdraws everything at once",
                host="still announcing",
            ) from refused


def wait_announcing(watch: Watch | None) -> None:
    """Wait until the watch has opened every gate again, so that the next PoP may be drained.

    Raises: RefusedError with the watch's own reasons when it does not within the return hold and
         ten seconds.
    """
    if watch is None or not watch.announcements:
        return
    end = time.monotonic() + watch.return_hold_s + 10
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            positions = read_positions(watch)
            if all(position not in (CLOSED, None) for position in positions.values()):
                return
        time.sleep(0.05)
    reasons = read_reasons()
    closed = [
        f"{name}: {reasons.get(name, 'the watch gives no reason')}"
        for name, position in read_positions(watch).items()
        if position in (CLOSED, None)
    ]
    raise RefusedError(
        "not announced again: " + "; ".join(closed),
        fix="see `loopback-agent report`; do not go on to the next PoP before this one serves",
        host=f"withdrawn, {standing()}",
    )
