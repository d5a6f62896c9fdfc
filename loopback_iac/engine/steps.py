"""From a goal to what is done about it: create, update, replace, or nothing."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from loopback_iac.engine.aliases import list_former_urns
from loopback_iac.engine.diffs import (
    Part,
    compare,
    describe,
    find_replacing,
    undecided,
)
from loopback_iac.engine.errors import EngineError, RefusedError, StepError, UsageError
from loopback_iac.engine.paths import keep_old_values
from loopback_iac.engine.references import REFERENCE_TYPE
from loopback_iac.engine.registry import AnyProvider, Providers, fill_resource, raise_failures
from loopback_iac.engine.results import Change, Op
from loopback_iac.engine.run import Old, Run, stamp
from loopback_iac.engine.state import PROVIDER_PREFIX, STACK_TYPE, Resource
from loopback_iac.engine.undone import go_on, keep_known, skip_if_lost
from loopback_iac.engine.urns import make_urn, package_of

if TYPE_CHECKING:
    from loopback_iac.engine.goal import Goal
    from loopback_iac.engine.perform import Performer
    from loopback_iac.engine.policy import Policies
    from loopback_iac.engine.values import Values

_BUILT_IN = "pulumi:pulumi:"


@dataclass(frozen=True, slots=True)
class Decision:
    """What the comparison of one resource came to."""

    op: Op
    parts: tuple[Part, ...] = ()
    replacing: tuple[str, ...] = ()
    delete_first: bool = False


@dataclass(slots=True)
class Registrar:
    """Turns registrations into steps; called from many threads at once."""

    run: Run
    providers: Providers
    policies: Policies
    performer: Performer
    _goals: dict[str, Goal] = field(default_factory=dict)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def register(self, goal: Goal) -> Resource:
        """
        Bring one resource to what the program wants.

        Out: the resource as it is now; in a plan, as it would be.
        Raises: EngineError when it cannot be, StoppedError when the run is ending, UndoneError
            when the run goes on without it.
        """
        self.run.check_running()
        goal, urn = self._claim(goal)
        skip_if_lost(goal, urn, self.run)
        try:
            return self._bring(goal, urn)
        except EngineError as error:
            go_on(goal, urn, self.run, error)
            raise

    def _bring(self, goal: Goal, urn: str) -> Resource:
        if goal.type.startswith(PROVIDER_PREFIX):
            return self.providers.register(goal, urn)
        if goal.read is not None:
            return self._read(goal, goal.read, urn)
        if goal.custom:
            return self._register_custom(goal, urn)
        return self._register_component(goal, urn)

    def _claim(self, goal: Goal) -> tuple[Goal, str]:
        known = goal.parent in self.run.news or goal.parent in self.run.undone
        if goal.parent and not known:
            raise UsageError(f"{goal.type} {goal.name!r}: parent {goal.parent} is not registered")
        urn = make_urn(self.run.stack, self.run.project.name, goal.parent, goal.type, goal.name)
        with self._mutex:
            if urn in self._goals:
                raise UsageError(f"duplicate resource URN {urn}; give one of the two another name")
            above = self._goals[goal.parent].former if goal.parent else ()
            goal = replace(goal, former=list_former_urns(goal, self.run, above))
            self._goals[urn] = goal
        return goal, urn

    def _register_component(self, goal: Goal, urn: str) -> Resource:
        old = self.run.find_old(urn, goal.former)
        if old is not None and old.resource.custom:
            raise RefusedError(f"a custom resource that becomes a component ({urn})")
        new = fill_resource(goal, urn, self.run, goal.inputs)
        new.inputs = self.policies.review(new, goal, "")
        parts: list[Part] = []
        op = Op.CREATE
        if old is not None:
            parts = compare(old.resource.inputs, new.inputs)
            op = Op.UPDATE if _decided(parts) else Op.SAME
            new.outputs, new.created = old.resource.outputs, old.resource.created
            new.modified = old.resource.modified
        if op is not Op.SAME:
            new.modified = stamp()
            new.created = new.created or new.modified
        self.performer.settle(new, old)
        if goal.type != STACK_TYPE:
            self.run.report_done(_describe(new, Decision(op, tuple(parts)), old))
        return new

    def _register_custom(self, goal: Goal, urn: str) -> Resource:
        if goal.type.startswith(_BUILT_IN):
            raise RefusedError(f"{goal.type} ({urn})")
        reference = self.resolve_provider(goal)
        provider = self.providers.get(reference)
        old = self.run.find_old(urn, goal.former)
        if old is not None and (old.resource.external or not old.resource.custom):
            raise RefusedError(f"taking over {urn}, which the state holds as external or component")
        new = self._prepare(goal, urn, reference, provider, old)
        if old is None:
            return self.performer.create(new, provider, _describe(new, Decision(Op.CREATE), None))
        if old.deleted:
            change = _describe(new, Decision(Op.REPLACE), old)
            return self.performer.create(new, provider, change, replaces=old)
        if self.run.was_replaced(new.deleted_with):
            decision = Decision(Op.REPLACE, replacing=("deletedWith",))
        else:
            decision = self._decide(new, old, provider)
        if decision.op is Op.REPLACE:
            return self._replace(goal, new, old, provider, decision)
        change = _describe(new, decision, old)
        if decision.op is Op.UPDATE:
            return self.performer.update(new, old, provider, change)
        return self.performer.keep(new, old, change)

    def _read(self, goal: Goal, ident: str, urn: str) -> Resource:
        """Look up what exists and belongs to somebody else; it is never changed nor deleted."""
        if goal.type.startswith(_BUILT_IN) and goal.type != REFERENCE_TYPE:
            raise RefusedError(f"reading {goal.type} ({urn})")
        reference = self.resolve_provider(goal)
        old = self.run.find_old(urn)
        if old is not None and not old.resource.external:
            raise RefusedError(f"reading {urn}, which this stack owns", "give it another name")
        new = fill_resource(goal, urn, self.run, goal.inputs)
        new.provider, new.id, new.external = reference, ident, True
        change = _describe(new, Decision(Op.READ), old)
        return self.performer.read(new, self.providers.get(reference), old, change)

    def resolve_provider(self, goal: Goal) -> str:
        """The reference given, else the nearest component's for the package, else the default."""
        if goal.provider:
            return goal.provider
        package, parent = package_of(goal.type), goal.parent
        while parent:
            found = self._goals[parent].providers.get(package)
            if found:
                return found
            parent = self._goals[parent].parent
        return self.providers.default_for(goal.type, goal.version, goal.plugin_url)

    def _prepare(
        self, goal: Goal, urn: str, reference: str, provider: AnyProvider, old: Old | None
    ) -> Resource:
        """Check, remediate and analyze; out: the resource with the inputs it will have."""
        asked, olds = goal.inputs, {}
        if old is not None and not old.deleted:
            olds = old.resource.inputs
            asked = keep_old_values(asked, olds, goal.ignore_changes)
        inputs, failures = provider.check(urn, olds, asked)
        raise_failures(failures, goal.type, goal.name, self.run, urn)
        new = fill_resource(goal, urn, self.run, inputs)
        new.provider = reference
        new.inputs = self.policies.review(new, goal, new.provider_urn)
        return new

    def _decide(self, new: Resource, old: Old, provider: AnyProvider) -> Decision:
        """Ask the provider what the difference means; where it has no opinion, compare inputs."""
        if self._changes_provider(new, old, provider):
            parts = compare(old.resource.inputs, new.inputs)
            return Decision(Op.REPLACE, tuple(parts), ("provider",))
        answer = provider.diff(new.urn, old.resource, new.inputs, new.ignore_changes)
        parts = compare(old.resource.inputs, new.inputs)
        if parts and not _decided(parts):
            return Decision(Op.SAME, tuple(parts))  # the provider saw unknowns there as well
        changed = _decided(parts) if answer.changes is None else answer.changes
        replacing = answer.replaces
        if changed:
            paths = answer.paths or tuple(part.path for part in parts)
            replacing = (*replacing, *find_replacing(paths, new.replace_on_changes))
        if replacing or old.resource.pending_replacement:
            first = answer.delete_before_replace or old.resource.pending_replacement
            return Decision(Op.REPLACE, tuple(parts), replacing, first)
        if changed or old.resource.init_errors:
            return Decision(Op.UPDATE, tuple(parts))
        return Decision(Op.SAME)

    def _changes_provider(self, new: Resource, old: Old, provider: AnyProvider) -> bool:
        if new.provider == old.resource.provider or not old.resource.provider:
            return False
        former = self.run.get_row(old.resource.provider_urn)
        current = self.run.news[new.provider_urn]
        olds: Values = former.resource.inputs if former else {}
        return bool(provider.diff_config(current.urn, olds, current.inputs).replaces)

    def _replace(
        self, goal: Goal, new: Resource, old: Old, provider: AnyProvider, decision: Decision
    ) -> Resource:
        if new.protect and old.resource.protect:
            raise StepError(
                f"unable to replace {new.urn}: it is protected; take `protect` out of the program"
            )
        first = decision.delete_first
        if goal.delete_before_replace is not None:
            first = goal.delete_before_replace or old.resource.pending_replacement
        # Defaults carried over from the old one are no longer true: check again without it.
        fresh = self._prepare_anew(goal, new, provider)
        change = _describe(fresh, decision, old, "delete first" if first else "")
        if first:
            with self.run.slot():
                self.performer.delete_first(old)
            return self.performer.create(fresh, provider, change, replaces=old)
        return self.performer.create(fresh, provider, change, replaces=old, keep=True)

    def _prepare_anew(self, goal: Goal, new: Resource, provider: AnyProvider) -> Resource:
        """
        Check without the old inputs, then the policies once more on what comes out.

        The Pulumi CLI does not repeat the policies here, so a remediation is lost when it replaces.
        """
        inputs, failures = provider.check(new.urn, {}, goal.inputs)
        raise_failures(failures, goal.type, goal.name, self.run, new.urn)
        fresh = fill_resource(goal, new.urn, self.run, inputs)
        fresh.provider = new.provider
        fresh.inputs = self.policies.review(fresh, goal, fresh.provider_urn)
        return fresh

    def register_outputs(self, urn: str, outputs: Values) -> None:
        """
        Note the outputs of a component; the stack's own are settled when the program has ended.

        Raises: UsageError when the component is not registered.
        """
        resource = self.run.news.get(urn)
        if urn in self.run.undone and resource is None:
            return
        if resource is None:
            raise UsageError(f"outputs of {urn}, which is not registered")
        if resource.type == STACK_TYPE:
            self.run.stack_outputs = (urn, outputs)
        else:
            if self.run.undone and not self.run.dry_run:
                outputs = keep_known(outputs, resource.outputs)
            self.performer.settle_outputs(resource, outputs)


def _decided(parts: list[Part]) -> bool:
    return any(part.kind != "undecided" for part in parts)


def _describe(new: Resource, decision: Decision, old: Old | None, note: str = "") -> Change:
    parts = decision.parts if old is not None else tuple(compare({}, new.inputs))
    return Change(
        urn=new.urn,
        type=new.type,
        name=new.name,
        op=decision.op,
        custom=new.custom,
        properties=describe(parts, decision.replacing),
        undecided=undecided(parts),
        note=note,
    )
