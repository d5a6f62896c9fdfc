"""Carrying a step out: tell the journal, call the provider, keep what came of it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from loopback_iac.engine.answers import LostError, PartialError
from loopback_iac.engine.diffs import compare, describe, find_replacing
from loopback_iac.engine.errors import EngineError, StepError
from loopback_iac.engine.provider import Provider
from loopback_iac.engine.results import Change, Op
from loopback_iac.engine.run import Old, Run, stamp
from loopback_iac.engine.values import UNKNOWN, Values, has_unknown, mark_like

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopback_iac.engine.registry import AnyProvider, Providers
    from loopback_iac.engine.state import Resource

_FIRST = "for its replacement"


@dataclass(slots=True)
class Performer:
    """Does what was decided; in a plan, asks the provider what would come of it."""

    run: Run
    providers: Providers

    def create(
        self,
        new: Resource,
        provider: AnyProvider,
        change: Change,
        replaces: Old | None = None,
        *,
        keep: bool = False,
    ) -> Resource:
        """
        Create a resource.

        In: replaces: the row it takes the place of; keep: that one is deleted at the end.
        """
        event: dict[str, Any] = {"old": replaces.index if replaces else None, "keep": keep}
        with self.run.slot(), self._reported(change):
            if self.run.dry_run:
                new.outputs = provider.preview(new, None)
                self._take(new, replaces, keep=keep)
                return new
            number = self.run.begin("creating", new)
            partial: PartialError | None = None
            with self._ended(number):
                try:
                    new.id, new.outputs = _running(provider).create(new)
                except PartialError as error:
                    partial = error
                    self._keep_partial(new, error)
                if not new.id:
                    raise StepError(f"the provider of {new.type} created it without an id")
            new.created = new.modified = stamp()
            self._record_new(new, number, event)
            self._take(new, replaces, keep=keep)
            if partial is not None:
                raise partial
        return new

    def update(self, new: Resource, old: Old, provider: AnyProvider, change: Change) -> Resource:
        """Update a resource in place."""
        new.id, new.created = old.resource.id, old.resource.created
        with self.run.slot(), self._reported(change):
            if self.run.dry_run:
                new.outputs = provider.preview(new, old.resource)
                self._take(new, old)
                return new
            number = self.run.begin("updating", replace(old.resource, inputs=new.inputs))
            partial: PartialError | None = None
            with self._ended(number):
                try:
                    new.outputs = _running(provider).update(new, old.resource)
                except PartialError as error:
                    partial = error
                    self._keep_partial(new, error)
            new.modified = stamp()
            self._record_new(new, number, {"old": old.index, "keep": False})
            self._take(new, old)
            if partial is not None:
                raise partial
        return new

    def read(
        self, new: Resource, provider: AnyProvider, old: Old | None, change: Change
    ) -> Resource:
        """Look a resource up, in a plan as well; an id that is not known yet gives no outputs."""
        with self.run.slot(), self._reported(change):
            if new.id:
                wanted = new.id
                new.id, new.outputs = provider.read(new)
                if not new.id:
                    raise StepError(f"{new.type} {new.name!r}: {wanted!r} does not exist")
            new.mark_secret_outputs()
            new.created = new.modified = stamp()
            if old is not None:
                new.created = old.resource.created
                if (new.id, new.outputs) == (old.resource.id, old.resource.outputs):
                    new.modified = old.resource.modified
            self.settle(new, old)
        return new

    def keep(self, new: Resource, old: Old, change: Change) -> Resource:
        """Carry an unchanged resource over."""
        new.id, new.outputs = old.resource.id, old.resource.outputs
        new.created, new.modified = old.resource.created, old.resource.modified
        new.mark_secret_outputs()
        self.settle(new, old)
        self.run.report_done(change)
        return new

    def settle(self, new: Resource, old: Old | None) -> None:
        """Write a row that needed no provider; an unchanged one is only named."""
        if self.run.journal is not None:
            row = self.run.codec.encode(new)
            event: dict[str, Any] = {"e": "new", "old": old.index if old else None}
            if old is None or row != old.row:
                event["r"] = row
            self.run.record(event, durable="r" in event)
        if old is not None:
            old.taken = True
        self.run.add_new(new)

    def settle_outputs(self, resource: Resource, outputs: Values) -> None:
        """Write the outputs a component registered."""
        parts = compare(resource.outputs, outputs)
        resource.outputs = outputs
        if not parts:
            return
        known = [part for part in parts if not has_unknown(part.new)]
        self.run.report_outputs(resource.urn, describe(known))
        if self.run.journal is not None:
            encoded = self.run.codec.encode_value(resource.urn, outputs)
            self.run.record({"e": "outputs", "urn": resource.urn, "o": encoded}, durable=False)

    def delete_first(self, old: Old) -> None:
        """
        Delete a resource ahead of its replacement, and before it what cannot outlive it.

        Dependents go first when the provider says that an unknown in the property that depends on
        this one would replace them; others stay and are updated later. What is deleted with one of
        them goes along with it, unless that one is retained.
        """
        if old.resource.pending_replacement:
            return
        chain = self._find_dependents(old)
        for dependent in chain:
            if dependent.resource.protect:
                raise StepError(
                    f"unable to replace {dependent.resource.urn} as part of replacing"
                    f" {old.resource.urn}: it is protected"
                )
        hosts = {one.resource.urn for one in (*chain, old) if not one.resource.retain_on_delete}
        hosts -= {former.resource.urn for former in self.run.olds if former.resource.delete}
        along = [doomed for doomed in chain if doomed.resource.deleted_with in hosts]
        for doomed in (*reversed(chain), old):
            if doomed not in along:
                self._delete_for_replacement(doomed, _find_along(doomed, along))

    def _delete_for_replacement(self, old: Old, along: list[Old]) -> None:
        resource = old.resource
        event: dict[str, Any] = {"e": "replacing", "old": old.index}
        if along:
            event["along"] = [other.index for other in along]
        changes = [
            Change(one.resource.urn, one.resource.type, one.resource.name, Op.DELETE, note=_FIRST)
            for one in (old, *along)
        ]
        if not self.run.dry_run and not resource.retain_on_delete:
            self.run.report_start(changes[0])
            provider = self.providers.get_former(resource.provider)
            number = event["n"] = self.run.begin("deleting", resource)
            try:
                with self._ended(number):
                    _running(provider).delete(resource)
            except EngineError as error:
                error.in_step = True
                raise
        self.run.record(event)
        for one, change in zip((old, *along), changes, strict=True):
            one.deleted = True
            self.run.report_done(change)

    def _find_dependents(self, root: Old) -> list[Old]:
        """Old rows, in state order, that a replacement of `root` would replace as well."""
        doomed = {root.resource.urn}
        found: list[Old] = []
        for old in self.run.olds:
            row = old.resource
            taken = old.deleted or old.condemned or row.urn in self.run.news
            if taken or not row.custom or row.external or row.is_provider:
                continue
            if row.deleted_with in doomed:
                doomed.add(row.urn)
                found.append(old)
                continue
            hit = {key for key, urns in row.property_dependencies.items() if doomed & set(urns)}
            if not hit or not hit & set(row.inputs):
                continue
            guess = {key: UNKNOWN if key in hit else value for key, value in row.inputs.items()}
            answer = self.providers.get_former(row.provider).diff(
                row.urn, row, guess, row.ignore_changes
            )
            paths = answer.paths or tuple((key,) for key in hit)
            if answer.replaces or (
                answer.changes and find_replacing(paths, row.replace_on_changes)
            ):
                doomed.add(row.urn)
                found.append(old)
        return found

    def _take(self, new: Resource, replaces: Old | None, *, keep: bool = False) -> None:
        new.mark_secret_outputs()
        if replaces is not None:
            replaces.condemned = keep
            replaces.taken = not keep
        self.run.add_new(new)

    def _record_new(self, new: Resource, number: int, event: dict[str, Any]) -> None:
        new.mark_secret_outputs()
        row = self.run.codec.encode(new)
        self.run.record({"e": "new", "r": row, "n": number, **event})

    def _keep_partial(self, new: Resource, error: PartialError) -> None:
        new.id = error.ident or new.id
        new.outputs = mark_like(error.outputs, new.inputs)
        new.inputs = mark_like(error.inputs, new.inputs) or new.inputs
        new.init_errors = str(error).split("\n")

    @contextmanager
    def _ended(self, number: int) -> Iterator[None]:
        """End a pending operation on a clear error; an unclear one stays on record."""
        try:
            yield
        except LostError:
            raise
        except EngineError:
            self.run.end(number)
            raise

    @contextmanager
    def _reported(self, change: Change) -> Iterator[None]:
        self.run.report_start(change)
        try:
            yield
        except EngineError as error:
            error.urn, error.in_step = error.urn or change.urn, True
            self.run.report_failed(change)
            raise
        self.run.report_done(change)


def _find_along(host: Old, along: list[Old]) -> list[Old]:
    """Those of `along`, in state order, that go with a host, or with what goes with it."""
    going = {host.resource.urn}
    found = []
    for old in along:
        if old.resource.deleted_with in going:
            going.add(old.resource.urn)
            found.append(old)
    return found


def _running(provider: AnyProvider) -> Provider:
    if isinstance(provider, Provider):
        return provider
    raise StepError("this resource's provider has no plugin")  # a plan goes on without, an up not
