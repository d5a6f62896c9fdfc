"""The way back to the last confirmed set, whatever cut an apply off: a failed step, a kill, a
reboot, nobody confirming.

Called by the apply itself, by its transient unit when it ends, by a timer, by `loopback-
recover.service` at boot
before any daemon starts, and by the next apply or confirm. Each finds in the saved state what there
is to do.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from .allowed import is_drop_in
from .bundle import HostSet
from .drain import APPLY, want_undrained
from .files import forget_beside, put_in_place, remove, remove_empty, write_beside
from .plan import plan_retired, plan_steps
from .programs import boottime_s, must, run, transient_units
from .proof import prove_set
from .refusal import RefusedError
from .reload import do_steps, stop_retired
from .sets import ORIGIN, differing, drop_sets, read_set
from .state import AGENT, DRAINING, SWAPPING, changing_state, expired, read_state, standing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .bundle import SetFile


def recover_locked(*, live: bool = True) -> str | None:
    """Heal what an earlier apply left behind. Caller holds the lock.

    In:  live is off at boot, before the daemons run: files only, nothing is reloaded.
    Out: what was done, or None when nothing was open.
    """
    pending = read_state()["pending"]
    if not pending:
        return None
    if pending["phase"] == DRAINING:
        forget_beside(pending["changed"])
        with changing_state() as state:
            state["pending"] = None
        want_undrained(APPLY)
        cut = pending["digest"][:12]
        return f"an apply of {cut} was cut off before it changed anything; {standing()}"
    if pending["phase"] == SWAPPING:
        return return_to_confirmed("the apply was cut off during the swap", live=live)
    if expired(pending):
        return return_to_confirmed("nobody confirmed it in time over a new connection", live=live)
    return None


def return_to_confirmed(why: str, *, live: bool = True) -> str:
    """Put the last confirmed set back, or what stood here before the first one. Caller holds the
    lock.

    Out: how the host stands now, with every step that failed.
    """
    state = read_state()
    pending = state["pending"]
    target, abandoned = read_set(state["active"]), read_set(pending["digest"])
    role = (target or abandoned or HostSet("", "pop", {})).role
    goal = target or HostSet("none", role, {})
    troubles = put_back(goal, abandoned.files if abandoned else {}, pending["changed"], live=live)
    if live and target and not troubles:
        with _collecting(troubles):
            prove_set(target)
    with changing_state() as state:
        state["pending"] = None
        state["rolled_back"] = {"digest": pending["digest"], "why": why}
        state["drain"][APPLY] = None
    if live:
        disarm_timer(pending["digest"])
    prune_sets()
    return standing() + (f"; but: {'; '.join(troubles)}" if troubles else "")


def put_back(
    goal: HostSet, old: Mapping[str, SetFile], changed: list[str], *, live: bool
) -> list[str]:
    """Make the files of `goal` stand, origins where it has none, and reload what differs.

    Out: complaints; the walk goes on over each failure, for every step put back helps.
    """
    troubles: list[str] = []
    forget_beside(changed)
    for path in changed:
        file = goal.files.get(path)
        with _collecting(troubles):
            if file and differing(goal._replace(files={path: file})):
                write_beside(path, file.content, file.mode, *file.ids)
                put_in_place(path)
    retired = plan_retired(old, goal.files, goal.role)
    troubles += stop_retired(retired, wait=live)
    for path in changed:
        if path not in goal.files:
            with _collecting(troubles):
                restore_origin(path)
    with _collecting(troubles):
        if live:
            do_steps(plan_steps(changed, old, goal.files, goal.role), goal)
        else:
            must("systemctl", "daemon-reload")
    return troubles


def restore_origin(path: str) -> None:
    """What stood at `path` before the first apply, or nothing."""
    origin = read_set(ORIGIN)
    first = origin.files.get(path) if origin else None
    if first is None:
        remove(path)
        if is_drop_in(path):  # its folder is ours as well
            remove_empty(os.path.dirname(path))
    else:
        write_beside(path, first.content, first.mode, *first.ids)
        put_in_place(path)


@contextlib.contextmanager
def _collecting(troubles: list[str]) -> Iterator[None]:
    try:
        yield
    except (RefusedError, OSError) as failed:
        troubles.append(failed.what if isinstance(failed, RefusedError) else str(failed))


def arm_timer(digest: str, seconds: float) -> None:
    """Let systemd take the set back after `seconds` unless it was confirmed: independent of any
    process of ours.
    """
    disarm_timer(digest)
    # the name is new each time: the service of a timer that just fired may still wait for the lock
    unit = f"{_timers(digest)}-{int(boottime_s() * 1000)}"
    must(
        *("systemd-run", "--quiet", "--collect", f"--unit={unit}", f"--on-active={seconds:.3f}"),
        *("--timer-property=AccuracySec=100ms", AGENT, "recover"),
    )


def disarm_timer(digest: str) -> None:
    """Stop the timers of a digest; a recover that has already started finds nothing to do."""
    armed = _timers(digest)
    if any(name.startswith(armed) for name in transient_units()):
        run("systemctl", "stop", f"{armed}-*.timer")


def _timers(digest: str) -> str:
    return f"loopback-unless-confirmed-{digest[:12]}"


def prune_sets() -> None:
    """Forget sets that nothing returns to."""
    state: dict[str, Any] = read_state()
    keep = {
        state["active"],
        (state["pending"] or {}).get("digest"),
        (state["rolled_back"] or {}).get("digest"),
    }
    drop_sets(keep={digest for digest in keep if digest})
