"""Moving a pool to other workers: which change of the configuration comes next.

Nothing but the configuration tells how far a move is, so one that was interrupted goes on where it
stands.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from loopback_iac.model.problem import InputRejected, Problem, unknown_name
from loopback_iac.model.traffic import LAST_WORKER_ID

WEIGHT = 100  # of a worker that declares none

Workers = Mapping[str, Mapping[str, Any]]
"""The configuration's `workers`: name -> node_id, weight, drained, whatever else stands there."""


@dataclass(frozen=True)
class Move:
    """Who comes, who leaves, and what each of them is (`metal`, `hetzner`, ...)."""

    pool: str
    leaving: tuple[str, ...]
    coming: tuple[str, ...]
    kinds: Mapping[str, str]


@dataclass(frozen=True)
class Step:
    """One change of the configuration. `after` is what has to hold before it is made."""

    name: str
    what: str
    after: str
    workers: Workers


def parse_move(
    pool: str,
    leaving: Iterable[str],
    coming: Iterable[str],
    config: Mapping[str, Any],
    pools: Mapping[str, Iterable[str]] | None = None,
) -> Move:
    """What was asked for, against the configuration.

    In: config, the stack's: machines, pops, workers; pools, who is in which pool as last applied.
    Raises: InputRejected with every problem.
    """
    gone, new = tuple(dict.fromkeys(leaving)), tuple(dict.fromkeys(coming))
    shape = [p for key in ("machines", "pops", "workers") for p in _check_shape(key, config)]
    if shape:
        raise InputRejected("migrate", tuple(shape))
    machines, workers = config["machines"], config["workers"]
    kinds = {n: str(machines[n].get("kind", "metal")) for n in (*gone, *new) if n in machines}
    move = Move(pool, gone, new, kinds)
    problems = [
        *_check_pool(move, pools),
        *_check_leaving(move, workers),
        *_check_coming(move, config),
        *_check_left(move, workers),
    ]
    if problems:
        raise InputRejected("migrate", tuple(problems))
    return move


def next_step(move: Move, workers: Workers) -> Step | None:
    """The change that comes next; None when the move is done."""
    present = [name for name in move.leaving if name in workers]
    if arriving := _add(move, workers) or _shift(move, workers):
        return arriving
    taking = [name for name in present if not workers[name].get("drained")]
    if taking:
        drained = {n: {**w, "drained": True} if n in taking else w for n, w in workers.items()}
        seen = f"{_names(move.coming)} UP at every PoP" if move.coming else "others UP at every PoP"
        told = f"{_names(taking)} takes no new connection; those that stand go on"
        return Step("drain", told, seen, drained)
    if present:
        kept = {n: w for n, w in workers.items() if n not in present}
        return Step("remove", _farewell(move, present), f"no connection to {_names(present)}", kept)
    return None


def steps_left(move: Move, workers: Workers) -> list[Step]:
    """Every change from here to the end."""
    found = []
    while (step := next_step(move, workers)) is not None:
        found.append(step)
        workers = step.workers
    return found


def serving(workers: Workers) -> list[str]:
    """Workers that take new connections, by name."""
    return sorted(n for n, w in workers.items() if not w.get("drained") and weight_of(w))


def weight_of(worker: Mapping[str, Any]) -> int:
    """Its share, as declared or by default."""
    return int(worker.get("weight", WEIGHT))


def _add(move: Move, workers: Workers) -> Step | None:
    absent = [name for name in move.coming if name not in workers]
    if not absent:
        return None
    grown = dict(workers)
    for name in absent:
        grown[name] = {"node_id": _free_node_id(grown), "weight": 0}
    ordered = [name for name in absent if move.kinds[name] != "metal"]
    told = f"{_names(absent)} joins pool {move.pool} and takes no connection yet"
    return Step("add", f"{told}{_aside(move, ordered, 'ordered')}", "", grown)


def _shift(move: Move, workers: Workers) -> Step | None:
    light = [name for name in move.coming if not weight_of(workers[name])]
    if not light:
        return None
    weight = max((weight_of(workers[n]) for n in move.leaving if n in workers), default=0) or WEIGHT
    shifted = {n: {**w, "weight": weight} if n in light else w for n, w in workers.items()}
    told = f"{_names(light)} takes connections with weight {weight}, beside the others"
    return Step("shift", told, f"{_names(light)} UP at every PoP", shifted)


