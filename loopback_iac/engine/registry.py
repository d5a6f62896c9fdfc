"""The providers of a run: default, explicit, and those only the old state knows."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from loopback_iac.engine.diffs import compare, describe
from loopback_iac.engine.errors import StateError, StepError
from loopback_iac.engine.goal import Goal
from loopback_iac.engine.plugins import PluginAbsentError, find_plugin
from loopback_iac.engine.provider import AbsentProvider, Provider
from loopback_iac.engine.references import PACKAGE as BUILT_IN
from loopback_iac.engine.references import StackReferences
from loopback_iac.engine.results import Change, Op, Severity
from loopback_iac.engine.run import Old, Run, stamp
from loopback_iac.engine.state import PROVIDER_PREFIX, Resource
from loopback_iac.engine.urns import default_provider_name, make_urn, package_of
from loopback_iac.engine.values import UNKNOWN, Values, make_secret

if TYPE_CHECKING:
    from loopback_iac.engine.answers import Failure
    from loopback_iac.engine.policy import Policies

AnyProvider: TypeAlias = Provider | AbsentProvider


@dataclass(slots=True)
class Providers:
    """Starts each provider once; `engine_address` is what plugins are told."""

    run: Run
    policies: Policies
    engine_address: str = ""
    _live: dict[str, AnyProvider] = field(default_factory=dict)
    _started: list[AnyProvider] = field(default_factory=list)
    _former: dict[str, AnyProvider] = field(default_factory=dict)
    _absent: set[str] = field(default_factory=set)
    _guards: dict[str, threading.Lock] = field(default_factory=dict)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def get(self, reference: str) -> AnyProvider:
        """
        The provider a resource of this run names.

        In: reference: "<urn>::<id>".
        """
        urn = reference.rpartition("::")[0]
        provider = self._live.get(urn)
        if provider is None:
            raise StepError(f"provider {urn} has not been registered by the program")
        return provider

    def get_former(self, reference: str) -> AnyProvider:
        """
        The provider that manages a resource of the old state, started from the state if need be.

        Raises: StateError when the state has no such provider.
        """
        urn, _, ident = reference.rpartition("::")
        with self._guard(urn):
            new = self.run.news.get(urn)
            if new is not None and new.id == ident and urn in self._live:
                return self._live[urn]
            if reference not in self._former:
                self._former[reference] = self._start_former(urn, ident)
            return self._former[reference]

    def _start_former(self, urn: str, ident: str) -> AnyProvider:
        for old in self.run.olds:
            if old.resource.urn == urn and old.resource.id == ident:
                package = package_of(old.resource.type)
                version = str(old.resource.inputs.get("version") or "")
                provider = self._start(package, version)
                if isinstance(provider, Provider):
                    provider.configure(package, _without_internal(old.resource.inputs))
                return provider
        raise StateError(f"state: unknown provider {urn}::{ident}")

    def default_for(self, kind: str, version: str, url: str) -> str:
        """
        Register the default provider of a type's package when it is first needed.

        Out: the reference resources carry.
        """
        package = package_of(kind)
        name = default_provider_name(version, url)
        kind = PROVIDER_PREFIX + package
        urn = make_urn(self.run.stack, self.run.project.name, "", kind, name)
        with self._guard(urn):
            if urn not in self._live:
                inputs: Values = dict(self._stack_config(package))
                self._register(Goal(kind, name, custom=True, version=version, inputs=inputs), urn)
            return f"{urn}::{self.run.news[urn].id or UNKNOWN}"

    def register(self, goal: Goal, urn: str) -> Resource:
        """Register an explicit provider of the program."""
        with self._guard(urn):
            return self._register(goal, urn)

    def _register(self, goal: Goal, urn: str) -> Resource:
        package = package_of(goal.type)
        old = self.run.find_old(urn, goal.former)
        provider = self._start(package, goal.version)
        asked = _without_internal(goal.inputs)
        olds = _without_internal(old.resource.inputs) if old else {}
        if isinstance(provider, Provider):
            asked, failures = provider.check_config(urn, olds, asked)
            raise_failures(failures, goal.type, goal.name, self.run, urn)
        inputs: Values = {"__internal": {}, **asked}
        if goal.version:
            inputs["version"] = goal.version
        outputs = {key: value for key, value in inputs.items() if key != "__internal"}
        new = fill_resource(goal, urn, self.run, inputs)
        new.inputs = self.policies.review(new, goal, "")
        new.outputs = outputs
        self._settle(new, old, provider, olds)
        if isinstance(provider, Provider):
            provider.configure(package, _without_internal(new.inputs))
        self._live[urn] = provider
        self.run.add_new(new)
        return new

    def _settle(self, new: Resource, old: Old | None, provider: AnyProvider, olds: Values) -> None:
        """Decide whether this is the provider of the state, changed, or another one."""
        parts = compare(olds, _without_internal(new.inputs))
        op = Op.CREATE
        event: dict[str, Any] = {"e": "new", "old": None}
        if old is not None:
            op = Op.UPDATE if parts else Op.SAME
            answer = provider.diff_config(new.urn, olds, _without_internal(new.inputs))
            if parts and answer.replaces:
                op = Op.REPLACE
            event = {"e": "new", "old": old.index, "keep": op is Op.REPLACE}
        if old is not None and op is not Op.REPLACE:
            new.id, new.created = old.resource.id, old.resource.created
            new.modified = stamp() if op is Op.UPDATE else old.resource.modified
        elif not self.run.dry_run:
            new.id, new.created, new.modified = str(uuid.uuid4()), stamp(), stamp()
        if old is not None:
            old.condemned, old.taken = op is Op.REPLACE, op is not Op.REPLACE
        if self.run.journal is not None:
            self.run.record({**event, "r": self.run.codec.encode(new)}, durable=op is not Op.SAME)
        if not new.name.startswith("default"):
            properties = describe(parts) if old else ()
            self.run.report_done(Change(new.urn, new.type, new.name, op, properties=properties))

    def _start(self, package: str, version: str) -> AnyProvider:
        if package == BUILT_IN:
            return StackReferences(self.run.project, self.run.passphrase)
        try:
            command = find_plugin(self.run.project, package, version)
        except PluginAbsentError as error:
            if not self.run.dry_run:
                raise
            self._note_absent(package, str(error))
            return AbsentProvider()
        provider = Provider(package, command, self.run.project.work_dir, self.engine_address)
        with self._mutex:
            self._started.append(provider)
        provider.start()
        return provider

    def _note_absent(self, package: str, reason: str) -> None:
        with self._mutex:
            if package in self._absent:
                return
            self._absent.add(package)
        self.run.say(
            Severity.WARNING,
            f"{reason}; its resources are planned from their inputs alone: not validated, an update"
            " may turn out to be a replacement, and what depends on their outputs is unknown",
        )

    def _stack_config(self, package: str) -> Values:
        secret = self.run.config.secret_keys
        missing = {
            key.split(":", 1)[1]: make_secret(UNKNOWN)
            for key in self.run.config.missing
            if key.startswith(f"{package}:")
        }
        given = {
            key: make_secret(value) if f"{package}:{key}" in secret else value
            for key, value in self.run.config.namespace(package).items()
        }
        return {**missing, **given}

    def _guard(self, urn: str) -> threading.Lock:
        with self._mutex:
            return self._guards.setdefault(urn, threading.Lock())

    def cancel(self) -> None:
        """Pass a cancellation on to every provider."""
        for provider in list(self._started):
            provider.cancel()

    def close(self) -> None:
        """End every plugin process."""
        for provider in list(self._started):
            provider.close()


def fill_resource(goal: Goal, urn: str, run: Run, inputs: Values) -> Resource:
    """
    The row a goal asks for, before anything has been done about it.

    In: run: its registered parents decide what the goal left open.
    """
    parent = run.news.get(goal.parent)
    protect, retain = goal.protect, goal.retain_on_delete
    deleted_with = goal.deleted_with or (parent.deleted_with if parent else "")
    if protect is None:
        protect = parent.protect if parent else False
    if retain is None:
        retain = parent.retain_on_delete if parent else False
    return Resource(
        urn=urn,
        type=goal.type,
        custom=goal.custom,
        inputs=inputs,
        parent=goal.parent,
        dependencies=list(goal.dependencies),
        property_dependencies=goal.property_dependencies,
        protect=protect,
        retain_on_delete=retain,
        deleted_with=deleted_with,
        additional_secret_outputs=list(goal.additional_secret_outputs),
        ignore_changes=list(goal.ignore_changes),
        replace_on_changes=list(goal.replace_on_changes),
        timeouts_s=goal.timeouts_s,
    )


def raise_failures(failures: list[Failure], kind: str, name: str, run: Run, urn: str) -> None:
    """
    Say what Check refused.

    Raises: StepError when there is at least one failure.
    """
    if not failures:
        return
    texts = [
        f"{kind} resource {name!r}: "
        + (f"property {failure.property}: {failure.reason}" if failure.property else failure.reason)
        for failure in failures
    ]
    for text in texts[:-1]:
        run.fail(text, urn)
    error = StepError(texts[-1])
    error.urn = urn
    raise error


def _without_internal(inputs: Values) -> Values:
    """Configuration as a provider may see it."""
    own = ("__internal", "version", "pluginDownloadURL")
    return {key: value for key, value in inputs.items() if key not in own}
