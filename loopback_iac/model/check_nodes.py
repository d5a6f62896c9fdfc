"""Checks on hosts and pools: names, node ids, tunnels, check budget."""

from collections.abc import Iterable

from loopback_iac.model.draft import Draft
from loopback_iac.model.problem import Problem
from loopback_iac.model.timing import checks_at_worker_per_s, checks_per_s, pool_interval_ms
from loopback_iac.model.tunnel import INTERFACE_PREFIX

SHOWN_PREFIX = INTERFACE_PREFIX[1]  # all are equally long
LONGEST_HOST_NAME = 15 - len(SHOWN_PREFIX)  # Linux IFNAMSIZ


def check_nodes(draft: Draft) -> list[Problem]:
    """Findings on PoPs, workers and pools."""
    pops = [(f"pops.{name}", name, pop.node_id) for name, pop in sorted(draft.pops.items())]
    workers = [(path, name, worker.node_id) for path, name, worker in draft.workers()]
    return [
        *_twice(pops),
        *_twice(workers),
        *_names(draft, pops, workers),
        *_pools(draft),
        *_budget(draft),
        *_drowned(draft),
    ]


def _twice(nodes: Iterable[tuple[str, str, int]]) -> list[Problem]:
    seen: dict[int, str] = {}
    problems = []
    for path, _, node_id in nodes:
        if node_id in seen:
            problems.append(
                Problem(
                    f"{path}.node_id",
                    f"{node_id} is already the node id of {seen[node_id]}",
                    "a number of its own: tunnel addresses and ports follow from it",
                    "take the next free number and never reuse one",
                    "node-id-unique",
                )
            )
        seen.setdefault(node_id, path)
    return problems


def _names(
    draft: Draft, pops: list[tuple[str, str, int]], workers: list[tuple[str, str, int]]
) -> list[Problem]:
    seen: dict[str, str] = {}
    problems = []
    for path, name, _ in [*pops, *workers]:
        if name in seen:
            problems.append(
                Problem(
                    path,
                    f"{name!r} is already the name of {seen[name]}",
                    "one name per host in the whole fleet",
                    "rename one; a worker belongs to one pool that may serve many services",
                    "host-name-unique",
                )
            )
        seen.setdefault(name, path)
        if len(name) > LONGEST_HOST_NAME:
            problems.append(
                Problem(
                    path,
                    f"tunnel interface {SHOWN_PREFIX + name!r} has {len(name) + 3} characters",
                    "at most 15",
                    f"choose a name of at most {LONGEST_HOST_NAME} characters",
                    "tunnel-name-length",
                )
            )
    for path, _, worker in draft.workers():
        problems += [
            Problem(
                f"{path}.rtt_ms_from.{pop}",
                f"there is no PoP {pop!r}",
                f"one of {', '.join(sorted(draft.named['pops']))}",
                "remove it, or correct the name",
                "pop-unknown",
            )
            for pop in sorted(worker.rtt_ms_from)
            if pop not in draft.named["pops"]
        ]
    return problems


def _pools(draft: Draft) -> list[Problem]:
    return [
        Problem(
            f"pools.{name}.workers",
            "every worker is drained",
            "one worker that takes connections",
            "undrain one before draining the last",
            "pool-all-drained",
        )
        for name, pool in sorted(draft.pools.items())
        if pool.workers and all(w.drained or w.weight == 0 for w in pool.workers.values())
    ]


def _budget(draft: Draft) -> list[Problem]:
    if draft.settings is None:
        return []
    budget = draft.settings.check_budget_per_s
    problems = []
    for pop in sorted(draft.pops):
        rate = round(checks_per_s(draft.pools, draft.services, pop))
        if rate <= budget:
            continue
        count = sum(len(pool.workers) for pool in draft.pools.values())
        needed = -(-1000 * count // budget)
        problems.append(
            Problem(
                f"pops.{pop}",
                f"{rate} health checks per second for {count} workers",
                f"at most {budget}",
                f"write health.interval_ms: {needed} at the services, or raise check_budget_per_s",
                "check-budget",
            )
        )
    return problems


def _drowned(draft: Draft) -> list[Problem]:
    """Pools whose workers would answer more checks than one PoP may send: every PoP checks each."""
    if draft.settings is None:
        return []
    budget = draft.settings.check_budget_per_s
    problems = []
    for name in sorted({service.pool for service in draft.services.values()} & set(draft.pools)):
        interval_ms = pool_interval_ms(draft.services, name)
        rates = {
            worker: round(checks_at_worker_per_s(interval_ms, facts, draft.pops))
            for worker, facts in sorted(draft.pools[name].workers.items())
        }
        worst = max(rates, key=rates.__getitem__, default="")
        if not worst or rates[worst] <= budget:
            continue
        needed = -(-1000 * len(draft.pops) // budget)
        problems.append(
            Problem(
                f"pools.{name}.workers.{worst}",
                f"{rates[worst]} health checks per second from {len(draft.pops)} PoPs",
                f"at most {budget}",
                f"write health.interval_ms: {needed} at a service of the pool, or raise"
                " check_budget_per_s",
                "check-budget-worker",
            )
        )
    return problems
