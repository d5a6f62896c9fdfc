"""Work in a transient unit of its own, so that a cut connection does not end it: whoever started it
only follows, and a second caller follows the same unit.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from .files import read_on_disk, replace
from .programs import run, transient_units, unit_properties
from .refusal import RefusedError
from .state import AGENT, standing

if TYPE_CHECKING:
    from collections.abc import Callable

_RUNNING = ("active", "activating", "deactivating")


def unit_runs(unit: str) -> bool:
    """Whether the unit is at work."""
    return unit_properties(unit, "ActiveState")["ActiveState"] in _RUNNING


def start_unit(
    unit: str,
    ending: str,
    *words: str,
    environment: dict[str, str],
    stage: Callable[[], None] = lambda: None,
) -> None:
    """Run the agent with `words` in a unit, unless that unit runs.

    In:  where the unit leaves its ending; what has to stand before it starts.
    Raises: RefusedError with systemd's complaint.
    """
    if f"{unit}.service" in transient_units() and unit_runs(unit):
        return
    stage()
    if os.path.exists(ending):
        os.unlink(ending)
    # ExecStopPost runs even after SIGKILL: what is half done goes back at once, not with a timer
    started = run("systemd-run", "--quiet", "--collect", f"--unit={unit}", "--service-type=exec",
                  f"--property=ExecStopPost={AGENT} recover", "--property=TimeoutStopSec=180",
                  *(f"--setenv={name}={value}" for name, value in environment.items()),
                  AGENT, *words)  # fmt: skip
    if started.code and "already" not in started.err:
        raise RefusedError(f"systemd-run: {started.complaint}")


def follow_unit(unit: str, ending: str, what: str, longest_s: float) -> dict[str, Any]:
    """Wait for the unit's ending; a unit that is gone without one was killed.

    In:  what it does, for complaints ("the apply").
    Out: the facts it left.
    Raises: RefusedError as the unit left it.
    """
    end = time.monotonic() + longest_s
    looked = time.monotonic()
    while time.monotonic() < end:
        found = read_on_disk(ending)
        if found:
            return _read_ending(json.loads(found.content))
        if time.monotonic() - looked > 0.5:
            looked = time.monotonic()
            state = unit_properties(unit, "ActiveState")["ActiveState"]
            if state in ("inactive", "failed") and read_on_disk(ending) is None:
                raise RefusedError(
                    f"{what} was killed before it ended", fix="do it again", host=standing()
                )
        time.sleep(0.02)
    raise RefusedError(
        f"{unit} has not ended after {longest_s:g} s", fix=f"journalctl -u {unit}", host=standing()
    )


def _read_ending(ending: dict[str, Any]) -> dict[str, Any]:
    if "refused" in ending:
        raise RefusedError(**ending["refused"])
    facts: dict[str, Any] = ending["facts"]
    return facts


def run_leaving(ending: str, work: Callable[[], dict[str, Any]]) -> None:
    """Inside the unit: do the work and leave an ending for whoever follows.

    Raises: what the work raises, after the ending was written.
    """
    try:
        facts = work()
    except RefusedError as refused:
        told = {
            "what": refused.what,
            "fix": refused.fix,
            "host": refused.host or f"unchanged, {standing()}",
        }
        _leave(ending, {"refused": told})
        raise
    except BaseException as broken:
        told = {
            "what": f"the agent failed: {type(broken).__name__}: {broken}",
            "fix": "report this",
            "host": standing(),
        }
        _leave(ending, {"refused": told})
        raise
    _leave(ending, {"facts": facts})


def _leave(path: str, ending: dict[str, Any]) -> None:
    replace(path, json.dumps(ending).encode(), 0o600)