def _free_node_id(workers: Workers) -> int:
    """The next number; numbers of those that left come back only when all were given once."""
    taken = {int(worker.get("node_id", 0)) for worker in workers.values()}
    follows = max(taken, default=0) + 1
    if follows <= LAST_WORKER_ID:
        return follows
    return min(set(range(1, LAST_WORKER_ID + 1)) - taken, default=follows)


def _farewell(move: Move, present: list[str]) -> str:
    ordered = [name for name in present if move.kinds.get(name, "metal") != "metal"]
    told = f"{_names(present)} leaves the fleet"
    return f"{told}{_aside(move, ordered, 'deleted with its disk and addresses')}"


def _aside(move: Move, names: list[str], what: str) -> str:
    if not names:
        return ""
    return f" ({', '.join(f'{n} at {move.kinds[n]}' for n in names)}: {what})"


def _names(names: Iterable[str]) -> str:
    return ", ".join(names)


def _check_shape(key: str, config: Mapping[str, Any]) -> list[Problem]:
    found = config.get(key)
    if not isinstance(found, Mapping) or not all(isinstance(e, Mapping) for e in found.values()):
        got = "is not there" if found is None else "is no map of names to entries"
        return [_misshapen(key, got, "a map as stacks/edge takes it")]
    return [
        _misshapen(f"{key}.{name}.{field}", f"{entry[field]!r} is no number", "a whole number")
        for name, entry in found.items()
        for field in ("node_id", "weight")
        if key == "workers" and type(entry.get(field, 0)) is not int
    ]


def _misshapen(path: str, got: str, need: str) -> Problem:
    return Problem(f"config.{path}", got, need, "write it as stacks/edge reads it", "config-shape")


def _check_pool(move: Move, pools: Mapping[str, Iterable[str]] | None) -> list[Problem]:
    if pools is None:
        return []
    if move.pool not in pools:
        return [unknown_name("POOL", "pools", move.pool, pools, "pool-unknown")]
    homes = {worker: pool for pool, workers in pools.items() for worker in workers}
    return [
        Problem(
            f"{option}.{name}",
            f"it is in pool {homes[name]!r}",
            f"a worker of pool {move.pool!r}",
            "a host belongs to one pool; name that pool, or another machine",
            "pool-of-another",
        )
        for option, names in (("--from", move.leaving), ("--to", move.coming))
        for name in names
        if homes.get(name, move.pool) != move.pool
    ]


def _check_leaving(move: Move, workers: Workers) -> list[Problem]:
    done = all(name in workers and weight_of(workers[name]) for name in move.coming)
    if not any(name in workers for name in move.leaving) and move.coming and done:
        return []  # the last step was made already
    return [
        Problem(
            f"--from.{name}",
            f"there is no worker {name!r}",
            f"one of {', '.join(sorted(workers))}",
            "correct the name",
            "worker-unknown",
        )
        for name in move.leaving
        if name not in workers
    ] or (
        []
        if move.leaving
        else [Problem("--from", "nobody", "a worker", "name who leaves", "migrate-nobody")]
    )


def _check_coming(move: Move, config: Mapping[str, Any]) -> list[Problem]:
    problems = []
    for name in move.coming:
        got = need = fix = rule = ""
        if name in move.leaving:
            got, need = "it leaves as well", "another machine"
            fix, rule = "name each machine once", "migrate-to-itself"
        elif name in config["pops"]:
            got, need = "it is a PoP", "a machine that is none"
            fix, rule = "a host is a PoP or a worker", "host-name-unique"
        elif name not in config["machines"]:
            got, need = "it is not in `machines`", f"one of {', '.join(sorted(config['machines']))}"
            fix, rule = "declare what it is under machines", "machine-unknown"
        elif config["workers"].get(name, {}).get("drained"):
            got, need = "somebody drained it", "a worker that may serve"
            fix, rule = "take `drained` off it when its work is done", "migrate-to-drained"
        if rule:
            problems.append(Problem(f"--to.{name}", got, need, fix, rule))
    return problems


def _check_left(move: Move, workers: Workers) -> list[Problem]:
    staying = {n: w for n, w in workers.items() if n not in move.leaving}
    if move.coming or serving(staying):
        return []
    told = "after it no worker would take a connection"
    fix = "name machines that take over with --to"
    return [Problem("--to", told, "one worker that serves", fix, "pool-all-drained")]
