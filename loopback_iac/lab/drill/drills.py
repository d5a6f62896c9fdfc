"""Every drill there is, by name, in the order they are told."""

from __future__ import annotations

from loopback_iac.lab.drill import changes, pops, strain, workers

DRILLS = {
    drill.name: drill for drill in (*pops.DRILLS, *workers.DRILLS, *strain.DRILLS, *changes.DRILLS)
}
