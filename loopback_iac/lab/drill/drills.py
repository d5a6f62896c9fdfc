"""Every drill there is, by name, in the order they are told."""

from __future__ import annotations

from loopback_iac.lab.drill import changes, moves, pops, strain, workers

DRILLS = {
    drill.name: drill
    for drills in (pops.DRILLS, workers.DRILLS, strain.DRILLS, changes.DRILLS, moves.DRILLS)
    for drill in drills
}
