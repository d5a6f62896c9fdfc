"""Checks a redundancy certificate by trying every set of losses. Needs Python 3.11, nothing else.

    python3 verify.py certificate.json

Exit 0: every statement holds in the model the certificate carries. Exit 1: the first wrong one is
named. Exit 2: it cannot be read. Whether the model is your fleet is yours to judge: read `model`
and `assumptions`, and compare `model_sha256` with that of a certificate you made yourself.
"""

import hashlib
import json
import sys
from collections.abc import Callable
from itertools import combinations
from typing import Any

Tree = dict[str, Any]
Losses = frozenset[str]
CLASSES = {"hard", "time-bounded", "gated", "accepted"}


class Wrong(Exception):  # noqa: N818 - named for what the statement is
    """A statement that does not hold; its text says which."""


def holds(statement: str, truth: object) -> None:
    """Raises: Wrong unless it is true."""
    if not truth:
        raise Wrong(statement)


def is_up(gates: Tree, node: str, lost: Losses) -> bool:
    """Whether a cause or a gate holds with these causes lost."""
    if node not in gates:
        return node not in lost
    need: int = gates[node]["need"]
    of: list[str] = gates[node]["of"]
    spare = len(of) - need
    for member in of:
        if need <= 0 or spare < 0:
            break
        if is_up(gates, member, lost):
            need -= 1
        else:
            spare -= 1
    return need <= 0


def causes_under(gates: Tree, node: str, causes: Tree, above: tuple[str, ...] = ()) -> set[str]:
    """Causes a node rests on; refuses circles and names of nothing."""
    holds(f"{node} is a cause or a gate, not both", (node in gates) != (node in causes))
    holds(f"gate {node} does not rest on itself", node not in above)
    if node in causes:
        return {node}
    need, of = gates[node]["need"], gates[node]["of"]
    holds(f"gate {node} needs 0 or more different members", need >= 0 and len(set(of)) == len(of))
    return set().union(*(causes_under(gates, m, causes, (*above, node)) for m in of))


def check_part(name: str, part: Tree, model: Tree) -> None:
    """Every statement about one part."""
    gates, causes = model["gates"], model["causes"]
    under = sorted(causes_under(gates, name, causes))
    hard = [c for c in under if causes[c]["class"] == "hard"]
    k, cuts = part["survives"], [frozenset(cut) for cut in part["smallest_cuts"]]
    for size in range(k + 1):
        for lost in combinations(hard, size):
            holds(f"{name} survives {lost}", is_up(gates, name, frozenset(lost)))
    for cut in cuts:
        holds(f"{sorted(cut)} are {k + 1} hard causes of {name}", len(cut) == k + 1)
        holds(f"{sorted(cut)} are hard causes of {name}", cut <= set(hard))
        holds(f"{name} is down without {sorted(cut)}", not is_up(gates, name, cut))
    holds(f"{name}: exact where a cut of {k + 1} is shown", part["exact"] == bool(cuts))
    if cuts:
        found = all_cuts(gates, name, hard, k + 1)
        holds(f"{name}: the cuts shown are all of {k + 1}", found == set(cuts))
    check_witnesses(name, part, gates, hard)
    if "network" in part:
        check_network(name, part["network"], model, under)


def all_cuts(gates: Tree, name: str, hard: list[str], size: int) -> set[Losses]:
    """Cuts of one size where none is smaller; sets that leave a kept path alone are up."""
    layer: set[Losses] = {frozenset()}
    for _ in range(size):
        wider: set[Losses] = set()
        for lost in layer:
            path = frozenset(hard) - lost
            for cause in hard:  # shrink what is kept to a path: drop all that is not needed
                if cause in path and is_up(gates, name, frozenset(hard) - path | {cause}):
                    path -= {cause}
            wider |= {lost | {cause} for cause in path}
        layer = wider
    return {lost for lost in layer if not is_up(gates, name, lost)}


def check_witnesses(name: str, part: Tree, gates: Tree, hard: list[str]) -> None:
    """Each stands on what it says, and together they answer every set of `survives` losses."""
    paths = {frozenset(w["without"]): frozenset(w["stands_on"]) for w in part["witnesses"]}
    for lost, path in paths.items():
        holds(f"{name}: the path without {sorted(lost)} avoids them", not lost & path)
        left = frozenset(hard) - path
        holds(f"{name} stands on {sorted(path)} alone", is_up(gates, name, left))
    todo: set[Losses] = {frozenset()} if part["survives"] >= 0 else set()
    for _ in range(part["survives"] + 1):
        for lost in todo:
            holds(f"{name}: there is a witness without {sorted(lost)}", lost in paths)
        todo = {lost | {cause} for lost in todo for cause in paths[lost]}


