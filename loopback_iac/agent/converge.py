"""The transaction on the host: stage, check, drain, save, swap, reload, prove; back on its own when
a step fails.

It runs in a transient unit of its own. What protects against its death at any point is written
before the first
file is touched: the pending entry in the saved state, the previous set on disk, and a timer.
`recover` reads these.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

from .checks import check_staged
from .disturbing import HAPROXY, touches_data_plane
from .drain import APPLY, drain, want_undrained
from .files import check_space, forget_beside, put_in_place, read_on_disk, write_beside
from .plan import plan_retired, plan_steps
from .programs import boot_id, boottime_s
from .proof import prove_set
from .recover import arm_timer, recover_locked, restore_origin, return_to_confirmed
from .refusal import RefusedError
from .reload import do_steps, stop_retired
from .rotation import check_rotation
from .sets import differing, place_of, read_set, save_origin, save_set, set_path
from .state import DRAINING, LIBRARY, RUN, SWAPPING, UNCONFIRMED, alone, changing_state, read_state
from .updated import check_ended

if TYPE_CHECKING:
    from .bundle import HostSet

WORK_S = (
    120.0  # longest time a swap with its reloads and proofs may take before the timer takes it back
)


def converge(coming: HostSet, connection: str) -> dict[str, Any]:
    """Bring the host to a set, unconfirmed.

    In:  the parsed set; the SSH connection it came over (empty on a console).
    Out: the facts of the result line.
    Raises: RefusedError; the host is then as before, or back on its last confirmed set, and the
         text says which.
    """
    with alone():
        recover_locked()
        state = read_state()
        before = read_set((state["pending"] or {}).get("digest") or state["active"])
        changed = _changed(before, coming)
        if not changed and state["active"] == coming.digest and not state["pending"]:
            return {"changed": [], "state": "active", "drained": False}
        check_ended(before, coming)
        _check_way_in(changed, coming, connection)
        _check_room(coming, changed)
        _stage_and_check(coming)
        check_rotation(before, coming)
        drained = _begin(coming, before, changed, connection)
        try:
            arm_timer(coming.digest, WORK_S + coming.confirm_s)
            _swap(coming, before, changed)
            prove_set(coming)
            _await_confirm(coming)
        except (RefusedError, OSError) as failed:
            return _give_up(failed)
        return {"changed": changed, "state": UNCONFIRMED, "drained": drained}


def _changed(before: HostSet | None, coming: HostSet) -> list[str]:
    gone = [path for path in (before.files if before else {}) if path not in coming.files]
    return sorted([*differing(coming), *gone])


def _check_way_in(changed: list[str], coming: HostSet, connection: str) -> None:
    """The operator's own way in has to stay open: compare with the connection this came over."""
    guarded = [path for path in changed if place_of(path, coming.role).kind in ("nftables", "sshd")]
    if not guarded or not connection:
        return  # on a console there is no way to lose; the confirm still has to come
    source, _, _, port = connection.split()
    if not allows(coming.admin_sources, source):
        raise RefusedError(
            f"this connection comes from {source}, which is in none of admin_sources"
            f" ({', '.join(coming.admin_sources)});"
            f" {' and '.join(guarded)} would lock it out",
            fix=f"add {source} to admin_sources, or apply from a host inside them",
        )
    if int(port) != coming.ssh_port:
        raise RefusedError(
            f"this connection came to port {port}; the fleet declares ssh_port {coming.ssh_port},"
            " which may not be open",
            fix=f"set ssh_port to {port}, or open port {coming.ssh_port} first",
        )


def allows(sources: tuple[str, ...], source: str) -> bool:
    """Whether an address is inside one of the networks; an IPv4 address mapped into IPv6 counts as
    IPv4.
    """
    import ipaddress

    address = ipaddress.ip_address(source.split("%", 1)[0])
    plain = getattr(address, "ipv4_mapped", None) or address
    return any(plain in ipaddress.ip_network(network) for network in sources)


def _check_room(coming: HostSet, changed: list[str]) -> None:
    needs = {path: len(coming.files[path].content) for path in changed if path in coming.files}
    total = sum(len(file.content) for file in coming.files.values())
    # the coming set, a copy of what stood before, and the state
    needs[set_path(coming.digest)] = 3 * total + 4096
    needs[f"{LIBRARY}/state.json"] = 4096
    needs[f"{RUN}/stage"] = 2 * total
    check_space(needs)


