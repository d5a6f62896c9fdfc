"""What the machine must bring along before a lab can stand on it."""

from __future__ import annotations

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
