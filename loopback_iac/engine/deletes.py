"""Deleting what the program no longer wants, dependents first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loopback_iac.engine.answers import LostError
from loopback_iac.engine.diffs import compare, describe
from loopback_iac.engine.errors import EngineError
from loopback_iac.engine.layers import arrange, find_below, find_hosts
from loopback_iac.engine.provider import Provider
from loopback_iac.engine.results import Change, Op
from loopback_iac.engine.state import STACK_TYPE
from loopback_iac.engine.undone import find_kept, note_undone

if TYPE_CHECKING:
    from loopback_iac.engine.journal import Event
    from loopback_iac.engine.layers import Group
    from loopback_iac.engine.registry import Providers
    from loopback_iac.engine.run import Old, Run


@dataclass(slots=True)
class Deleter:
    """Deletes rows layer by layer: a layer has no dependents left, and ends before the next."""

    run: Run
    providers: Providers
    _kept: set[int] = field(default_factory=set)
    _hosts: dict[int, int] = field(default_factory=dict)
    _below: dict[int, set[int]] = field(default_factory=dict)

    def delete_leftovers(self) -> None:
        """
        Delete every row no new one stands for.

        What fails or is protected stays in state, with everything it rests on and everything that
        was to go along with it; the rest goes on. So does what this run could not bring where it
        should be, and what rests on that.
        """
        doomed = [old for old in self.run.olds if not old.taken]
        self._kept = find_kept(doomed, self.run)
        self._hosts = find_hosts(doomed, self._kept)
        self._below = find_below(doomed)
        with ThreadPoolExecutor(self.run.parallel) as pool:
            for layer in arrange(doomed, self._below, self._hosts):
                for left in pool.map(self._delete_group, layer):
                    for old in left:
                        self._kept |= self._below[old.index]

    def _delete_group(self, group: Group) -> Group:
        """Out: what is left of it."""
        calls = [old for old in group if old.index not in self._hosts and _is_real(old)]
        if len(calls) <= 1:
            return self._delete(group, calls[0] if calls else group[-1])
        # What goes along stands on something that is deleted before its host: nothing goes along.
        left: Group = []
        lower: set[int] = set()
        for old in group:
            if old.index in lower or self._delete([old], old):
                left.append(old)
                lower |= self._below[old.index]
        return left

    def _delete(self, group: Group, lead: Old) -> Group:
        """Delete one row, and with it those it takes along; out: what is left."""
        if self.run.cancelled or any(old.index in self._kept for old in group):
            return group
        protected = [old for old in group if old.resource.protect and not old.condemned]
        for old in protected:
            self.run.fail(
                f"{old.resource.urn} cannot be deleted because it is protected; take `protect` out"
                " of the program and run up first",
                old.resource.urn,
                ends=False,
            )
        if protected:
            return group
        along = [old.index for old in group if old is not lead]
        event: Event = {"e": "gone", "old": lead.index, **({"along": along} if along else {})}
        change = _describe(lead)
        try:
            if self.run.dry_run or not _is_real(lead):
                self.run.record(event)
            else:
                self._call_provider(lead, change, event)
        except EngineError as error:
            self.run.report_failed(change)
            self.run.fail(str(error), lead.resource.urn, ends=False)
            note_undone(lead.resource, self.run)
            return group
        for old in group:
            resource = old.resource
            inner = resource.is_provider and resource.name.startswith("default")
            if not inner and resource.type != STACK_TYPE:
                self.run.report_done(_describe(old))
        return []

    def _call_provider(self, old: Old, change: Change, event: Event) -> None:
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
        self.run.record({**event, "n": number})


def _is_real(old: Old) -> bool:
    """Whether its provider is to be called: not for what is only a row."""
    resource = old.resource
    only_row = not resource.custom or resource.is_provider or resource.external
    # A replacement that deletes first may be cut short: then only the row is left.
    only_row = only_row or old.deleted or resource.pending_replacement
    return not only_row and not resource.retain_on_delete


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
