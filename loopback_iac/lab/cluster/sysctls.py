"""Settings of the machine's kernel that a cluster changes: noted before, put back after."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopback_iac.lab.namespaces import machine_lock
from loopback_iac.lab.paths import state_root, write_private

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_KERNEL = Path("/proc/sys")
# Each node runs half a dozen daemons that watch files; Debian allows 128 watchers to all of root.
ROOM = {"fs.inotify.max_user_instances": 1024}
# What kubelet and cilium-agent set for the whole machine when they may.
TOUCHED = (
    *ROOM,
    "kernel.keys.root_maxbytes",
    "kernel.keys.root_maxkeys",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.timer_migration",
    "kernel.unprivileged_bpf_disabled",
    "net.core.bpf_jit_enable",
    "net.core.fb_tunnels_only_for_init_net",
    "vm.overcommit_memory",
    "vm.panic_on_oom",
)
# Once 1, it is 1 until the machine boots again: Linux, admin-guide/sysctl/kernel.
ONE_WAY = {"kernel.unprivileged_bpf_disabled": "1"}


def borrow(owner: str, at_least: Mapping[str, int] | None = None) -> None:
    """
    Note the machine's settings, unless another owner did already; raise some.

    In: owner, a name for `give_back`; at_least, setting -> the smallest value that will do.
    """
    with machine_lock():
        book = _read()
        before = book["before"] or {
            name: value for name in TOUCHED if (value := read_setting(name)) is not None
        }
        owners = sorted({*book["owners"], owner})
        # noted before anything is changed: whoever is killed here has lost nothing
        _write({"before": before, "owners": owners})
        for name, wanted in (at_least or {}).items():
            if int(read_setting(name) or wanted) < wanted:
                _set(name, str(wanted))


def give_back(owner: str) -> dict[str, str]:
    """
    Put the settings back, when this was their last owner; twice is as good as once.

    Out: what could not be put back: setting -> the value it had.
    """
    with machine_lock():
        book = _read()
        if owner not in book["owners"]:
            return {}
        owners = [name for name in book["owners"] if name != owner]
        if owners:
            _write({**book, "owners": owners})
            return {}
        lost = {
            name: value
            for name, value in book["before"].items()
            if read_setting(name) != value and not _set(name, value)
        }
        _book().unlink()
        return lost


def borrowers() -> list[str]:
    """Who has settings of the machine raised now."""
    return list(_read()["owners"])


@contextmanager
def preserved(at_least: Mapping[str, int] | None = None) -> Iterator[None]:
    """Whatever is done to the settings inside is undone after, as far as the kernel lets it."""
    owner = f"process-{os.getpid()}"
    borrow(owner, at_least)
    try:
        yield
    finally:
        give_back(owner)


def changes_foretold() -> list[str]:
    """What an agent of Cilium will set on this machine for good, in plain words."""
    return [
        f"{name}: {now} becomes {value} until this machine boots again"
        for name, value in ONE_WAY.items()
        if (now := read_setting(name)) is not None and now != value
    ]


def _book() -> Path:
    return state_root() / "machine-settings.json"


def _read() -> dict[str, Any]:
    if not _book().exists():
        return {"before": {}, "owners": []}
    found: dict[str, Any] = json.loads(_book().read_text())
    # a process that was killed borrows nothing any more
    found["owners"] = [name for name in found["owners"] if _lives(name)]
    return found


def _write(book: dict[str, Any]) -> None:
    _book().parent.mkdir(parents=True, exist_ok=True)
    write_private(_book(), json.dumps(book) + "\n", 0o644)


def _lives(owner: str) -> bool:
    kind, _, number = owner.partition("-")
    return kind != "process" or Path(f"/proc/{number}").exists()


def read_setting(name: str) -> str | None:
    """What a setting is now; None where this kernel has no such."""
    path = _KERNEL / name.replace(".", "/")
    return path.read_text().strip() if path.exists() else None


def _set(name: str, value: str) -> bool:
    """Whether the kernel took it."""
    try:
        (_KERNEL / name.replace(".", "/")).write_text(value)
    except OSError:
        return False
    return read_setting(name) == value
