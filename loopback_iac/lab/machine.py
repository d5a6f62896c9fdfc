"""What the machine must bring along before a lab can stand on it."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from loopback_iac.lab.paths import LabError

# Tool -> Debian package that brings it.
TOOLS = {
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "setsid": "util-linux",
    "sysctl": "procps",
    "systemctl": "systemd",
    "systemd-nspawn": "systemd-container",
    "unshare": "util-linux",
}
_TUN = Path("/dev/net/tun")
_INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")


def check_machine() -> None:
    """
    Refuse a machine that cannot carry a lab, with everything it lacks.

    Raises: LabError naming what is missing and how to get it.
    """
    lacks = []
    if os.geteuid():
        lacks.append("root: namespaces, mounts and cgroups need it\n      fix: run it with sudo")
    tools = [tool for tool in TOOLS if not shutil.which(tool)]
    if tools:
        packages = " ".join(sorted({TOOLS[tool] for tool in tools}))
        lacks.append(f"{', '.join(tools)}\n      fix: apt-get install {packages}")
    if not _TUN.exists():
        lacks.append(f"{_TUN}: hosts make their tunnels with it\n      fix: modprobe tun")
    if lacks:
        raise LabError("this machine lacks\n  - " + "\n  - ".join(lacks))


def inotify_shortage() -> str:
    """
    Whether root's inotify instances are used up: hosts then boot half-way and say nothing about it.

    Out: a line for an error, or nothing.
    """
    allowed, used = int(_INOTIFY.read_text()), 0
    for folder in Path("/proc").glob("[0-9]*/fd"):
        # processes end while we look
        with contextlib.suppress(OSError):
            if folder.stat().st_uid == 0:
                used += sum(str(fd.readlink()) == "anon_inode:inotify" for fd in folder.iterdir())
    if used < allowed * 0.95:
        return ""
    return (
        f"\n  {used} of {allowed} inotify instances are in use, and each host needs about 8"
        f"\n  fix: take another lab down, or sysctl -w fs.inotify.max_user_instances={allowed * 4}"
    )