def check_network(name: str, network: Tree, model: Tree, under: list[str]) -> None:
    """Routes share nothing, each is enough, and a cut of as many leaves none."""
    gates, routes, cut = model["gates"], network["disjoint_routes"], network["cut"]
    steps = [step for route in routes for step in route]
    kinds = {model["causes"][step]["kind"] for step in steps + cut}
    nodes = {c for c in under if model["causes"][c]["kind"] in kinds}
    holds(f"{name}: routes share nothing", len(steps) == len(set(steps)))
    holds(f"{name}: as many routes as things in the cut", len(routes) == len(cut))
    for route in routes:
        holds(f"{name}: {route} is enough", is_up(gates, name, frozenset(nodes - set(route))))
    holds(f"{name}: {cut} leaves no route", not is_up(gates, name, frozenset(cut)))


def check_system(name: str, told: Tree, certificate: Tree) -> None:
    """A system is what all of its parts are together."""
    model, parts = certificate["model"], certificate["parts"]
    asked = model["systems"][name]
    found = [parts[part] for part in asked["needs_all_of"].values()]
    k = min(part["survives"] for part in found)
    cuts = {frozenset(c) for part in found if part["survives"] == k for c in part["smallest_cuts"]}
    holds(f"{name} survives {k}", told["survives"] == k)
    holds(f"{name}: its smallest cuts", {frozenset(c) for c in told["smallest_cuts"]} == cuts)
    holds(f"{name}: exact where a cut is shown", told["exact"] == bool(cuts))
    holds(f"{name}: met", told["met"] == (k >= asked["demand"]))


def check_causes(certificate: Tree) -> None:
    """What is not counted says why, and what it takes down by itself."""
    model = certificate["model"]
    gates, causes, systems = model["gates"], model["causes"], model["systems"]
    soft = {name for name, cause in causes.items() if cause["class"] != "hard"}
    holds("not_counted names each cause that is not hard", set(certificate["not_counted"]) == soft)
    for name, cause in causes.items():
        holds(f"{name} has a class", cause["class"] in CLASSES)
        holds(f"{name} says why it is not counted", name not in soft or cause["because"])
    for name, told in certificate["not_counted"].items():
        down = [
            system
            for system, asked in systems.items()
            if not all(is_up(gates, p, frozenset({name})) for p in asked["needs_all_of"].values())
        ]
        holds(f"what {name} takes down by itself", sorted(told) == sorted(down))


def check_certificate(certificate: Tree) -> None:
    """Raises: Wrong with the first statement that does not hold."""
    model = certificate["model"]
    holds("format 1", certificate["format"] == 1)
    text = json.dumps(model, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(text.encode()).hexdigest()
    holds("model_sha256 is the digest of the model", certificate["model_sha256"] == digest)
    needed = {p for asked in model["systems"].values() for p in asked["needs_all_of"].values()}
    holds("parts are those of the systems", set(certificate["parts"]) == needed)
    holds("systems are those of the model", set(certificate["systems"]) == set(model["systems"]))
    holds("assumptions and what is not covered are stated",
          certificate["assumptions"] and certificate["not_covered"])  # fmt: skip
    for name, part in certificate["parts"].items():
        check_part(name, part, model)
    for name, told in certificate["systems"].items():
        check_system(name, told, certificate)
    check_causes(certificate)


def read(argv: list[str]) -> Tree:
    """The certificate the command line names."""
    with open(argv[1], encoding="utf-8") as file:  # noqa: PTH123 - one import less to read
        found: Tree = json.load(file)
    return found


def judge(load: Callable[[], Tree]) -> int:
    """Out: the exit code."""
    try:
        certificate = load()
        check_certificate(certificate)
    except Wrong as wrong:
        print(f"wrong: {wrong}")  # noqa: T201 - what it is for
        return 1
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as cause:
        print(f"cannot be read as a certificate: {cause!r}")  # noqa: T201 - as above
        return 2
    for name, told in certificate["systems"].items():
        least = "" if told["exact"] else "at least "
        print(f"{name}: survives {least}{told['survives']}")  # noqa: T201 - as above
    print(f"every statement holds in model {certificate['model_sha256']}")  # noqa: T201 - as above
    return 0


if __name__ == "__main__":
    sys.exit(judge(lambda: read(sys.argv)))
