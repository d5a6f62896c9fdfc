"""The privileged half of the watch's one wish: set up a tunnel again whose interface vanished.

The watch leaves a file named after the tunnel; a path unit starts this verb. Only the name is used,
only names of
tunnels that are configured here are acted on, and only when the interface is really gone.
"""

from __future__ import annotations

import contextlib
import os
import re

from .programs import run
from .refusal import RefusedError
from .state import alone
from .watchfile import GATE_FOLDER

_WISH = re.compile(r"heal-((?:l[bc]|up)-[a-z0-9][a-z0-9-]{0,11})")


def heal() -> None:
    """Carry out the wishes that lie there."""
    wishes = [name for name in sorted(os.listdir(GATE_FOLDER)) if name.startswith("heal-")]
    for name in wishes:
        # removed first: a wish that cannot be met now comes again in five seconds
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            os.unlink(GATE_FOLDER + name)
    with contextlib.suppress(RefusedError), alone():  # an apply that runs sets tunnels up itself
        for found in filter(None, map(_WISH.fullmatch, wishes)):
            tunnel = found.group(1)
            if os.path.exists(f"/etc/wireguard/{tunnel}.conf") and not os.path.exists(
                f"/sys/class/net/{tunnel}"
            ):
                run("systemctl", "restart", f"wg-quick@{tunnel}", timeout_s=60)
