"""In what order rows are deleted, and which of them go by the delete of another."""

from __future__ import annotations

from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopback_iac.engine.run import Old

Group: TypeAlias = list["Old"]


def find_hosts(doomed: list[Old], kept: set[int]) -> dict[int, int]:
    """
    Which row takes which along when it is deleted (`deleted_with`), by index.

    Only one that is deleted itself does. One that waits for deletion since an earlier run takes
    only what waits with it; where several of its URN go, nobody knows which takes what.
    """
    by_urn: dict[str, list[Old]] = defaultdict(list)
    for old in doomed:
        by_urn[old.resource.urn].append(old)
    hosts = {}
    for old in doomed:
        found = by_urn.get(old.resource.deleted_with, [])
        if len(found) == 1 and _takes_along(found[0], old) and found[0].index not in kept:
            hosts[old.index] = found[0].index
    # A damaged state may have a cycle: nothing in it goes by itself.
    return {index: host for index, host in hosts.items() if _find_last(index, hosts) not in hosts}


def find_below(doomed: list[Old]) -> dict[int, set[int]]:
    """Which of these rows each of them rests on, by index."""
    by_urn: dict[str, list[int]] = defaultdict(list)
    for old in doomed:
        by_urn[old.resource.urn].append(old.index)
    return {
        old.index: {
            index
            for urn in old.resource.iter_references()
            for index in by_urn[urn]
            if index != old.index
        }
        for old in doomed
    }


def arrange(
    doomed: list[Old], below: Mapping[int, set[int]], hosts: Mapping[int, int]
) -> list[list[Group]]:
    """
    Order rows for deletion, what rests on others first.

    Out: layers of groups. A group is a row with all it takes along; what one of them rests on is
    in a later layer, for all of them stay where the delete fails. What leads from a row back to the
    one that takes it along is in the group as well, and so is a cycle of a damaged state.
    """
    leaders = {old.index: _find_last(old.index, hosts) for old in doomed}
    while True:
        before: dict[int, set[int]] = {leader: set() for leader in leaders.values()}
        for index, lower in below.items():
            for other in lower:
                if leaders[other] != leaders[index]:
                    before[leaders[other]].add(leaders[index])
        sorter = TopologicalSorter(before)
        try:
            sorter.prepare()
        except CycleError as error:
            cycle = set(error.args[1])
            first = min(cycle)
            leaders = {index: first if one in cycle else one for index, one in leaders.items()}
        else:
            break
    groups: dict[int, Group] = defaultdict(list)
    for old in sorted(doomed, key=lambda old: old.index, reverse=True):
        groups[leaders[old.index]].append(old)
    layers = []
    while sorter.is_active():
        ready = sorter.get_ready()
        layers.append([groups[leader] for leader in sorted(ready, reverse=True)])
        sorter.done(*ready)
    return layers


def _takes_along(host: Old, old: Old) -> bool:
    resource = host.resource
    stays = resource.retain_on_delete or resource.external
    stays = stays or (resource.protect and not host.condemned)
    return not stays and resource.delete == old.resource.delete


def _find_last(index: int, hosts: Mapping[int, int]) -> int:
    seen = set()
    while index in hosts and index not in seen:
        seen.add(index)
        index = hosts[index]
    return index
