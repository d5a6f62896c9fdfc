"""The one door for a fleet: an untrusted tree in, a frozen Fleet or every problem out."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import TypeVar

from loopback_iac.model.allocate import allocate
from loopback_iac.model.bgp import Upstream
from loopback_iac.model.check_bgp_tunnels import check_bgp_tunnels
from loopback_iac.model.check_blackholes import check_blackholes
from loopback_iac.model.check_egress import check_egress
from loopback_iac.model.check_limits import check_limits
from loopback_iac.model.check_name_service import check_name_service
from loopback_iac.model.check_nodes import check_nodes
from loopback_iac.model.check_origins import check_origins
from loopback_iac.model.check_reach import check_reach
from loopback_iac.model.check_services import check_services
from loopback_iac.model.check_space import check_space
from loopback_iac.model.check_upstreams import check_upstreams
from loopback_iac.model.draft import Draft
from loopback_iac.model.fields import Value
from loopback_iac.model.fleet import Fleet, Pop, Settings
from loopback_iac.model.problem import InputRejected, Problem
from loopback_iac.model.structure import collect, named, plain
from loopback_iac.model.traffic import Pool, Prefix, Service, Vip, Worker

V = TypeVar("V", bound=Value)
CHECKS = (
    check_space,
    check_origins,
    check_nodes,
    check_reach,
    check_services,
    check_name_service,
    check_limits,
    check_upstreams,
    check_bgp_tunnels,
    check_blackholes,
    check_egress,
)
SECTIONS = ("prefixes", "vips", "pops", "pools", "services")


def parse_fleet(name: str, tree: Mapping[str, object], today: date | None = None) -> Fleet:
    """The whole fleet, parsed and cross-checked.

    In: the args tree with snake_case keys; late values may be any object and are not looked into;
        the day on which declared facts must hold, by default today (UTC).
    Raises: InputRejected with every problem at once.
    """
    problems: list[Problem] = []
    whole = plain(tree)
    assert isinstance(whole, dict)  # noqa: S101  # a Mapping stays a map
    sections = {key: _section(key, whole, problems) for key in SECTIONS}
    rest = {key: value for key, value in whole.items() if key not in SECTIONS}
    settings = collect(Settings, "", rest, problems, known=Fleet)
    written = {key: frozenset(items) for key, items in sections.items()}
    prefixes = _parts(Prefix, "prefixes", sections, problems)
    vips = _parts(Vip, "vips", sections, problems)
    written["workers"] = frozenset(_worker_names(sections["pools"]))
    draft = Draft(
        settings=settings,
        prefixes=prefixes,
        vips=allocate(prefixes, vips, settings, written["prefixes"], problems),
        pops={
            key: pop
            for key, item in sections["pops"].items()
            if (pop := _pop(f"pops.{key}", item, problems))
        },
        pools={
            key: pool
            for key, item in sections["pools"].items()
            if (pool := _pool(f"pools.{key}", item, problems))
        },
        services=_parts(Service, "services", sections, problems),
        named=written,
        today=today or datetime.now(UTC).date(),
    )
    for check in CHECKS:
        problems += check(draft)
    if name_problem := _fleet_name(name):
        problems.append(name_problem)
    if problems or settings is None:
        raise InputRejected(name, tuple(problems))
    return Fleet.model_validate({"name": name, **dict(settings), **draft.sections()})


def _fleet_name(name: str) -> Problem | None:
    if name.strip() and name.isprintable():
        return None
    return Problem("name", f"{name!r} names nothing", "one word", "name the fleet", "fleet-name")


def _section(key: str, tree: dict[str, object], problems: list[Problem]) -> dict[str, object]:
    if key not in tree:
        problems.append(Problem(key, "is missing", "", f"add {key}", "field-missing"))
        return {}
    entries = named(key, tree[key], problems)
    if not entries and isinstance(tree[key], dict):
        problems.append(
            Problem(key, "is empty", "at least one", f"declare one under {key}", "section-empty")
        )
    return entries


def _worker_names(pools: Mapping[str, object]) -> Iterator[str]:
    """As written, in pools that parse or not."""
    for pool in pools.values():
        workers = pool.get("workers") if isinstance(pool, dict) else None
        yield from workers if isinstance(workers, dict) else ()


def _parts(
    kind: type[V], key: str, sections: dict[str, dict[str, object]], problems: list[Problem]
) -> dict[str, V]:
    found = {
        name: collect(kind, f"{key}.{name}", tree, problems)
        for name, tree in sorted(sections[key].items())
    }
    return {name: part for name, part in found.items() if part is not None}


def _inner(
    kind: type[V], path: str, key: str, tree: object, problems: list[Problem]
) -> tuple[object, dict[str, V]]:
    """The tree of a part with its map of inner parts parsed one by one."""
    if not isinstance(tree, dict) or key not in tree:
        return tree, {}
    where = f"{path}.{key}"
    entries = named(where, tree[key], problems)
    found = {n: collect(kind, f"{where}.{n}", t, problems) for n, t in sorted(entries.items())}
    parts = {n: part for n, part in found.items() if part is not None}
    if not entries and isinstance(tree[key], dict):
        problems.append(_empty_inner(where, key))
    return {**tree, key: parts}, parts


def _empty_inner(where: str, key: str) -> Problem:
    if key == "upstreams":
        return Problem(
            where,
            "a PoP without an upstream announces nothing",
            "at least one upstream",
            "declare the router that carries this PoP's announcements; where the provider sells no"
            " BGP session, one at the far end of a tunnel (kind: tunnel)",
            "pop-without-upstream",
        )
    return Problem(
        where,
        "an empty pool serves nobody",
        "at least one worker",
        "declare a worker, or remove the pool and its services",
        "pool-empty",
    )


def _pop(path: str, tree: object, problems: list[Problem]) -> Pop | None:
    tree, _ = _inner(Upstream, path, "upstreams", tree, problems)
    return collect(Pop, path, tree, problems)


def _pool(path: str, tree: object, problems: list[Problem]) -> Pool | None:
    tree, _ = _inner(Worker, path, "workers", tree, problems)
    return collect(Pool, path, tree, problems)
