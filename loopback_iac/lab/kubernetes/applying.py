"""Making, changing and giving up an object, as the provider asks the API server for it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopback_iac.engine.paths import parse_path
from loopback_iac.lab.kubernetes.checking import settle_namespace
from loopback_iac.lab.kubernetes.cluster import (
    APPLY,
    JSON_PATCH,
    ApiError,
    Cluster,
    NoMatchError,
    Object,
    get_in,
)
from loopback_iac.lab.kubernetes.objects import annotation, is_definition, name_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

CLIENT = "pulumi-kubernetes"
_ATTEMPTS = 6
# provider/pkg/await/await.go fixCSAFieldManagers: who held fields before they were applied
_FORMER = {
    ("kubectl", "Apply"), ("kubectl", "Update"), ("before-first-apply", "Update"),
    (CLIENT, "Update"), ("pulumi-kubernetes.exe", "Update"),
    ("pulumi-resource-kubernetes", "Update"),
}  # fmt: skip
_EXISTS = """

The resource already exists in the cluster. This can happen when:

  - Renaming a Pulumi resource: use an alias to preserve the identity,
    or use deleteBeforeReplace if the resource needs replacement.
  - Managing an existing resource: use a Patch resource (e.g. NamespacePatch)
    to manage specific fields without owning the resource lifecycle.
  - Adopting a resource into Pulumi: use `pulumi import`. Note that
    protected resources (e.g. kube-system) cannot be deleted on destroy.
  - Intentional upsert: set upsertExistingObjects on the provider to allow
    server-side apply to update existing objects on create."""
_CONFLICT = (
    "server-side apply field conflict detected, see https://www.pulumi.com/registry/packages/"
    "kubernetes/how-to-guides/managing-resources-with-server-side-apply/"
    "#handle-field-conflicts-on-existing-resources for troubleshooting help\n"
)


class NamespaceMissingError(Exception):
    """A preview of what goes into a namespace that is not there yet."""


class RefusedError(Exception):
    """The API server said no; the text has the provider's words around it."""


@dataclass(frozen=True)
class How:
    """`apply`: on what may exist already; `manager`: who owns the fields."""

    manager: str
    apply: bool = False
    force: bool = False
    preview: bool = False

    @property
    def dry_run(self) -> str | None:
        """The query of a request that changes nothing."""
        return "All" if self.preview else None


def create_object(
    cluster: Cluster,
    thing: Object,
    how: How,
    say: Callable[[str], None],
    stopped: threading.Event,
) -> Object:
    """
    Make an object; what it needs (its namespace, its definition) may come a moment later.

    Raises: ClusterError, RefusedError when it is there already, NamespaceMissingError.
    Sources: pulumi-kubernetes provider/pkg/await/await.go Creation, provider/pkg/retry/retry.go.
    """
    pause_s = 1.0
    for attempt in range(_ATTEMPTS):
        try:
            made = copy.deepcopy(thing)
            settle_namespace(made, cluster)
            return _create_once(cluster, made, how)
        except (ApiError, NoMatchError) as error:
            missing = isinstance(error, NoMatchError) or error.reason == "NotFound"
            if not missing:
                raise
            if how.preview and isinstance(error, ApiError):
                raise NamespaceMissingError(name_of(thing)) from error
            say(f"Retry #{attempt}; creation failed: {error}")
            if attempt == _ATTEMPTS - 1 or stopped.wait(pause_s):
                raise
            pause_s *= 2
    raise AssertionError(_ATTEMPTS)  # the last attempt has raised


def _create_once(cluster: Cluster, thing: Object, how: How) -> Object:
    if how.apply:
        return apply_object(cluster, thing, how)
    try:
        return cluster.request(
            "POST",
            cluster.path_of(thing, named=False),
            thing,
            # the same for all who create, so that the first update finds what it takes over
            fieldManager=CLIENT,
            dryRun=how.dry_run,
        )
    except ApiError as error:
        if error.reason == "AlreadyExists" and not how.preview:
            raise RefusedError(f"{error}{_EXISTS}") from error
        raise


