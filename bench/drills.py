"""Drills with the fleet's settings, over WireGuard and VXLAN, beside the daemons' defaults.

Each is measured on one fleet, one after the other; every connection is verified whole, so that the
first answer that came another way is seen within milliseconds.

The defaults are what someone gets who writes the same sessions and servers into BIRD and HAProxy
and nothing more: no BFD, a hold time of 240 s, `check` alone (every 2 s, three times), a connect
timeout of 5 s as in HAProxy's own examples, and no watch over either daemon.
"""

from __future__ import annotations

import re
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from bench.standing import ROOT, standing
from bench.tunnels import take_vxlan
from loopback_iac.lab.drill.drills import DRILLS
from loopback_iac.lab.drill.ground import FAMILIES, Ground, Pace
from loopback_iac.lab.drill.measure import spread, summarize_runs
from loopback_iac.lab.drill.record import render_spread
from loopback_iac.lab.drill.runner import rehearse
from loopback_iac.lab.topology import Role

if TYPE_CHECKING:
    from loopback_iac.lab import Lab
    from loopback_iac.lab.drill.runner import Rehearsal

COMPARED = ("carrier", "silent-pop", "bird-killed", "bird-frozen", "haproxy-killed",
            "worker-killed", "worker-silent")  # fmt: skip
ONCE = ("silent-pop", "bird-frozen")  # defaults end them by a timer of minutes: one run shows it
BOUND_S = 12  # a default that has not recovered by then is said to have not
FIGURES = {
    "recovery, ms": "recovery_ms",
    "last slow, ms": "last_slow_ms",
    "failed": "failed_during",
}


def edit(lab: Lab, host: str, path: str, edits: list[tuple[str, str]], then: str) -> None:
    """Change a file of a host by regular expressions, each of which must find something."""
    text = lab.exec(host, ["cat", path]).stdout
    for old, new in edits:
        text, found = re.subn(old, new, text, flags=re.MULTILINE)
        if not found:
            raise SystemExit(f"{host}: nothing in {path} looks like {old!r}")
    done = lab.exec(host, ["sh", "-c", f"cat > {path} && {then}"], text=text)
    if done.returncode:
        raise SystemExit(f"{host}: {done.stdout}{done.stderr}")


def take_defaults(lab: Lab) -> None:
    """Put the daemons' defaults where the fleet's settings were; the lab is thrown away after."""
    timers = (r"^ *(startup |send )?hold time .*$", "")
    beats = (r"^ *keepalive time .*$", "")
    for pop in lab.topology.having(Role.POP):
        lab.exec(pop.name, ["systemctl", "stop", "loopback-watch"])
        bird = [timers, beats, (r"^ *bfd \{[^}]*\};$", "")]
        edit(lab, pop.name, "/etc/bird/bird.conf", bird, "birdc configure")
        haproxy = [
            (r"check inter .* on-error mark-down tcp-ut 3s", "check"),
            (r"^ *timeout (connect|check) .*$", ""),
            (r"^defaults$", "defaults\n  timeout connect 5s"),
            (r"^ *option redispatch 1$", ""),
            (r"^ *use_backend .*$", ""),
        ]
        edit(lab, pop.name, "/etc/haproxy/haproxy.cfg", haproxy, "systemctl reload haproxy")
    for router in lab.topology.having(Role.UPSTREAM):
        bird = [
            (r"hold time 9; keepalive time 3; startup hold time 30;", ""),
            (r"^ *bfd \{ interval 50 ms; multiplier 3; \};$", ""),
        ]
        edit(lab, router.name, "/etc/bird/bird.conf", bird, "birdc configure")


DEFAULTS = "defaults, VXLAN"
# each takes the lab as the one before left it
SIDES = {"fleet, wireguard-go": None, "fleet, VXLAN": take_vxlan, DEFAULTS: take_defaults}


def await_served(ground: Ground) -> None:
    """Wait until the client's routes lead to its PoP, with nothing quicker to wait for.

    The watch is stopped, so gates stay open and a PoP is back when its sessions are.
    """
    deadline = time.monotonic() + 120
    while any(ground.route_towards(family) != ground.pop for family in FAMILIES):
        if time.monotonic() > deadline:
            raise SystemExit(f"{ground.upstream} does not route to {ground.pop}")
        time.sleep(0.5)
    time.sleep(3)  # checks of HAProxy come every two seconds


def measure(ground: Ground, pace: Pace, runs: int, side: str) -> dict[str, Rehearsal]:
    """Every compared drill, so many times."""
    found = {}
    for name in COMPARED:
        print(f"{name}, {side}", file=sys.stderr)
        if side == DEFAULTS:
            drill = replace(DRILLS[name], hold_s=BOUND_S)
            times = 1 if name in ONCE else runs
            found[name] = rehearse(ground, drill, pace, times, lambda _: None, ready=await_served)
        else:
            found[name] = rehearse(ground, DRILLS[name], pace, runs, lambda _: None)
    return found


def main(rate: int = 250, runs: int = 5) -> None:
    """Print the table."""
    pace, sides = Pace(rate=rate, sample_every=1), {}
    with standing("demo") as fleet:
        _, done = fleet.run(["loopback", "up", "-C", str(ROOT), "--yes"])
        if done.returncode:
            raise SystemExit(done.stderr)
        ground = Ground(fleet.lab, "c-fra")
        for side, take in SIDES.items():
            if take:
                take(fleet.lab)
            sides[side] = measure(ground, pace, runs, side)
    print_table(sides, f"{runs} runs each, {rate} connections/s")


def print_table(sides: dict[str, dict[str, Rehearsal]], conditions: str) -> None:
    """Per drill and family a row for each side."""
    console = Console(width=150)
    columns = ("settings", "", *FIGURES, "route moved, ms", "runs", "aside")
    table = Table("least / median / most", *columns, box=None)
    for name in COMPARED:
        for family in FAMILIES:
            for side, found in sides.items():
                done = found[name]
                figures = summarize_runs([run.evidence.figures for run in done.runs])[family]
                told = [figures[figure] for figure in FIGURES.values()]
                told.append(spread(run.evidence.route_left_ms[family] for run in done.runs))
                counts = map(str, (len(done.runs), len(done.aside)))
                table.add_row(name, side, f"IPv{family}", *map(render_spread, told), *counts)
    load = spread(
        [r.load_average[0] for found in sides.values() for x in found.values() for r in x.runs]
    )
    console.print(
        f"{conditions}, load average {render_spread(load)}; '-' for a recovery: none within"
        f" {BOUND_S} s (fleet: within the drill's own 2 s)"
    )
    console.print(table)
