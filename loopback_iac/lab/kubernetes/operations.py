"""What the provider does with one resource: make it, read it, change it, delete it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loopback_iac.engine.values import Values, has_unknown
from loopback_iac.lab.kubernetes.applying import (
    How,
    NamespaceMissingError,
    RefusedError,
    create_object,
    relinquish,
    update_object,
)
from loopback_iac.lab.kubernetes.checking import Scopes
from loopback_iac.lab.kubernetes.cluster import (
    ApiError,
    Cluster,
    ClusterError,
    NoMatchError,
    Object,
    UnreachableError,
)
from loopback_iac.lab.kubernetes.conditions import ExpressionError
from loopback_iac.lab.kubernetes.objects import (
    INITIAL,
    INPUTS,
    MANAGER,
    annotation,
    is_patch,
    name_of,
    namespace_of,
    normalize,
    parse_object,
    parse_state,
    prune,
    render_id,
    render_state,
    render_values,
)
from loopback_iac.lab.kubernetes.waiting import (
    Patience,
    UnreadyError,
    await_ready,
    choose_readiness,
    delete_object,
    read_timeout_s,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Sequence

    from loopback_iac.lab.kubernetes.settings import Settings

_LOST = (
    "you can remove this resource from Pulumi state by rerunning the operation with the"
    ' PULUMI_K8S_DELETE_UNREACHABLE environment variable set to "true"'
)
_NO_KIND = (
    "failed because the Kubernetes API server reported that the apiVersion for this resource does"
    " not exist. Verify that any required CRDs have been created"
)
_FOUND_WANTING = "failed to fully initialize or become live"


class OperationError(Exception):
    """An operation that failed, in the provider's words."""


class UnfinishedError(OperationError):
    """What failed after the object was there: `state` is kept, and `inputs` when they are news."""

    def __init__(
        self, ident: str, state: Values, text: str, reasons: Sequence[str], inputs: Values | None
    ) -> None:
        super().__init__(text)
        self.ident, self.state, self.inputs = ident, state, inputs
        self.reasons = [text, *reasons]


@dataclass(frozen=True)
class Task:
    """What the engine asks for: a resource by URN and token, and how long to wait for it."""

    urn: str
    token: str
    patience: Patience
    preview: bool = False
    ignored: Iterable[str] = ()


