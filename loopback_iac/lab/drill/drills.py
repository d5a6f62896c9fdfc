"""Every drill there is, by name, in the order they are told."""

from __future__ import annotations

from loopback_iac.lab.drill import changes, moves, nothing, pops, strain, workers

DRILLS = {
    drill.name: drill
    for drills in (
        nothing.DRILLS,
        pops.DRILLS,
        workers.DRILLS,
        strain.DRILLS,
        changes.DRILLS,
        moves.DRILLS,
    )
    for drill in drills
}
