"""The verbs apply, confirm, rollback and release as a caller over SSH meets them.

An apply does its work in a transient unit named by the digest, so a cut connection does not kill
it; the process
that SSH started only follows the unit, and a second call with the same digest follows the same
unit.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from .bundle import FORMAT, HostSet, parse_bundle
from .files import read_on_disk, replace
from .programs import run, unit_properties
from .refusal import RefusedError
from .sets import differing, read_set
from .state import RUN, read_enrolled, read_state, standing

AGENT = "/usr/local/sbin/loopback-agent"
_LONGEST_S = 900.0


def apply(digest: str, content: bytes) -> dict[str, Any]:
    """Bring the host to the bundle on stdin.

    In:  the digest from the command's words; stdin.
    Out: the result line.
    Raises: RefusedError saying what the host serves now.
    """
    host, role = read_enrolled()
    coming = parse_bundle(content, host=host, digest=digest, role=role)
    if _stands_already(digest):
        return _result(host, digest, {"changed": [], "state": "active", "drained": False})
    os.makedirs(f"{RUN}/bundle", mode=0o700, exist_ok=True)
    unit = f"loopback-apply-{digest[:12]}"
    if unit_properties(unit, "ActiveState")["ActiveState"] not in (
        "active",
        "activating",
        "deactivating",
    ):
        _start(unit, coming)
    return _result(host, digest, _follow(unit, digest))


def _stands_already(digest: str) -> bool:
    state = read_state()
    kept = read_set(digest) if state["active"] == digest and not state["pending"] else None
    return kept is not None and not differing(kept)


def _result(host: str, digest: str, facts: dict[str, Any]) -> dict[str, Any]:
    return {"format": FORMAT, "host": host, "digest": digest} | facts


def _ending(digest: str) -> str:
    return f"{RUN}/bundle/{digest}.ending.json"


def _start(unit: str, coming: HostSet) -> None:
    try:
        replace(f"{RUN}/bundle/{coming.digest}.json", coming.encode(), 0o600)
    except OSError as failed:
        raise RefusedError(
            f"could not stage the bundle below {RUN}: {failed.strerror}", fix="free space there"
        ) from failed
    if os.path.exists(_ending(coming.digest)):
        os.unlink(_ending(coming.digest))
    # ExecStopPost runs even after SIGKILL of the apply: what is half done goes back at once,
    # not with the timer
    started = run("systemd-run", "--quiet", "--collect", f"--unit={unit}", "--service-type=exec",
                  f"--property=ExecStopPost={AGENT} recover", "--property=TimeoutStopSec=180",
                  f"--setenv=LOOPBACK_CONNECTION={os.environ.get('SSH_CONNECTION', '')}",
                  AGENT, "converge", f"digest={coming.digest}")  # fmt: skip
    if started.code and "already" not in started.err:
        raise RefusedError(f"systemd-run: {started.complaint}")


def _follow(unit: str, digest: str) -> dict[str, Any]:
    """Wait for the unit's ending; a unit that is gone without one was killed."""
    end = time.monotonic() + _LONGEST_S
    looked = time.monotonic()
    while time.monotonic() < end:
        ending = read_on_disk(_ending(digest))
        if ending:
            return _read_ending(json.loads(ending.content))
        if time.monotonic() - looked > 0.5:
            looked = time.monotonic()
            state = unit_properties(unit, "ActiveState")["ActiveState"]
            if state in ("inactive", "failed") and read_on_disk(_ending(digest)) is None:
                raise RefusedError(
                    "the apply was killed before it ended", fix="apply again", host=standing()
                )
        time.sleep(0.02)
    raise RefusedError(
        f"{unit} has not ended after {_LONGEST_S:g} s", fix=f"journalctl -u {unit}", host=standing()
    )


def _read_ending(ending: dict[str, Any]) -> dict[str, Any]:
    if "refused" in ending:
        raise RefusedError(**ending["refused"])
    facts: dict[str, Any] = ending["facts"]
    return facts


def run_converge(digest: str) -> None:
    """Inside the transient unit: do the work and leave an ending for whoever follows.

    Raises: RefusedError, after the ending was written.
    """
    from .converge import converge

    found = read_on_disk(f"{RUN}/bundle/{digest}.json")
    if found is None:
        raise RefusedError(f"no staged bundle {digest[:12]}")
    try:
        facts = converge(HostSet.decode(found.content), os.environ.get("LOOPBACK_CONNECTION", ""))
    except RefusedError as refused:
        told = {
            "what": refused.what,
            "fix": refused.fix,
            "host": refused.host or f"unchanged, {standing()}",
        }
        _leave(digest, {"refused": told})
        raise
    except BaseException as broken:
        told = {
            "what": f"the agent failed: {type(broken).__name__}: {broken}",
            "fix": "report this",
            "host": standing(),
        }
        _leave(digest, {"refused": told})
        raise
    _leave(digest, {"facts": facts})
    os.unlink(f"{RUN}/bundle/{digest}.json")  # a saved copy stays where rollbacks look for it


def _leave(digest: str, ending: dict[str, Any]) -> None:
    replace(_ending(digest), json.dumps(ending).encode(), 0o600)


def stage_again(kept: HostSet) -> dict[str, Any]:
    """Apply a set that was rolled back once more, from its saved copy, in a unit as any other
    apply.
    """
    os.makedirs(f"{RUN}/bundle", mode=0o700, exist_ok=True)
    unit = f"loopback-apply-{kept.digest[:12]}"
    _start(unit, kept)
    return _follow(unit, kept.digest)
