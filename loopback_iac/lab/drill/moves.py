"""The drill of an exit: every worker of the pool moves to other suppliers and back, under load."""

from __future__ import annotations

import json
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import yaml

from loopback_iac.lab.drill.changes import CHECKOUT, read_stack
from loopback_iac.lab.drill.checks import NONE_FAILS, POP_STAYS, each_family
from loopback_iac.lab.drill.drill import Check, Drill, Scene
from loopback_iac.lab.drill.measure import KEPT
from loopback_iac.lab.drill.shares import Shares
from loopback_iac.lab.drill.witness import Since, parse_bgp_since
from loopback_iac.lab.paths import LabError
from loopback_iac.lab.stackconfig import PROJECT
from loopback_iac.lab.topology import OPS, Role
from loopback_iac.model.migration import serving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopback_iac.lab.drill.drill import Evidence
    from loopback_iac.lab.drill.ground import Ground

METAL = ("w1", "w2")
ROUND = (METAL, ("h1",), ("i1",), METAL)  # own metal, Hetzner, IONOS, own metal
MOVE_S = 400.0
LINES = 100  # of a long request, ten a second
DRAIN_S = 60
RESET, BEYOND, LEFT = "BGP sessions reset", "changed beside them", "connections left"
Sessions = dict[str, Since]


def bgp_sessions(ground: Ground) -> Sessions:
    """Every BGP session of the upstreams, and since when it is as it is."""
    return {
        f"{router.name} {name}": since
        for router in ground.lab.topology.having(Role.UPSTREAM)
        for name, since in parse_bgp_since(
            ground.on(router.name, "birdc", "show", "protocols")
        ).items()
    }


def told_reset(before: Sessions, after: Sessions) -> str:
    """Names of the sessions that did not stand from one look to the other."""
    return ", ".join(name for name, was in before.items() if not was.stands(after.get(name)))


class Exit:
    """The moves of one run; what they changed is kept in notes.

    `divides`: hosts get shares of the processors meanwhile, and the moves take three times as long.
    """

    divides = True

    def __init__(self, ground: Ground, places: Sequence[Sequence[str]]) -> None:
        self.ground, self.places = ground, places
        self.stack = read_stack(ground)
        # who was there before, or is written down already, keeps its number and what it is told
        self.known: dict[str, dict[str, Any]] = dict(self.stack.config["workers"])
        self.before = bgp_sessions(ground)
        self.notes = {RESET: "", BEYOND: "", LEFT: ""}

    def begin(self) -> None:
        """Do every move, one after the other."""
        with Shares(self.ground.lab, self._serving) if self.divides else nullcontext():
            for leaving, coming in zip(self.places, self.places[1:], strict=False):
                self._prepare(coming)
                self._note(self.migrate(leaving, coming), leaving, coming)
        self.notes[RESET] = told_reset(self.before, bgp_sessions(self.ground))

    def _serving(self) -> set[str]:
        return set(serving(read_stack(self.ground).config["workers"]))

    def _prepare(self, coming: Sequence[str]) -> None:
        """Whoever is known joins as it was."""
        file = self.ground.lab.paths.stack_config
        tree = yaml.safe_load(file.read_text())
        workers = tree["config"][f"{PROJECT}:workers"]
        workers |= {n: {**self.known[n], "weight": 0} for n in coming if n in self.known}
        draft = file.with_suffix(".draft")  # whoever reads meanwhile sees all of it
        draft.write_text(yaml.safe_dump(tree, sort_keys=False))
        draft.rename(file)

    def migrate(self, leaving: Sequence[str], coming: Sequence[str]) -> list[dict[str, Any]]:
        """One move.

        Out: its steps, as the command tells them.
        Raises: LabError when it stops.
        """
        argv = migrate_argv(leaving, coming)
        done = self.ground.lab.exec(OPS, argv, timeout_s=MOVE_S)
        if done.returncode:
            raise LabError(f"`{' '.join(argv)}` ({done.returncode}): {done.stderr[-2000:]}")
        steps: list[dict[str, Any]] = json.loads(done.stdout)["steps"]
        return steps

    def _note(
        self, steps: list[dict[str, Any]], leaving: Sequence[str], coming: Sequence[str]
    ) -> None:
        """Beside every PoP, only those who come are touched, and only those who go at the end."""
        move = f"{'+'.join(leaving)} to {'+'.join(coming)}"
        pops = {pop.name for pop in self.ground.lab.topology.having(Role.POP)}
        for step in steps:
            name, changed = step["step"], set(step["hosts_changed"])
            self.notes[f"{move}, {name}"] = f"{step['up_s']} s: {', '.join(sorted(changed))}"
            may = {"begin": {*coming}, "add": {*coming}, "remove": {*leaving}}.get(name, set())
            if beyond := sorted(changed - pops - may):
                self.notes[BEYOND] += f"{move}, {name}: {', '.join(beyond)}; "
            left = {pop: n for pop, n in step.get("connections_left", {}).items() if n != 0}
            if left:
                self.notes[LEFT] += f"{move}: {left}; "


def migrate_argv(leaving: Sequence[str], coming: Sequence[str]) -> list[str]:
    """The command of one move, as it is said on the workstation."""
    argv = ["loopback", "migrate", "web", "-C", str(CHECKOUT), "--yes", "--json"]
    return [*argv, "--from", ",".join(leaving), "--to", ",".join(coming), "--seconds", f"{DRAIN_S}"]


def stage_exit(places: Sequence[Sequence[str]], ground: Ground, kind: type[Exit] = Exit) -> Scene:
    """In: who serves at first, then, and so on. What stood before is put back afterwards."""
    made = kind(ground, places)
    return Scene("", made.begin, lambda: None, made.notes, made.stack.deploy_kept)


def _noted(name: str, evidence: Evidence) -> str:
    return evidence.notes[name]


def _long_ones_end(family: int, evidence: Evidence) -> str:
    seen = evidence.figures.families[family].streams
    cut = {word: count for word, count in seen.items() if word not in KEPT}
    if cut:
        return ", ".join(f"{count} ended {word}" for word, count in cut.items())
    return "" if "ok" in seen else "none came to its end"


LONG_ONES_END = Check(
    "long-requests-end",
    "every long request ended whole, at the worker where it began",
    each_family(_long_ones_end),
)
NOBODY_LEFT = Check("nobody-left", "no connection was left at a worker that went",
                    partial(_noted, LEFT))  # fmt: skip
NO_SESSION_RESET = Check("no-session-reset", "no BGP session was reset", partial(_noted, RESET))
ONLY_THEY = Check(
    "only-they", "no host but PoPs, newcomers and those that go was changed",
    partial(_noted, BEYOND),
)  # fmt: skip

DRILLS = (
    Drill(
        name="migration",
        what="`loopback migrate`: every worker of the pool moves from own metal to Hetzner, to"
        " IONOS and back, while long requests run",
        repair="none: the last move brings back what was there",
        expects="newcomers serve before the old are drained, and no PoP is; nobody notices",
        hold_s=1,
        stage=partial(stage_exit, ROUND),
        must_hold=(*POP_STAYS, NONE_FAILS, LONG_ONES_END, NOBODY_LEFT, NO_SESSION_RESET, ONLY_THEY),
        long_lines=LINES,
        bound_s=580,
    ),
)
