"""One cgroup per host: its kill list and its memory account. Nothing else says what is running."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from loopback_iac.lab.namespaces import machine_lock, pids_in
from loopback_iac.lab.paths import CGROUPS, InstancePaths, LabError

if TYPE_CHECKING:
    from collections.abc import Collection

# Version 1 and hybrid machines: one directory per hierarchy; `systemd` holds the services' tree.
_HYBRID = ("systemd", "unified", "memory", "cpuacct", "pids")
# Beside nodes hosts are weighed as machines: a node's boot must not take a PoP's processors.
WEIGHED = ("cpu",)
# What a host with containers needs besides: theirs are then inside its own, and go with it.
CONTAINERS = ("cpu", "cpuset", "devices", "freezer", "blkio")
# One process in no group has 1024.
_SHARES = "8192"
# Joins every cgroup named before `--`, then becomes the command: no moment outside, no pid file.
_JOIN = 'while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs"; shift; done; shift; exec "$@"'


def hierarchies() -> tuple[Path, ...]:
    """Roots of the cgroup trees a host gets a place in."""
    if (CGROUPS / "cgroup.controllers").exists():
        return (CGROUPS,)
    return tuple(CGROUPS / name for name in (*_HYBRID, *CONTAINERS) if (CGROUPS / name).is_dir())


def ensure_cgroup(paths: InstancePaths, host: str, more: Collection[str] = ()) -> list[str]:
    """
    Make a host's cgroups.

    In: more, WEIGHED or CONTAINERS, hierarchies of version 1 that it is in besides.
    Out: argv prefix that runs a command in them.
    """
    roots = [root for root in hierarchies() if root.name in more or root.name not in CONTAINERS]
    places = [root / paths.cgroup(host) for root in roots]
    with machine_lock():
        for place in places:
            _make(place)
        _enable_accounts(paths)
    return ["sh", "-c", _JOIN, "sh", *map(str, places), "--"]


def pids(paths: InstancePaths, host: str = "", part: str = "") -> list[int]:
    """
    Processes of a host, or of the whole instance.

    In: part, a cgroup inside the host's (such as `payload/init.scope`); empty means all.
    """
    top = hierarchies()[0] / paths.cgroup(host) / part
    found: list[int] = []
    for folder in _folders(top):
        # cgroups come and go while we look
        with contextlib.suppress(OSError):
            found += [int(pid) for pid in (folder / "cgroup.procs").read_text().split()]
    return sorted(set(found) - {0})


def leader(paths: InstancePaths, host: str) -> int | None:
    """Process id of a host's PID 1; None when it is not running."""
    return next((p for p in pids(paths, host, "payload/init.scope") if _is_first(p)), None)


def _is_first(pid: int) -> bool:
    """Whether it is number 1 where it lives; the lowest number is not, once numbers wrapped."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return any(
        line.startswith("NSpid:") and line.split()[-1] == "1" for line in status.splitlines()
    )


def kill(paths: InstancePaths, host: str = "", timeout_s: float = 10) -> int:
    """
    SIGKILL everything of a host or, with no host, of the instance; wait until it is gone.

    Out: how many processes there were. The instance's also counts who merely works in its
    networks; this process and its parents are left alone.
    Raises: LabError when something survives.
    """
    spared = _ancestors()
    ended: set[int] = set()
    deadline = time.monotonic() + timeout_s
    while left := set(pids(paths, host) + ([] if host else pids_in(paths))) - spared:
        if time.monotonic() > deadline:
            raise LabError(f"processes {sorted(left)} of {paths.name} {host} survive SIGKILL")
        for pid in left - ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        ended |= left
        time.sleep(0.01)
    return len(ended)


def remove(paths: InstancePaths, host: str = "") -> None:
    """Remove the empty cgroups of a host or of the instance, and parents nobody uses."""
    with machine_lock():
        for root in hierarchies():
            top = root / paths.cgroup(host)
            for folder in sorted(_folders(top), key=lambda p: len(p.parts), reverse=True):
                _remove_emptied(folder)
            for parent in top.relative_to(root).parents:
                if parent.parts:
                    # another instance may be in it
                    with contextlib.suppress(OSError):
                        (root / parent).rmdir()


def memory_bytes(paths: InstancePaths, host: str) -> int:
    """Anonymous memory of a host's processes, the page cache left out."""
    for stat, key in (
        (CGROUPS / "memory" / paths.cgroup(host) / "memory.stat", "total_rss"),
        (CGROUPS / paths.cgroup(host) / "memory.stat", "anon"),
    ):
        if stat.exists():
            lines = dict(line.split() for line in stat.read_text().splitlines())
            return int(lines[key])
    return 0


def _enable_accounts(paths: InstancePaths) -> None:
    """Version 2 counts memory for a cgroup only when its parents say so; hybrid always does."""
    own = CGROUPS / paths.cgroup()
    for folder in (own.parent, own):
        control = folder / "cgroup.subtree_control"
        if control.exists():
            # a machine whose own root does not count memory: then `status` shows none
            with contextlib.suppress(OSError):
                control.write_text("+memory +pids")


def _make(place: Path) -> None:
    """A cgroup with its parents; one of processors may hold nobody before it has some."""
    if place.exists():
        return
    _make(place.parent)
    place.mkdir()
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (place / name).exists():
            (place / name).write_text((place.parent / name).read_text())
    if (place / "cpu.shares").exists():
        (place / "cpu.shares").write_text(_SHARES)


def _folders(top: Path) -> list[Path]:
    """A cgroup and all below it; os.walk passes over what vanishes meanwhile."""
    return [Path(folder) for folder, _, _ in os.walk(top)]


def _remove_emptied(folder: Path) -> None:
    """The kernel lets go of a cgroup a moment after its last process."""
    for _ in range(200):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            time.sleep(0.01)
        else:
            return
    raise LabError(f"{folder} is still in use")


def _ancestors() -> set[int]:
    found, pid = set(), os.getpid()
    while pid > 1:
        found.add(pid)
        # field 4 of stat(5) comes after the name, which may hold spaces and brackets
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123 -- read in one go, no Path needed
            pid = int(stat.read().rpartition(")")[2].split()[1])
    return found
