"""`make bench`: every measurement, each beside what a user would pick instead.

Words choose: `python -m bench engine 1000 3`, `python -m bench ten 2`, `python -m bench grow`.
"""

from __future__ import annotations

import signal
import sys

from bench import (
    bare,
    cluster,
    controls,
    drills,
    engine,
    evidence,
    gateway,
    grow,
    migrate,
    names,
    propagation,
    prove,
    rollovers,
    scale,
    served,
    ten,
    throughput,
    transfers,
    zone,
)

MEASUREMENTS = {
    "engine": engine.main,
    "drills": drills.main,
    "throughput": throughput.main,
    "ten": ten.main,
    "grow": grow.main,
    "bare": bare.main,
    "controls": controls.main,
    "migrate": migrate.main,
    "scale": scale.main,
    "zone": zone.main,
    "propagation": propagation.main,
    "prove": prove.main,
    "transfers": transfers.main,
    "names": names.main,
    "rollovers": rollovers.main,
    "served": served.main,
    "evidence": evidence.main,
    "cluster": cluster.main,
    "gateway": gateway.main,
}

# whoever is told to end takes the lab down first
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
chosen, numbers = sys.argv[1:2], [int(word) for word in sys.argv[2:]]
for name in chosen or MEASUREMENTS:
    MEASUREMENTS[name](*numbers)
