"""Properties of a resource and Kubernetes objects, one made of the other."""

from __future__ import annotations

import base64
import copy
from typing import TYPE_CHECKING, Any

from loopback_iac.engine.values import (
    Values,
    has_secret,
    has_unknown,
    make_secret,
    strip_secrets,
)
from loopback_iac.lab.kubernetes.cluster import Object, get_in

if TYPE_CHECKING:
    from collections.abc import Mapping

INPUTS, INITIAL, MANAGER = "__inputs", "__initialApiVersion", "__fieldManager"
AUTONAMED = "pulumi.com/autonamed"
SKIP_AWAIT = "pulumi.com/skipAwait"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
# names of properties in the SDKs have no dashes
# pulumi-kubernetes provider/pkg/provider/provider.go underscoreToDashMap
_WORDS = (
    "embedded_resource", "int_or_string", "list_map_keys", "list_type", "map_type",
    "preserve_unknown_fields", "validations",
)  # fmt: skip
_TO_DASHES = {f"x_kubernetes_{w}": f"x-kubernetes-{w.replace('_', '-')}" for w in _WORDS}
_TO_UNDERSCORES = {there: here for here, there in _TO_DASHES.items()}
# pulumi-kubernetes provider/pkg/provider/provider.go normalizeInputs
_READ_ONLY = (
    "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation",
    "managedFields", "resourceVersion", "uid",
)  # fmt: skip


def parse_object(values: Values) -> Object:
    """The plain object that properties stand for."""
    plain: Object = _rename(strip_secrets(values), _TO_DASHES)
    return plain


def _rename(value: Any, names: Mapping[str, str]) -> Any:  # noqa: ANN401  # any property
    if isinstance(value, dict):
        return {names.get(key, key): _rename(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_rename(item, names) for item in value]
    return value


def render_values(thing: Object, marked: Values) -> Values:
    """In: marked, properties whose secrets are secret here as well."""
    return mark_secrets(_rename(thing, _TO_UNDERSCORES), marked)


def mark_secrets(outs: Values, ins: Values) -> Values:
    """
    Mark what a Secret holds, and what was secret before.

    Sources: pulumi-kubernetes provider/pkg/provider/provider.go annotateSecrets: a list with one
    secret in it is a secret.
    """
    if outs.get("kind") == "Secret":
        held = ("data", "stringData")
        return {key: make_secret(value) if key in held else value for key, value in outs.items()}
    marked = dict(outs)
    for key, given in ins.items():
        if key not in outs:
            continue
        if isinstance(given, dict) and isinstance(outs[key], dict):
            marked[key] = mark_secrets(outs[key], given)
        elif has_secret(given):
            marked[key] = make_secret(outs[key])
    return marked


def normalize(thing: Object) -> Object:
    """
    An object as the API server would store it, as far as the program says it.

    Sources: pulumi-kubernetes provider/pkg/clients/unstructured.go Normalize, normalizeSecret,
    normalizeCRD; provider/pkg/provider/provider.go normalizeInputs.
    """
    thing = copy.deepcopy(thing)
    metadata = thing.get("metadata")
    if isinstance(metadata, dict):
        for key in _READ_ONLY:
            metadata.pop(key, None)
    if is_kind(thing, "v1", "Secret") and thing.get("stringData") and not has_unknown(thing):
        coded = {
            key: base64.b64encode(str(text).encode()).decode()
            for key, text in thing.pop("stringData").items()
        }
        thing["data"] = {**(thing.get("data") or {}), **coded}
    if is_definition(thing):
        thing.pop("status", None)
        if get_in(thing, ("spec", "preserveUnknownFields")) is False:
            del thing["spec"]["preserveUnknownFields"]
    return thing


def is_kind(thing: Object, api_version: str, kind: str) -> bool:
    """Whether an object is of one kind."""
    return thing.get("apiVersion") == api_version and thing.get("kind") == kind


def is_definition(thing: Object) -> bool:
    """Whether an object is a CustomResourceDefinition."""
    return is_kind(thing, "apiextensions.k8s.io/v1", "CustomResourceDefinition")


def is_patch(token: str, thing: Object) -> bool:
    """Whether a resource is the `Patch` of another's object."""
    return token.rpartition(":")[2] == f"{thing.get('kind')}Patch"


def name_of(thing: Object) -> str:
    """`metadata.name`, or nothing."""
    return str(get_in(thing, ("metadata", "name"), ""))


def namespace_of(thing: Object) -> str:
    """`metadata.namespace`, or nothing."""
    return str(get_in(thing, ("metadata", "namespace"), ""))


def annotation(thing: Object, key: str) -> str:
    """One of `metadata.annotations`, or nothing."""
    return str(get_in(thing, ("metadata", "annotations", key), ""))


def set_metadata(thing: Object, *path: str, value: str) -> None:
    """Write below `metadata`, where there may be none yet."""
    at = thing
    for key in ("metadata", *path[:-1]):
        if not isinstance(at.get(key), dict):
            at[key] = {}
        at = at[key]
    at[path[-1]] = value


def render_id(thing: Object) -> str:
    """`namespace/name`, or `name`."""
    namespace = namespace_of(thing)
    return f"{namespace}/{name_of(thing)}" if namespace else name_of(thing)


def prune(live: Any, like: Any) -> Any:  # noqa: ANN401  # any property
    """
    What an object has of what was asked for, at every depth; what is empty is never stored.

    Sources: pulumi-kubernetes provider/pkg/provider/util.go pruneMap, pruneSlice.
    """
    if isinstance(live, dict) and isinstance(like, dict):
        empty = {key: value for key, value in like.items() if not value and key not in live}
        return empty | {k: prune(value, like[k]) for k, value in live.items() if k in like}
    if isinstance(live, list) and isinstance(like, list):
        return [prune(one, other) for one, other in zip(live, like, strict=False)]
    return live


def render_state(inputs: Object, live: Object, given: Values, initial: str, manager: str) -> Values:
    """
    A resource's outputs: the live object, and beside it what is needed to compare it later.

    Sources: pulumi-kubernetes provider/pkg/provider/provider.go checkpointObject.
    """
    live = copy.deepcopy(live)
    # it may repeat, in plain text, what a Secret holds
    get_in(live, ("metadata", "annotations"), {}).pop(_LAST_APPLIED, None)
    state = render_values(live, given)
    state[INPUTS] = render_values(inputs, given)
    state[INITIAL], state[MANAGER] = initial, manager
    return state


def parse_state(state: Values) -> tuple[Object, Object]:
    """Out: inputs until now, the object as it was."""
    plain = parse_object(state)
    inputs = plain.pop(INPUTS, None) or {}
    for key in (INITIAL, MANAGER):
        plain.pop(key, None)
    return inputs, plain