def _stage_and_check(coming: HostSet) -> None:
    stage = f"{RUN}/stage/{coming.digest}"
    shutil.rmtree(stage, ignore_errors=True)
    os.makedirs(stage, mode=0o700)
    try:
        for path, file in coming.files.items():
            # refuses an owner or group that does not exist before anything is changed
            file.check_owner()
            os.makedirs(os.path.dirname(stage + path), mode=0o700, exist_ok=True)
            with open(stage + path, "wb", opener=_private) as stream:
                stream.write(file.content)
        check_staged(stage, coming)
    except OSError as failed:
        raise RefusedError(
            f"staging failed: {failed}", fix="free space below /run, then apply again"
        ) from failed
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _begin(coming: HostSet, before: HostSet | None, changed: list[str], connection: str) -> bool:
    """Drain, save both sets, note what is about to happen, set the timer. Nothing in /etc has
    changed after it.
    """
    state = read_state()
    earlier = state["pending"]["changed"] if state["pending"] else []
    pending = {
        "digest": coming.digest,
        "phase": DRAINING,
        "changed": sorted({*changed, *earlier}),
        "boot": boot_id(),
        "deadline_s": boottime_s() + coming.drain_s + WORK_S + coming.confirm_s,
        "drained": False,
        "connection": connection,
    }
    try:
        known = set(before.files) if before else set()
        confirmed = read_set(state["active"])
        save_origin(coming, known | set(confirmed.files if confirmed else ()))
        if not state["pending"]:
            _note(pending)
        # all that may fail for want of room comes before the first flow is disturbed
        save_set(coming)
        for path in changed:
            if path in coming.files:
                file = coming.files[path]
                write_beside(path, file.content, file.mode, *file.ids)
        drained = False
        if coming.role == "pop" and _disturbs(changed, coming, before):
            drained = drain(APPLY, coming.drain_s)
    except (OSError, RefusedError) as failed:
        forget_beside(changed)
        if not state["pending"]:
            _note(None)
            want_undrained(APPLY)
        raise _as_refusal(failed) from failed
    _note(pending | {"phase": SWAPPING, "drained": drained})
    return drained


def _disturbs(changed: list[str], coming: HostSet, before: HostSet | None) -> bool:
    texts = _standing_texts(list({*changed, HAPROXY}))
    old = before.files if before else {}
    return touches_data_plane(changed, coming.role, texts, coming.files, old)


def _standing_texts(paths: list[str]) -> dict[str, str]:
    found = ((path, read_on_disk(path)) for path in paths)
    return {path: file.content.decode("utf-8", "replace") for path, file in found if file}


def _as_refusal(failed: OSError | RefusedError) -> RefusedError:
    if isinstance(failed, RefusedError):
        return failed
    return RefusedError(
        f"could not write {failed.filename or 'a file'}: {failed.strerror}",
        fix="free space, then apply again",
    )


def _note(pending: dict[str, Any] | None) -> None:
    with changing_state() as state:
        state["pending"] = pending


def _swap(coming: HostSet, before: HostSet | None, changed: list[str]) -> None:
    old = before.files if before else {}
    for path in changed:
        if path in coming.files:
            put_in_place(path)
    complaints = stop_retired(plan_retired(old, coming.files, coming.role))
    for path in changed:
        if path not in coming.files:
            restore_origin(path)
    do_steps(plan_steps(changed, old, coming.files, coming.role), coming)
    if complaints:
        raise RefusedError(
            "could not stop what is no longer part of the set: " + "; ".join(complaints)
        )


def _await_confirm(coming: HostSet) -> None:
    with changing_state() as state:
        state["pending"] |= {"phase": UNCONFIRMED, "deadline_s": boottime_s() + coming.confirm_s}
        state["rolled_back"] = None
    arm_timer(coming.digest, coming.confirm_s)


def _give_up(failed: RefusedError | OSError) -> dict[str, Any]:
    what = failed.what if isinstance(failed, RefusedError) else str(failed)
    told = return_to_confirmed(f"the apply failed: {what.splitlines()[0]}")
    raise RefusedError(
        what, fix="correct the cause, then apply again", host=f"rolled back; {told}"
    ) from failed