class Operations:
    """A configured provider."""

    def __init__(
        self, settings: Settings, found: Cluster | UnreachableError, stopped: threading.Event
    ) -> None:
        """In: found, the cluster, or why there is none."""
        self.settings, self.stopped = settings, stopped
        self.cluster = found if isinstance(found, Cluster) else None
        self.unreachable = "" if isinstance(found, Cluster) else str(found)
        self.scopes = Scopes(self.cluster)

    def reach(self) -> Cluster:
        """
        The cluster.

        Raises: OperationError when it did not answer at the start.
        """
        if self.cluster is None:
            raise OperationError(
                f"configured Kubernetes cluster is unreachable: {self.unreachable}"
            )
        return self.cluster

    def create(self, task: Task, given: Values) -> tuple[str, Values]:
        """
        Make an object and wait for it.

        Sources: pulumi-kubernetes provider/pkg/provider/provider.go Create.
        """
        thing, patch = parse_object(given), is_patch(task.token, parse_object(given))
        if task.preview and (has_unknown(given) or patch or not self._knows(thing)):
            return "", given
        cluster = self.reach()
        manager = _name_manager(thing, {})
        apply = patch or self.settings.upsert
        how = How(manager, apply, self.settings.patch_force or task.preview, task.preview)
        try:
            made = create_object(cluster, thing, how, task.patience.say, self.stopped)
        except (ClusterError, RefusedError, NamespaceMissingError) as error:
            if task.preview and _is_no_dry_run(error):
                return "", given
            raise OperationError(_explain_uncreated(task, thing, error)) from error
        state = _State(thing, given, thing["apiVersion"], manager)
        if task.preview:
            made.pop("status", None)  # a program would read it as if it were so
            return "", state.render(made)
        try:
            live = self._await(cluster, task, thing, made)
        except ExpressionError as error:
            raise OperationError(_explain_uncreated(task, thing, error)) from error
        except UnreadyError as error:
            text = (
                f'resource "{task.urn}" was successfully created, but the Kubernetes API server'
                f" reported that it {_FOUND_WANTING}: {error}"
            )
            ident = render_id(error.live)
            raise UnfinishedError(
                ident, state.render(error.live), text, error.reasons, None
            ) from error
        return render_id(live), state.render(live)

    def _await(self, cluster: Cluster, task: Task, inputs: Object, made: Object) -> Object:
        readiness = choose_readiness(cluster, inputs, made)
        if readiness is None:
            return made
        return await_ready(cluster, made, readiness, _read_patience(task, inputs))

    def update(self, task: Task, olds: Values, news: Values) -> Values:
        """
        Change an object and wait for it.

        In: olds, outputs until now.
        Sources: pulumi-kubernetes provider/pkg/provider/provider.go Update, await.go Update.
        """
        thing = normalize(parse_object(news))
        if task.preview and (has_unknown(news) or not self._knows(thing)):
            return news
        cluster = self.reach()
        _, former = parse_state(olds)
        manager, before = _name_manager(thing, olds), str(olds.get(MANAGER) or "")
        state = _State(thing, news, str(olds.get(INITIAL) or thing["apiVersion"]), manager)
        at = {"name": name_of(former), "namespace": namespace_of(thing) or namespace_of(former)}
        place = {"apiVersion": thing["apiVersion"], "kind": thing["kind"], "metadata": at}
        how = How(manager, force=self.settings.patch_force, preview=task.preview)
        patch = is_patch(task.token, thing)
        try:
            live = cluster.get(place)
            made = update_object(cluster, thing, live, how, task.ignored, patch=patch)
            if task.preview:
                return state.render(made)
            made = self._await(cluster, task, thing, made)
            if before and before != manager:
                relinquish(cluster, place, before)
        except NoMatchError as error:
            raise OperationError(f'update of resource "{task.urn}" {_NO_KIND}: {error}') from error
        except (ClusterError, RefusedError, ExpressionError, UnreadyError) as error:
            if task.preview and isinstance(error, ApiError) and error.code == 403:
                return news
            raise self._leave_unfinished(cluster, task, place, state, error) from error
        return state.render(made)

    @staticmethod
    def _leave_unfinished(
        cluster: Cluster, task: Task, place: Object, state: _State, error: Exception
    ) -> OperationError:
        """What was asked is kept as if it were so, with the error: the next update tries again."""
        try:
            live = cluster.get(place)
        except ClusterError as again:
            return OperationError(
                f'update of resource "{task.urn}" failed: {error}\n'
                f"unable to get cluster state: {again}"
            )
        ident = render_id(live)
        text = f'the Kubernetes API server reported that "{ident}" {_FOUND_WANTING}: {error}'
        reasons = error.reasons if isinstance(error, UnreadyError) else []
        return UnfinishedError(ident, state.render(live), text, reasons, None)

    def read(
        self, task: Task, ident: str, olds: Values, given: Values
    ) -> tuple[str, Values, Values]:
        """
        Look an object up.

        Out: id, empty when it is gone; outputs; inputs as the object has them now.
        Sources: pulumi-kubernetes provider/pkg/provider/provider.go Read, await.go Read.
        """
        if self.cluster is None:
            task.patience.warn(f"configured Kubernetes cluster is unreachable: {self.unreachable}")
            if self.settings.delete_unreachable:
                return "", {}, {}
            if self.settings.skip_unreachable:
                return ident, olds, given
            text = "failed to read resource state due to unreachable cluster. If the cluster was"
            raise OperationError(f"{text} deleted, {_LOST}")
        refreshed = bool(given)
        if not refreshed and INPUTS not in olds:
            given = olds  # of what was being made when the engine died; nothing for a look-up
        inputs, (_, former) = normalize(parse_object(given)), parse_state(olds)
        known = bool(inputs.get("kind"))
        place = _place(task.token, ident, inputs if known else former)
        try:
            live = self.cluster.get(place)
        except NoMatchError:
            return "", {}, {}
        except ClusterError as error:
            if isinstance(error, ApiError) and error.code == 404:
                return "", {}, {}
            raise OperationError(str(error)) from error
        asked = prune(live, inputs) if known else normalize(_take_settable(live))
        initial = str(olds.get(INITIAL) or place["apiVersion"])
        state = _State(asked, given, initial, _name_manager(inputs, olds))
        told = render_values(asked, given)
        if refreshed:
            self._look_once(inputs, live, state, told)
        return render_id(live), state.render(live), told

    def _look_once(self, inputs: Object, live: Object, state: _State, told: Values) -> None:
        try:
            readiness = choose_readiness(self.reach(), inputs, live, settled_s=0)
            # a condition of the program's own is awaited, and not read
            if readiness is None or annotation(live, "pulumi.com/waitFor"):
                return
            verdict = readiness.look(live)
        except (ClusterError, ExpressionError):
            return
        if not verdict.ready:
            text = f"Resource '{name_of(live)}' was created but failed to initialize"
            raise UnfinishedError(render_id(live), state.render(live), text, verdict.reasons, told)

    def delete(self, task: Task, olds: Values) -> None:
        """
        Delete an object and wait until it is gone; give up the fields of a patch.

        Sources: pulumi-kubernetes provider/pkg/provider/provider.go Delete.
        """
        if self.cluster is None:
            task.patience.warn(f"configured Kubernetes cluster is unreachable: {self.unreachable}")
            if self.settings.delete_unreachable:
                return
            text = "configured Kubernetes cluster is unreachable. If the cluster was deleted,"
            raise OperationError(f"{text} {_LOST}")
        inputs, live = parse_state(olds)
        manager = str(olds.get(MANAGER) or "")
        try:
            if is_patch(task.token, live):
                relinquish(self.cluster, live, manager)
            else:
                delete_object(self.cluster, inputs, live, _read_patience(task, inputs))
        except NoMatchError:
            return
        except UnreadyError as error:
            state = _State(live, olds, str(olds.get(INITIAL) or live["apiVersion"]), manager)
            raise UnfinishedError(
                render_id(error.live), state.render(error.live), str(error), [], None
            ) from error
        except ClusterError as error:
            raise OperationError(_explain_undeleted(task, live, error)) from error

    def _knows(self, thing: Object) -> bool:
        if self.cluster is None:
            return False
        try:
            self.cluster.find(str(thing.get("apiVersion")), str(thing.get("kind")))
        except ClusterError:
            return False
        return True


