"""Security updates of the packages that carry traffic, in a window in which nobody is served here.

Everything is fetched, the way back too, before the PoP is drained. Then: drain, install, restart
what was updated, prove, return to traffic. Proof failed: the old packages, and proof again. A PoP
that proves on neither stays withdrawn and says so; so does one whose update was killed, until the
next `update` finishes it or an operator says `undrain`.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from .allowed import EGRESS, tunnel_of
from .drain import OPERATOR, UPDATE, drain, wait_announcing, want_undrained
from .packages import (
    ARCHIVES,
    DATA_PLANE_PACKAGES,
    apt,
    archive_name,
    check_room,
    prune_archives,
    quiet_scripts,
    read_complaint,
    read_half_installed,
    repair_packages,
    restore_policy,
    update_index,
)
from .plan import Step
from .programs import must
from .proof import prove_set
from .recover import recover_locked
from .refusal import RefusedError
from .reload import do_steps
from .sets import read_set
from .state import (
    FORMAT,
    RUN,
    alone,
    alone_with_packages,
    read_enrolled,
    read_state,
    standing,
)
from .transient import follow_unit, run_leaving, start_unit
from .watchfile import read_watch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .bundle import HostSet

UNIT = "loopback-update"
_ENDING = f"{RUN}/update.ending.json"
_LONGEST_S = 3600.0
_INSTALL = ("install", "--only-upgrade", "--allow-change-held-packages")
# apt-get -s: Inst bird2 [2.17.5-0+deb13u1] (2.17.5-0+deb13u2 Debian:13/stable [amd64])
_COMING = re.compile(r"^Inst (\S+) \[(\S+)\] \((\S+) [^[]*\[(\w+)\]\)", re.MULTILINE)
_REMOVED = re.compile(r"^Remv (\S+)", re.MULTILINE)
# apt-get update is content with an older index when the new one is not signed as it should be
_STALE = re.compile(r"^[WE]: .*(Failed to fetch|index files)", re.MULTILINE)
_RESTARTS = {
    "nftables": Step("nftables"),
    "chrony": Step("chrony"),
    "haproxy": Step("haproxy-restart"),
    "bird2": Step("bird-restart"),
}


class Update(NamedTuple):
    """One package with the version that is installed and the one that comes."""

    package: str
    old: str
    new: str
    architecture: str


def update(seconds: float | None) -> dict[str, Any]:
    """Update what is held, as a caller over SSH meets it.

    In:  how long to announce with GSHUT before the window; watch.json's drain_s when None.
    Out: the result line, once the PoP announces again.
    Raises: RefusedError saying what the host serves and with which packages.
    """
    host, _ = read_enrolled()
    words = ("updating",) if seconds is None else ("updating", f"{seconds:g}")
    start_unit(UNIT, _ENDING, *words, environment={})
    facts = follow_unit(UNIT, _ENDING, "the update", _LONGEST_S)
    return {"format": FORMAT, "host": host} | facts


def run_update(seconds: float | None) -> None:
    """Inside the transient unit: one update from end to end.

    Raises: RefusedError, after the ending was written.
    """
    run_leaving(_ENDING, lambda: _update(seconds))


def _update(seconds: float | None) -> dict[str, Any]:
    with alone(), alone_with_packages():
        recover_locked()
        state = read_state()
        if state["pending"]:
            raise RefusedError(
                "an applied configuration waits to be confirmed", fix="`loopback up`, then update"
            )
        restore_policy()
        half = read_half_installed()
        unfinished = bool(state["drain"][UPDATE] or DATA_PLANE_PACKAGES & set(half))
        if unfinished and half:
            repair_packages()
        coming = _fetch()
        if not coming and not unfinished:
            return {"state": "current", "updated": {}, "drained": False}
        kept = read_set(state["active"])
        drained = _window(coming, kept, seconds)
    # one that was cut off had left traffic before, so this one drained nothing
    if (drained or unfinished) and not read_state()["drain"][OPERATOR]:
        wait_announcing(read_watch())
    updated = {each.package: [each.old, each.new] for each in coming}
    return {"state": "updated", "updated": updated, "drained": drained}


def _fetch() -> list[Update]:
    """What apt would update of what is held, fetched together with the way back.

    Raises: RefusedError; nothing was changed.
    """
    held = sorted(DATA_PLANE_PACKAGES & set(must("apt-mark", "showhold").split()))
    if not held:
        return []
    # a mirror that cannot be asked must not read as "nothing to update"
    asked = update_index()
    if asked.code or _STALE.search(asked.err):
        raise RefusedError(
            f"apt-get update: {asked.complaint}", fix="check the host's apt sources, then again"
        )
    planned = apt(*_INSTALL, "--simulate", *held)
    gone = _REMOVED.findall(planned.out)
    if planned.code or gone:
        why = f"it would remove {', '.join(gone)}" if gone else read_complaint(planned)
        raise RefusedError(
            f"apt cannot update {', '.join(held)}: {why}", fix="look with `apt-get -s upgrade`"
        )
    coming = parse_coming(planned.out)
    if coming:
        fetched = apt(*_INSTALL, "--download-only", *_versions(coming))
        if fetched.code:
            raise RefusedError(
                f"apt could not fetch {', '.join(_versions(coming))}: {read_complaint(fetched)}",
                fix="check the host's apt sources, then again",
            )
        check_room(fetched.out)
        _fetch_old(coming)
    return coming


def parse_coming(told: str) -> list[Update]:
    """Updates of the data plane in what `apt-get --simulate` said; what comes along is left out."""
    found = (Update(*words) for words in _COMING.findall(told))
    return [each for each in found if each.package in DATA_PLANE_PACKAGES]


def _versions(coming: Iterable[Update]) -> list[str]:
    return [f"{each.package}={each.new}" for each in coming]


def _old_archive(each: Update) -> str:
    return f"{ARCHIVES}/{archive_name(each.package, each.old, each.architecture)}"


def _fetch_old(coming: Iterable[Update]) -> None:
    """The way back: mirrors drop old versions, so what enroll and earlier updates fetched is kept;
    what neither has is missing from the way back, which is said if it comes to that.
    """
    lacking = [f"{e.package}={e.old}" for e in coming if not os.path.exists(_old_archive(e))]
    for version in lacking:
        apt("install", "--reinstall", "--download-only", "--allow-change-held-packages", version)


def _window(coming: list[Update], kept: HostSet | None, seconds: float | None) -> bool:
    """Out of traffic, updated, proved, and free to return; what fails goes back.

    Out: whether the PoP announced before.
    """
    watch = read_watch() if kept else None
    try:
        drained = drain(UPDATE, seconds) if watch and watch.announcements else False
    except RefusedError:
        want_undrained(UPDATE)
        raise
    try:
        _install(coming, *_INSTALL, *_versions(coming))
        _restart(coming, kept)
    except (RefusedError, OSError) as failed:
        _go_back(coming, kept, failed)
    want_undrained(UPDATE)
    prune_archives()
    return drained


def _install(coming: list[Update], *words: str) -> None:
    if not coming:
        return
    with quiet_scripts():
        done = apt(*words)
    must("apt-mark", "hold", *(each.package for each in coming))
    if done.code:
        raise RefusedError(read_complaint(done))


def _restart(coming: Iterable[Update], kept: HostSet | None) -> None:
    """Maintainer scripts restarted nothing: here it is done in the order of dependence, and proved.

    An update that was cut off restarts all of it, because nobody knows how far it had come.
    """
    if kept is None:
        return
    packages = {each.package for each in coming} or DATA_PLANE_PACKAGES
    steps = [_RESTARTS[name] for name in ("nftables", "chrony") if name in packages]
    steps = [step for step in steps if kept.role == "pop" or step.kind == "nftables"]
    if "wireguard-go" in packages:
        tunnels = sorted(filter(None, map(tunnel_of, kept.files)))
        steps = [Step("tunnel-restart", tunnel) for tunnel in tunnels] + steps
    if kept.role == "pop":
        steps += [_RESTARTS[name] for name in ("haproxy", "bird2") if name in packages]
    if "bird2" in packages and EGRESS in kept.files:
        steps.append(Step("egress-restart"))
    do_steps(steps, kept)
    prove_set(kept)


def _install_old(coming: list[Update]) -> None:
    lacking = [each.package for each in coming if not os.path.exists(_old_archive(each))]
    if lacking or not coming:
        whose = ", ".join(lacking) or "an update that was cut off"
        raise RefusedError(f"the old package of {whose} is in no mirror any more")
    paths = [_old_archive(each) for each in coming]
    _install(coming, "install", "--allow-downgrades", "--allow-change-held-packages", *paths)


def _go_back(coming: list[Update], kept: HostSet | None, failed: RefusedError | OSError) -> None:
    """Put the old packages back and say how the host stands.

    Raises: RefusedError, always.
    """
    what = failed.what if isinstance(failed, RefusedError) else str(failed)
    now = ", ".join(f"{each.package} {each.new}" for each in coming) or "the packages as they are"
    out = "withdrawn, " if kept and kept.role == "pop" else ""
    try:
        _install_old(coming)
        _restart(coming, kept)
    except (RefusedError, OSError) as worse:
        raise RefusedError(
            f"{what}\n    and back: {worse}",
            fix="mend the cause, then update again: it returns to traffic once it proves",
            host=f"{out}with {now}; {standing()}",
        ) from failed
    want_undrained(UPDATE)
    back = ", ".join(f"{each.package} {each.old}" for each in coming)
    raise RefusedError(
        f"the update to {now} failed: {what}",
        fix="report it to the package's maintainer; `update` tries this version again until a newer"
        " one comes",
        host=f"back on {back}, {standing()}",
    ) from failed
