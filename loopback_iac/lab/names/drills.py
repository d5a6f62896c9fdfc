"""Every drill of names, by name, in the order they are told."""

from __future__ import annotations

from loopback_iac.lab.names import flood, operators, pop_loss, signing

DRILLS = {
    drill.name: drill
    for drill in (
        flood.NOTHING,
        *pop_loss.DRILLS,
        *operators.DRILLS,
        *signing.DRILLS,
        *flood.DRILLS,
    )
}