@dataclass(frozen=True)
class _State:
    inputs: Object
    given: Values
    initial: str
    manager: str

    def render(self, live: Object) -> Values:
        return render_state(self.inputs, live, self.given, self.initial, self.manager)


def _read_patience(task: Task, inputs: Object) -> Patience:
    return replace(task.patience, timeout_s=read_timeout_s(task.patience.timeout_s, inputs))


def _name_manager(thing: Object, state: Values) -> str:
    """Sources: pulumi-kubernetes provider/pkg/provider/provider.go fieldManagerName."""
    said = annotation(thing, "pulumi.com/patchFieldManager") or state.get(MANAGER)
    return str(said or f"pulumi-kubernetes-{os.urandom(4).hex()}")


def _place(token: str, ident: str, known: Object) -> Object:
    """Which object an id names; its kind as it was, else as the token says."""
    namespace, _, name = ident.rpartition("/")
    _, version, kind = token.split(":")
    thing = {"apiVersion": version.removeprefix("core/"), "kind": kind.removesuffix("Patch")}
    thing |= {key: known[key] for key in ("apiVersion", "kind") if known.get(key)}
    return {**thing, "metadata": {"name": name, "namespace": namespace}}


def _take_settable(live: Object) -> Object:
    return {key: value for key, value in live.items() if key != "status"}


def _is_no_dry_run(error: Exception) -> bool:
    """What a preview passes over: it shows the inputs instead."""
    if isinstance(error, ApiError):
        silent = "does not support dry run" in str(error)
        return silent or error.code == 403 or error.reason == "AlreadyExists"
    return isinstance(error, NamespaceMissingError)


def _explain_uncreated(task: Task, thing: Object, error: Exception) -> str:
    if isinstance(error, NoMatchError):
        kind = f"{thing['apiVersion']}/{thing['kind']}"
        return f'creation of resource "{task.urn}" with kind {kind} {_NO_KIND}: {error}'
    return (
        f'resource "{task.urn}" was not successfully created by the Kubernetes API server: {error}'
    )


def _explain_undeleted(task: Task, live: Object, error: ClusterError) -> str:
    if not (is_patch(task.token, live) and isinstance(error, ApiError) and error.code == 422):
        return str(error)
    causes = error.details.get("causes") or []
    missing = [row.get("field") for row in causes if row.get("reason") == "FieldValueRequired"]
    if not missing:
        return str(error)
    return (
        "this Patch resource is currently managing a required field, so it can't be deleted"
        " directly. Either set the `retainOnDelete` resource option, or transfer ownership of the"
        f" field before deleting: {missing[0]}"
    )
