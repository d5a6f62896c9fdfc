"""Routes alone: as many disjoint ones as a smallest cut has members.

By Menger's theorem the two are equally many; each is short to check without the other.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import networkx as nx

from loopback_iac.proof.model import Route

_OUTSIDE, _INSIDE = "", "."  # no cause has such a key


@dataclass(frozen=True)
class Menger:
    """Routes that share nothing, and things on routes that leave none when they are lost."""

    routes: tuple[Route, ...]
    cut: tuple[str, ...]


def disjoint_routes(routes: Iterable[Route]) -> Menger:
    """As many routes as share nothing, with as small a cut; none of either where there is none."""
    graph = nx.DiGraph()
    for route in routes:
        nx.add_path(graph, (_OUTSIDE, *route, _INSIDE))
    if not graph:
        return Menger((), ())
    found = nx.node_disjoint_paths(graph, _OUTSIDE, _INSIDE)
    cut = nx.minimum_node_cut(graph, _OUTSIDE, _INSIDE)
    paths = (tuple(step for step in path if step not in (_OUTSIDE, _INSIDE)) for path in found)
    return Menger(tuple(sorted(paths)), tuple(sorted(cut)))
