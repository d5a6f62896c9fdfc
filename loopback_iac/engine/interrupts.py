"""Runs that are cut short: by Ctrl-C now, or by a kill some time ago."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from loopback_iac.engine.errors import StateError
from loopback_iac.engine.results import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from loopback_iac.engine.journal import Ledger
    from loopback_iac.engine.registry import Providers
    from loopback_iac.engine.run import Run
    from loopback_iac.engine.store import Checkpoint


def refuse_pending(ledger: Ledger, run: Run) -> None:
    """
    Refuse to go on while nobody knows whether something was created.

    Raises: StateError naming each, and the ways out; a plan only says so.
    """
    creating = [row for row in ledger.pending() if row["type"] == "creating"]
    if not creating:
        return
    names = "\n".join(f"  {row['resource']['urn']}" for row in creating)
    text = (
        "an earlier run ended while these were being created, and nobody saw the outcome:\n"
        f"{names}\nlook whether they exist: if so, run `loopback state adopt URN ID` with the id it"
        " has there, or delete it there; if not, run `loopback state forget URN`"
    )
    if run.dry_run:
        run.say(Severity.WARNING, text)
    else:
        raise StateError(text)


def warn_pending(ledger: Ledger, run: Run) -> None:
    """Say what an earlier run left unfinished."""
    for row in ledger.pending():
        urn = row["resource"]["urn"]
        run.say(Severity.WARNING, f"an earlier run ended while {row['type']} this", urn)


def force_interrupted(run: Run, checkpoint: Checkpoint) -> None:
    """
    An update or delete with unknown outcome: bring the resource in order whatever Diff says.

    What an interrupted delete takes along may be gone as well.
    """
    interrupted = {
        row["resource"]["urn"]: row["type"]
        for row in checkpoint.pending
        if row["type"] in ("updating", "deleting")
    }
    for old in run.olds:  # in the order of the state: what takes it along stands before it
        if interrupted.get(old.resource.deleted_with) == "deleting":
            interrupted.setdefault(old.resource.urn, "deleting")
        kind = interrupted.get(old.resource.urn)
        if kind:
            old.resource.init_errors = [f"interrupted while {kind}"]


def say_found(run: Run, checkpoint: Checkpoint, note: str, other: str) -> None:
    """Say what a run found: a dead process's lock, another run, a killed one's journal."""
    if note:
        run.say(Severity.WARNING, f"stale lock: {note}")
    if other:
        run.say(
            Severity.WARNING,
            f"a run is going on ({other}); this plan starts from the state before it: plan again"
            " once it has ended",
        )
    elif checkpoint.killed:
        run.say(Severity.WARNING, "the last run was killed; its journal has been replayed")


def say_cancelled(run: Run, verb: str) -> None:
    """Make a cancelled run a failed one that says so."""
    if run.cancelled:
        run.fail(f"{verb} cancelled; what had begun was ended and saved")


@contextmanager
def interruptible(run: Run, providers: Providers) -> Iterator[None]:
    """
    Ctrl-C and SIGTERM end the run in order.

    Nothing new starts, providers are told, what is in flight ends and is saved. A second signal
    does not wait for it: what is in flight stays in the state as pending.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def cancel(number: int, frame: FrameType | None) -> None:
        del number, frame
        if run.cancelled:
            run.abandoned = True
        else:
            run.cancelled = True
            threading.Thread(target=providers.cancel, daemon=True).start()

    former = {number: signal.signal(number, cancel) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
