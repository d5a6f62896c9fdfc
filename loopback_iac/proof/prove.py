"""The proof of a whole stack: each service with what it survives and what bounds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from loopback_iac.proof.build import build_model
from loopback_iac.proof.demands import Demands
from loopback_iac.proof.model import Model, System
from loopback_iac.proof.search import PartProof, find_path, prove_part
from loopback_iac.proof.stack import Stack

MOST = 2
"""Losses at once up to which a service is said to survive them, unless more are demanded."""


@dataclass(frozen=True)
class Verdict:
    """What is proved of one service at one address."""

    system: System
    survives: int
    exact: bool
    cuts: tuple[tuple[str, ...], ...]
    """Smallest cuts, where `exact`."""

    @property
    def met(self) -> bool:
        """Whether it survives what is demanded."""
        return self.survives >= self.system.demand


@dataclass(frozen=True)
class Proof:
    """The model, what is known of its parts, and of each service."""

    model: Model
    parts: Mapping[str, PartProof]
    verdicts: tuple[Verdict, ...]

    @property
    def met(self) -> bool:
        """Whether every service survives what is demanded of it."""
        return all(verdict.met for verdict in self.verdicts)

    def alone(self) -> dict[str, tuple[str, ...]]:
        """Causes that are not counted, and the systems each takes down by itself."""
        found: dict[str, tuple[str, ...]] = {}
        for key, cause in sorted(self.model.causes.items()):
            if cause.hard:
                continue
            lost = frozenset((key,))
            down = {p for p in self.parts if find_path(self.model.gates, p, lost) is None}
            systems = [s.name for s in self.model.systems if down.intersection(s.parts.values())]
            found[key] = tuple(systems)
        return found


def prove_redundancy(
    stack: Stack,
    demands: Demands,
    default: int = 0,
    *,
    today: date | None = None,
    doubtful: bool = True,
) -> Proof:
    """
    What every service of a stack survives.

    In: default, losses to survive where `demands` says none; today, doubtful: see `build_model`.
    Raises: InputRejected for demands that name what the stack does not have.
    """
    model = build_model(stack, demands, default, today=today, doubtful=doubtful)
    most = max([MOST, *(system.demand for system in model.systems)])
    needed = dict.fromkeys(part for s in model.systems for part in s.parts.values())
    parts = {part: prove_part(model, part, most) for part in needed}
    return Proof(model, parts, tuple(_verdict(system, parts) for system in model.systems))


def _verdict(system: System, parts: Mapping[str, PartProof]) -> Verdict:
    """A service is down when one of its parts is, so the weakest bounds it."""
    found = [parts[part] for part in system.parts.values()]
    survives = min(proof.survives for proof in found)
    weakest = [proof for proof in found if proof.survives == survives]
    # a part that was not searched to its end might fall with as few
    exact = any(proof.exact for proof in weakest)
    cuts = sorted({cut for proof in weakest for cut in proof.cuts})
    return Verdict(system, survives, exact, tuple(cuts))
