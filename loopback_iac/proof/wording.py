"""Cuts as a person reads them: causes that can stand for each other on one line, and the fix."""

from collections.abc import Iterable, Sequence
from itertools import product

from loopback_iac.proof.causes import KINDS, UNSAID
from loopback_iac.proof.model import Model
from loopback_iac.proof.prove import Proof

Cut = Sequence[str]
Group = tuple[str, ...]
SHOWN = 4


def group_cuts(cuts: Iterable[Cut]) -> list[tuple[Group, ...]]:
    """
    The same cuts in fewer lines.

    Out: each line a group per loss; whichever member of each group is lost, it is a cut. Two causes
    are in one group when they complete the same cuts.
    """
    left = {frozenset(cut) for cut in cuts}
    rests: dict[str, set[frozenset[str]]] = {}
    for cut in left:
        for cause in cut:
            rests.setdefault(cause, set()).add(cut - {cause})
    alike: dict[frozenset[frozenset[str]], list[str]] = {}
    for cause in sorted(rests):
        alike.setdefault(frozenset(rests[cause]), []).append(cause)
    group = {cause: tuple(causes) for causes in alike.values() for cause in causes}
    lines: list[tuple[Group, ...]] = []
    for cut in sorted(left, key=sorted):
        if cut in left:
            line = tuple(group[cause] for cause in sorted(cut))
            lines.append(line)
            left -= {frozenset(each) for each in product(*line)}
    return sorted(lines, key=lambda line: (-_shown(line), line))


def cut_text(model: Model, line: Sequence[Group]) -> str:
    """One line of `group_cuts` in words."""
    if not line:
        return "it is down with nothing lost"
    return ", together with ".join(_one_of(model, group) for group in line)


def fixes_of(model: Model, cuts: Iterable[Cut]) -> list[str]:
    """What would help against these cuts, each with what it helps against."""
    against: dict[str, list[str]] = {}
    for key in sorted({cause for cut in cuts for cause in cut}):
        cause = model.causes[key]
        undeclared = cause.name == UNSAID
        said = f"declare `{cause.kind}` of every host, and name a host as its PoP or worker"
        text = said if undeclared else KINDS[cause.kind].fix
        against.setdefault(text, []).append(key)
    return [f"{fix}, against {', '.join(model.titles(keys))}" for fix, keys in against.items()]


def unmet_texts(proof: Proof) -> list[str]:
    """Why services do not survive what is demanded: a cut, and what to do; alike ones together."""
    alike: dict[tuple[int, int, tuple[tuple[str, ...], ...]], list[str]] = {}
    for verdict in proof.verdicts:
        if not verdict.met:
            key = (verdict.survives, verdict.system.demand, verdict.cuts)
            alike.setdefault(key, []).append(verdict.system.name)
    return [
        _unmet_text(proof.model, ", ".join(names), survives, demand, cuts)
        for (survives, demand, cuts), names in alike.items()
    ]


def losses_text(count: int) -> str:
    """So many losses, in words."""
    words = {0: "no loss", 1: "any one loss", 2: "any two losses", 3: "any three losses"}
    return words.get(count, f"any {count} losses")


def _unmet_text(
    model: Model, names: str, survives: int, demand: int, cuts: tuple[tuple[str, ...], ...]
) -> str:
    if survives < 0:
        fix = "let a PoP announce its address, and enough workers of its pool serve"
        return f"{names}: down with nothing lost\n  fix: {fix}"
    shown = group_cuts(cuts)
    lines = [f"{names}: survives {losses_text(survives)}; demanded: {losses_text(demand)}"]
    lines += [f"  falls with {cut_text(model, line)}" for line in shown[:SHOWN]]
    lines += [f"  and {len(shown) - SHOWN} lines more"] if len(shown) > SHOWN else []
    lines += [f"  fix: {fix}" for fix in fixes_of(model, cuts)[:SHOWN]]
    lines += [] if cuts else ["  the search ended before it found a cut\n  fix: demand less"]
    return "\n".join(lines)


def _one_of(model: Model, group: Group) -> str:
    titles = ", ".join(model.titles(group))
    return titles if len(group) == 1 else f"one of {titles}"


def _shown(line: Sequence[Group]) -> int:
    count = 1
    for group in line:
        count *= len(group)
    return count
