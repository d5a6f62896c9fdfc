"""Deleting what the program no longer wants, dependents first."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loopback_iac.engine.answers import LostError
from loopback_iac.engine.diffs import compare, describe
from loopback_iac.engine.errors import EngineError
from loopback_iac.engine.provider import Provider
from loopback_iac.engine.results import Change, Op
from loopback_iac.engine.state import STACK_TYPE
from loopback_iac.engine.undone import find_kept, note_undone

if TYPE_CHECKING:
    from loopback_iac.engine.registry import Providers
    from loopback_iac.engine.run import Old, Run


@dataclass(slots=True)
class Deleter:
    """Deletes rows layer by layer: a layer has no dependents left, and ends before the next."""

    run: Run
    providers: Providers
    _kept: set[int] = field(default_factory=set)
    _going: set[tuple[str, bool]] = field(default_factory=set)

    def delete_leftovers(self) -> None:
        """
        Delete every row no new one stands for.

        What fails or is protected stays in state, with everything it rests on; the rest goes on.
        So does what this run could not bring where it should be, and what rests on that.
        """
        doomed = [old for old in self.run.olds if not old.taken]
        self._kept = find_kept(doomed, self.run)
        self._going = {
            (old.resource.urn, old.resource.delete)
            for old in doomed
            if old.index not in self._kept
            and not old.resource.retain_on_delete
            and (old.condemned or not old.resource.protect)
        }
        layers, rests_on = _layer(doomed)
        with ThreadPoolExecutor(self.run.parallel) as pool:
            for layer in layers:
                blocked = [old for old in layer if old.index in self._kept]
                going = [old for old in layer if old.index not in self._kept]
                outcomes = list(pool.map(self._delete_one, going))
                kept = [old for old, gone in zip(going, outcomes, strict=True) if not gone]
                for old in (*blocked, *kept):
                    self._kept |= rests_on[old.index]

    def _delete_one(self, old: Old) -> bool:
        """Out: whether the row is gone."""
        if self.run.cancelled:
            return False
        resource = old.resource
        if resource.protect and not old.condemned:
            self.run.fail(
                f"{resource.urn} cannot be deleted because it is protected; take `protect` out of"
                " the program and run up first",
                resource.urn,
                ends=False,
            )
            return False
        change = _describe(old)
        silent = not resource.custom or resource.is_provider or resource.external
        # What it is deleted with goes in this run and takes it along; one that waits for deletion
        # since an earlier run takes only what waits with it.
        silent = silent or (resource.deleted_with, resource.delete) in self._going
        # A replacement that deletes first may be cut short: then only the row is left.
        silent = silent or old.deleted or resource.pending_replacement
        try:
            if silent or resource.retain_on_delete or self.run.dry_run:
                self.run.record({"e": "gone", "old": old.index})
            else:
                self._call_provider(old, change)
        except EngineError as error:
            self.run.report_failed(change)
            self.run.fail(str(error), resource.urn, ends=False)
            note_undone(resource, self.run)
            return False
        inner = resource.is_provider and resource.name.startswith("default")
        if not inner and resource.type != STACK_TYPE:
            self.run.report_done(change)
        return True

    def _call_provider(self, old: Old, change: Change) -> None:
        self.run.report_start(change)
        provider = self.providers.get_former(old.resource.provider)
        if not isinstance(provider, Provider):
            raise EngineError(f"no plugin to delete {old.resource.urn} with")
        number = self.run.begin("deleting", old.resource)
        try:
            provider.delete(old.resource)
        except LostError:
            raise  # nobody knows: the operation stays on record as pending
        except EngineError:
            self.run.end(number)
            raise
        self.run.record({"e": "gone", "old": old.index, "n": number})


def _describe(old: Old) -> Change:
    resource = old.resource
    note = "retain" if resource.retain_on_delete and resource.custom else ""
    if old.condemned:
        note = "replaced"
    return Change(
        urn=resource.urn,
        type=resource.type,
        name=resource.name,
        op=Op.DELETE,
        custom=resource.custom,
        properties=describe(compare(resource.inputs, {})),
        note=note,
    )


def _layer(doomed: list[Old]) -> tuple[list[list[Old]], dict[int, set[int]]]:
    """
    Order rows for deletion.

    Out: layers, each in reverse state order; and for each row those it rests on, by index.
    """
    by_urn: dict[str, list[Old]] = defaultdict(list)
    for old in doomed:
        by_urn[old.resource.urn].append(old)
    rests_on: dict[int, set[int]] = {}
    waiting: dict[int, int] = dict.fromkeys((old.index for old in doomed), 0)
    for old in doomed:
        below = {
            found.index
            for urn in old.resource.iter_references()
            for found in by_urn[urn]
            if found.index != old.index
        }
        rests_on[old.index] = below
        for index in below:
            waiting[index] += 1
    left = {old.index: old for old in doomed}
    layers: list[list[Old]] = []
    while left:
        # A damaged state may have a cycle: then what is left goes as one layer.
        ready = [index for index in left if waiting[index] == 0] or list(left)
        layer = [left.pop(index) for index in ready]
        layers.append(sorted(layer, key=lambda old: old.index, reverse=True))
        for index in ready:
            for lower in rests_on[index]:
                waiting[lower] -= 1
    return layers, rests_on
