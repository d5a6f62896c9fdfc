"""The verb apply as a caller over SSH meets it: its work is done in a transient unit named by the
digest, and a second call with the same digest follows the same unit.
"""

from __future__ import annotations

import os
from typing import Any

from .bundle import FORMAT, HostSet, parse_bundle
from .files import read_on_disk, replace
from .refusal import RefusedError
from .sets import differing, read_set
from .state import RUN, read_enrolled, read_state
from .transient import follow_unit, run_leaving, start_unit

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
    return _result(host, digest, _converge_in_unit(coming))


def _stands_already(digest: str) -> bool:
    state = read_state()
    kept = read_set(digest) if state["active"] == digest and not state["pending"] else None
    return kept is not None and not differing(kept)


def _result(host: str, digest: str, facts: dict[str, Any]) -> dict[str, Any]:
    return {"format": FORMAT, "host": host, "digest": digest} | facts


def _ending(digest: str) -> str:
    return f"{RUN}/bundle/{digest}.ending.json"


def _stage(coming: HostSet) -> None:
    os.makedirs(f"{RUN}/bundle", mode=0o700, exist_ok=True)
    try:
        replace(f"{RUN}/bundle/{coming.digest}.json", coming.encode(), 0o600)
    except OSError as failed:
        raise RefusedError(
            f"could not stage the bundle below {RUN}: {failed.strerror}", fix="free space there"
        ) from failed


def _converge_in_unit(coming: HostSet) -> dict[str, Any]:
    digest = coming.digest
    unit = f"loopback-apply-{digest[:12]}"
    start_unit(
        *(unit, _ending(digest), "converge", f"digest={digest}"),
        environment={"LOOPBACK_CONNECTION": os.environ.get("SSH_CONNECTION", "")},
        stage=lambda: _stage(coming),
    )
    return follow_unit(unit, _ending(digest), "the apply", _LONGEST_S)


def run_converge(digest: str) -> None:
    """Inside the transient unit: do the work and leave an ending for whoever follows.

    Raises: RefusedError, after the ending was written.
    """
    from .converge import converge

    found = read_on_disk(f"{RUN}/bundle/{digest}.json")
    if found is None:
        raise RefusedError(f"no staged bundle {digest[:12]}")
    connection = os.environ.get("LOOPBACK_CONNECTION", "")
    run_leaving(_ending(digest), lambda: converge(HostSet.decode(found.content), connection))
    os.unlink(f"{RUN}/bundle/{digest}.json")  # a saved copy stays where rollbacks look for it


def stage_again(kept: HostSet) -> dict[str, Any]:
    """Apply a set that was rolled back once more, from its saved copy, in a unit as any other
    apply.
    """
    return _converge_in_unit(kept)
