"""A PoP in a namespace: the daemons that its files are for, and the watch.

There is no systemd in here: `systemctl show` is answered from files with the daemons' process ids.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopback_iac import agent
from loopback_iac.lab.names.machine import Machine

if TYPE_CHECKING:
    import subprocess

SYSTEMCTL = "#!/bin/sh\ncat /run/loopback/gate/$2.pid\n"
STATE = {"format": 1, "active": "a", "pending": None, "rolled_back": None, "drain": {}}
PROGRAMS = {
    "knot": ("knotd", "-c", "/etc/knot/knot.conf"),
    "nsd": ("nsd", "-d"),
    "bird": ("bird", "-f", "-c", "/etc/bird/bird.conf", "-s", "/run/bird/bird.ctl"),
    "haproxy": ("haproxy", "-Ws", "-f", "/etc/haproxy/haproxy.cfg"),
    "watch": ("python3", "-IB", "/usr/local/sbin/loopback-agent", "watch"),
}


@dataclass
class Pop(Machine):
    """A PoP; what is started is known to its `systemctl` by the name of the unit."""

    def furnish(self) -> None:
        """Everything that is no configuration."""
        for name, content, path in (
            ("systemctl", SYSTEMCTL.encode(), "usr/bin/systemctl"),
            ("agent", agent.build(), "usr/local/sbin/loopback-agent"),
        ):
            target = self.ground / name
            target.write_bytes(content)
            target.chmod(0o755)
            self.mounts.append(f"mount --bind {target} {self.image.root / path}")
        self.mounts.append(f"mount --bind /proc {self.image.root / 'proc'}")
        (self.ground / "var/lib/loopback/state.json").write_text(json.dumps(STATE))

    def run_unit(self, unit: str) -> subprocess.Popen[str]:
        """Start a daemon; the process is the daemon itself."""
        process = self.space.start_daemon(self.ground / f"{unit}.log", *self.words(*PROGRAMS[unit]))
        (self.ground / f"run/loopback/gate/{unit}.pid").write_text(str(process.pid))
        return process

    @property
    def positions(self) -> dict[str, str]:
        """Announcement -> position, as the watch notes it."""
        with contextlib.suppress(OSError, ValueError):
            noted = (self.ground / "run/loopback/gate/positions.json").read_text()
            found: dict[str, str] = json.loads(noted)["positions"]
            return found
        return {}

    @property
    def said(self) -> str:
        """What the watch said."""
        return (self.ground / "watch.log").read_text()

    def stand(self, names: str, ingress: str = "open") -> bool:
        """Whether the gates of both families stand so."""
        wanted = {"names4": names, "names6": names, "v4": ingress, "v6": ingress}
        return self.positions == wanted