def apply_object(cluster: Cluster, thing: Object, how: How) -> Object:
    """
    Server-Side Apply.

    Raises: RefusedError for a conflict, ClusterError.
    Sources: pulumi-kubernetes provider/pkg/await/await.go ssaUpdate, handleSSAErr, patchForce.
    """
    force = how.force or annotation(thing, "pulumi.com/patchForce") == "true"
    try:
        return cluster.request(
            "PATCH",
            cluster.path_of(thing),
            thing,
            APPLY,
            fieldManager=how.manager,
            force="true" if force else "false",
            dryRun=how.dry_run,
        )
    except ApiError as error:
        if error.reason == "Conflict":
            held = f'The resource managed by field manager "{how.manager}" had an apply conflict: '
            raise RefusedError(f"{_CONFLICT}{held}{error}") from error
        raise


def update_object(
    cluster: Cluster, thing: Object, live: Object, how: How, ignored: Iterable[str], *, patch: bool
) -> Object:
    """
    Change an object that is there.

    In: live, as it is now; patch: fields of others stay theirs.
    Raises: RefusedError, ClusterError.
    Sources: pulumi-kubernetes provider/pkg/await/await.go updateResource.
    """
    thing = copy.deepcopy(thing)
    settle_namespace(thing, cluster)
    thing.setdefault("metadata", {})["name"] = name_of(live)
    if is_definition(thing):
        thing["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
        return cluster.request(
            "PUT", cluster.path_of(thing), thing, fieldManager=how.manager, dryRun=how.dry_run
        )
    rows = get_in(live, ("metadata", "managedFields"), [])
    if not how.preview and not patch:
        live = _take_over(cluster, live, how.manager)
    former = any((row["manager"], row["operation"]) in _FORMER for row in rows)
    if not rows or (how.preview and former):
        how = How(how.manager, force=True, preview=how.preview)
    for text in ignored:
        _leave(thing, live, how.manager, [str(key) for key in parse_path(text)])
    return apply_object(cluster, thing, how)


def _take_over(cluster: Cluster, live: Object, manager: str) -> Object:
    """
    Own by applying what was owned by creating.

    Sources: fluxcd/pkg ssa/managedfields.go PatchReplaceFieldsManagers.
    """
    rows = get_in(live, ("metadata", "managedFields"), [])
    former = [
        row
        for row in rows
        if (row["manager"], row["operation"]) in _FORMER and not row.get("subresource")
    ]
    if not former:
        return live
    own = next((row for row in rows if _is_own(row, manager)), None)
    fields: Object = {}
    for row in [*former, *([own] if own else [])]:
        _merge(fields, row.get("fieldsV1") or {})
    first = {**(own or former[0]), "manager": manager, "operation": "Apply", "fieldsV1": fields}
    kept = [row for row in rows if row not in former and row is not own]
    at = live["metadata"]["resourceVersion"]
    changes: list[Object] = [
        {"op": "replace", "path": "/metadata/managedFields", "value": [first, *kept]},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": at},
    ]
    return cluster.request("PATCH", cluster.path_of(live), changes, JSON_PATCH)


def _is_own(row: Object, manager: str) -> bool:
    return (row["manager"], row["operation"], row.get("subresource")) == (manager, "Apply", None)


def _merge(into: Object, other: Object) -> None:
    for key, value in other.items():
        _merge(into.setdefault(key, {}), value)


def _leave(thing: Object, live: Object, manager: str, path: list[str]) -> None:
    """
    Ask nothing new of a place that the program ignores.

    Sources: pulumi-kubernetes provider/pkg/await/await.go handleSSAIgnoreFields.
    """
    rows = get_in(live, ("metadata", "managedFields"), [])
    place = [f"f:{key}" for key in path]
    holders = {row["manager"] for row in rows if get_in(row.get("fieldsV1"), place) is not None}
    above = get_in(thing, path[:-1]) if path[:-1] else thing
    current = get_in(live, path)
    if not isinstance(above, dict):
        return
    if holders and manager not in holders:
        above.pop(path[-1], None)
    elif current is not None:
        above[path[-1]] = current


def relinquish(cluster: Cluster, thing: Object, manager: str) -> None:
    """
    Own no field of an object any more.

    Sources: pulumi-kubernetes provider/pkg/ssa/ssa.go Relinquish.
    """
    identity: dict[str, Any] = {key: thing[key] for key in ("apiVersion", "kind")}
    metadata = thing["metadata"]
    identity["metadata"] = {k: metadata[k] for k in ("name", "namespace") if k in metadata}
    cluster.request(
        "PATCH", cluster.path_of(identity), identity, APPLY, fieldManager=manager, force="false"
    )
