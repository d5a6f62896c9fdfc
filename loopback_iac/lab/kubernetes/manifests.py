"""Manifests: objects of a text, their namespaces, and which needs which."""

from __future__ import annotations

import glob
import re
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from loopback_iac.lab.kubernetes.cluster import Object, get_in
from loopback_iac.lab.kubernetes.objects import (
    SKIP_AWAIT,
    annotation,
    is_definition,
    is_kind,
    name_of,
    namespace_of,
    set_metadata,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from loopback_iac.lab.kubernetes.checking import Scopes

# cli-utils pkg/object/dependson: group/namespaces/NAMESPACE/kind/name, or group/kind/name
_DEPENDS_ON = "config.kubernetes.io/depends-on"


class ManifestError(Exception):
    """A text that is no manifest; where it stands, and what is missing."""


def parse_manifest(text: str) -> list[Object]:
    """
    Objects of a text of one or more documents.

    Raises: ManifestError.
    """
    try:
        documents = list(yaml.load_all(text, Loader=_PlainLoader))
    except yaml.YAMLError as error:
        raise ManifestError(f"decoding YAML: {error}") from error
    return [document for document in documents if document]


class _PlainLoader(yaml.CSafeLoader):
    """As Kubernetes reads it: dates stay texts, `1:30` is no number, and `=` is a text."""


# gopkg.in/yaml.v2 resolve.go
_NUMBERS = {
    "int": re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)$"),
    "float": re.compile(r"[-+]?(\d+\.\d*([eE][-+]?\d+)?|\.\d+([eE][-+]?\d+)?|\d+[eE][-+]?\d+)$"),
}
_PlainLoader.yaml_implicit_resolvers = {
    letter: [
        (tag, _NUMBERS.get(kind, pattern))
        for tag, pattern in rows
        if (kind := tag.rpartition(":")[2]) not in {"timestamp", "value"}
    ]
    for letter, rows in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_files(patterns: Iterable[str], *, globs: bool) -> str:
    """
    The texts of files, one after the other.

    Raises: ManifestError.
    """
    texts = []
    for pattern in patterns:
        if "://" in pattern:
            raise ManifestError(f"{pattern}: this stand-in fetches nothing; give a file")
        found = sorted(glob.glob(pattern)) if globs and glob.has_magic(pattern) else [pattern]  # noqa: PTH207  # as it is written, from where the program runs
        for path in found:
            try:
                texts.append(Path(path).read_text())
            except (OSError, UnicodeDecodeError) as error:
                raise ManifestError(f"reading YAML file from disk: {error}") from error
    return "\n---\n".join(texts)


def settle_objects(things: Sequence[Object], namespace: str, scopes: Scopes) -> list[Object]:
    """
    Objects without lists around them, each with its namespace.

    Raises: ManifestError for what is no object.
    Sources: pulumi-kubernetes provider/pkg/provider/yaml/v2/yaml.go Normalize, expand.
    """
    waiting, found = list(things), []
    while waiting:
        thing = waiting.pop(0)
        if not isinstance(thing, dict) or not thing.get("kind") or not thing.get("apiVersion"):
            raise ManifestError(
                f"Kubernetes resources require a kind and apiVersion: {_show(thing)}"
            )
        if isinstance(thing.get("items"), list) and thing["kind"].endswith("List"):
            waiting = [*thing["items"], *waiting]
            continue
        if not name_of(thing):
            raise ManifestError(f"Kubernetes resources require a .metadata.name: {_show(thing)}")
        thing["apiVersion"] = thing["apiVersion"].removeprefix("core/")
        scopes.add(thing)
        found.append(thing)
    for thing in found:
        # what nobody knows is left alone: it is found out when it is made
        here = scopes.is_namespaced(thing["apiVersion"], thing["kind"])
        if here and not namespace_of(thing):
            set_metadata(thing, "namespace", value=namespace)
    return found


def _show(thing: object) -> str:
    """Of what it is, without what it holds: that may be secret."""
    if not isinstance(thing, dict):
        return f"got a {type(thing).__name__}"
    return ", ".join(
        f"{k}: {v}" if k in ("apiVersion", "kind") else str(k) for k, v in thing.items()
    )


def skip_awaits(thing: Object) -> None:
    """Mark an object as ready when it exists."""
    set_metadata(thing, "annotations", SKIP_AWAIT, value="true")


def order_objects(things: Sequence[Object]) -> list[tuple[int, list[int]]]:
    """
    The order of making: definitions and namespaces before what is of them, then what names others.

    Out: (position, positions it depends on), each after all it depends on.
    Raises: ManifestError for a circle.
    Sources: cli-utils pkg/object/graph/depends.go DependencyGraph.
    """
    needs = [_list_needs(thing, things) for thing in things]
    done: list[int] = []
    while len(done) < len(things):
        free = [at for at, on in enumerate(needs) if at not in done and set(on) <= set(done)]
        if not free:
            stuck = [name_of(things[at]) for at in range(len(things)) if at not in done]
            raise ManifestError(f"cyclic dependency between {', '.join(stuck)}")
        done += free
    return [(at, needs[at]) for at in done]


def _list_needs(thing: Object, things: Sequence[Object]) -> list[int]:
    named = {text.strip() for text in annotation(thing, _DEPENDS_ON).split(",") if text.strip()}
    group = thing["apiVersion"].rpartition("/")[0]
    found = []
    for at, other in enumerate(things):
        if other is thing:
            continue
        spec = other.get("spec") or {}
        defines = is_definition(other) and (
            (spec.get("group"), get_in(spec, ("names", "kind"))) == (group, thing["kind"])
        )
        holds = is_kind(other, "v1", "Namespace") and name_of(other) == namespace_of(thing)
        if defines or holds or _address(other) in named:
            found.append(at)
    return found


def _address(thing: Object) -> str:
    group = thing["apiVersion"].rpartition("/")[0]
    within = f"namespaces/{namespace_of(thing)}/" if namespace_of(thing) else ""
    return f"{group}/{within}{thing['kind']}/{name_of(thing)}"
