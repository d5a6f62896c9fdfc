"""Smallest cuts of one part, and why nothing smaller is one.

Every cut has to hit every set of causes that keeps the part up. So: take one such path; a cut
holds one of its members; lose each of them in turn and take a path that stands without it; and so
on, one loss deeper each time. The first depth at which no path is left has exactly the smallest
cuts, and the paths found on the way are the witnesses that fewer losses take nothing down. How wide
the fleet is hardly matters: the search follows the length of a path.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from loopback_iac.proof.model import Gate, Model

Losses = frozenset[str]
MOST_STEPS = 4_000_000
"""Members of paths a layer may come to; before a larger one the search says how far it came. What
needs many machines at once has long paths, and so many witnesses that nobody would read them."""


@dataclass(frozen=True)
class PartProof:
    """What is known of one part."""

    survives: int
    """Losses it survives, whichever they are; -1 when it is down with nothing lost."""
    cuts: tuple[tuple[str, ...], ...]
    """Every cut of `survives` + 1 losses; none where the search ended before it found one."""
    witnesses: Mapping[Losses, tuple[str, ...]]
    """What it stands on after these losses; see the module's text for why these sets are enough."""

    @property
    def exact(self) -> bool:
        """Whether it is known to survive no more."""
        return bool(self.cuts)


def prove_part(model: Model, part: str, most: int) -> PartProof:
    """
    The smallest cuts of a part.

    In: part, a gate or a cause; most, the losses it is asked to survive: cuts of one more are
        looked for, and nothing is said beyond.
    """
    hard = model.hard()
    layer: set[Losses] = {frozenset()}
    witnesses: dict[Losses, tuple[str, ...]] = {}
    for lost_so_far in range(most + 2):
        found: dict[Losses, tuple[str, ...]] = {}
        cuts = []
        for lost in sorted(layer, key=sorted):
            path = find_path(model.gates, part, lost)
            if path is None:
                cuts.append(tuple(sorted(lost)))
            else:
                found[lost] = tuple(sorted(hard.intersection(path)))
        if cuts:
            return PartProof(lost_so_far - 1, tuple(cuts), witnesses)
        witnesses |= found
        members = sum(map(len, found.values()))
        if members * members / max(len(found), 1) > MOST_STEPS:
            return PartProof(min(lost_so_far, most), (), witnesses)
        layer = {lost | {cause} for lost, path in found.items() for cause in path}
        if not layer:  # it rests on nothing that is counted
            break
    return PartProof(most, (), witnesses)


def find_path(gates: Mapping[str, Gate], part: str, lost: Losses) -> frozenset[str] | None:
    """Causes that keep a part up without those that are lost; None when nothing does."""
    gate = gates.get(part)
    if gate is None:
        return None if part in lost else frozenset((part,))
    if not gate.need:
        return frozenset()
    spare = len(gate.of) - gate.need
    paths: list[frozenset[str]] = []
    for member in gate.of if spare >= 0 else ():
        path = find_path(gates, member, lost)
        if path is None:
            spare -= 1
            if spare < 0:
                return None
            continue
        paths.append(path)
        if len(paths) == gate.need:
            return frozenset().union(*paths)
    return None
