"""Timers that a pause of this machine fits into, for what is about order and not about speed.

Every host of a lab runs on the same few cores, and BFD at 50 ms x 3 takes a core that was away for
150 ms for a dead PoP. Figures are measured with the quick timers, by drills and benches that set
aside what a pause broke; what only has to happen, happens with these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from loopback_iac.lab.drill.moves import Exit
from loopback_iac.lab.stackconfig import PROJECT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopback_iac.lab.drill.ground import Ground
    from loopback_iac.lab.paths import InstancePaths

BFD_MS = 300  # three of them: 0.9 s
RTT_MS = 50.0  # checks every 100 ms, a connect is tried again after 200 ms


def be_patient(paths: InstancePaths) -> None:
    """Write the timers into the lab's stack file; the next `up` brings them to the fleet."""
    tree = yaml.safe_load(paths.stack_config.read_text())
    config = tree["config"]
    for ups in config[f"{PROJECT}:links"].values():
        for up in ups.values():
            up["bfd_interval_ms"] = BFD_MS
    for worker in config[f"{PROJECT}:workers"].values():
        worker["rtt_ms"] = RTT_MS
    paths.stack_config.write_text(yaml.safe_dump(tree, sort_keys=False))


class PatientExit(Exit):
    """Newcomers have the timers of those they follow."""

    def __init__(self, ground: Ground, places: Sequence[Sequence[str]]) -> None:
        """In: as `Exit`."""
        super().__init__(ground, places)
        names = dict.fromkeys(name for place in places for name in place)
        self.known = {n: {"node_id": i, "rtt_ms": RTT_MS} for i, n in enumerate(names, 1)}
