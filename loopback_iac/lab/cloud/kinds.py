"""Resource types of a bridged provider: their fields, what Check and Diff make of them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from loopback_iac.engine.diffs import compare
from loopback_iac.engine.values import UNKNOWN, Values, has_unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loopback_iac.engine.diffs import Part

DEFAULTS = "__defaults"
AUTO = "AUTO"
Failures = list[tuple[str, str]]


class ApiError(Exception):
    """An answer of a cloud's API that is no success; the provider says it in its own words."""

    def __init__(self, code: str, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class UnfinishedError(Exception):
    """The thing exists, and what was to happen after its creation failed."""

    def __init__(self, ident: str, outputs: Values, reason: str) -> None:
        super().__init__(reason)
        self.ident, self.outputs, self.reason = ident, outputs, reason


@dataclass(frozen=True)
class Field:
    """One property: its type, and what the schema says of it."""

    type: str = "string"
    required: bool = False
    replaces: bool = False
    computed: bool = False
    default: Any = None


@dataclass(frozen=True)
class Kind:
    """A resource type. `framework`: the newer half of the bridge, with other rules."""

    token: str
    name: str
    fields: Mapping[str, Field]
    framework: bool = False
    # places (`volume.userData`) that never change in place; `guard` names the property that allows
    # a replacement, without which the provider refuses the difference
    immutable: Mapping[str, str] = field(default_factory=dict)
    guard: str = ""
    # properties that stay as they are where the program says AUTO, or nothing: optional and
    # computed, with a difference to AUTO suppressed
    automatic: tuple[str, ...] = ()
    # properties of which the state has only a digest
    digests: Mapping[str, Callable[[str], str]] = field(default_factory=dict)


class Resource(Protocol):
    """What a vendor's module does for one resource type."""

    kind: Kind

    def check(self, news: Values) -> Failures:
        """What the provider itself refuses, before any call; unknown values are left out."""
        ...

    def create(self, news: Values) -> tuple[str, Values]:
        """Out: id and computed outputs."""
        ...

    def read(self, ident: str, olds: Values) -> Values | None:
        """Out: all outputs as the cloud has them; None when it is gone."""
        ...

    def update(self, ident: str, olds: Values, news: Values) -> Values:
        """Out: computed outputs."""
        ...

    def delete(self, ident: str, olds: Values) -> None:
        """Gone when it returns."""
        ...


def parse_fields(table: str) -> dict[str, Field]:
    """
    Read a table of fields: a line each, `name type [required] [replaces] [computed] [=default]`.

    Out: fields by name.
    """
    fields = {}
    for line in table.strip().splitlines():
        name, kind, *marks = line.split()
        default = next((_parse_default(kind, m[1:]) for m in marks if m.startswith("=")), None)
        flags = {mark: mark in marks for mark in ("required", "replaces", "computed")}
        fields[name] = Field(kind, default=default, **flags)
    return fields


def _parse_default(kind: str, text: str) -> object:
    if kind == "bool":
        return text == "true"
    return int(text) if kind == "int" else text


def fill_inputs(kind: Kind, urn_name: str, olds: Values, news: Values) -> Values:
    """
    Inputs with defaults, a generated name and numbers made of texts.

    Sources: pulumi-terraform-bridge pkg/tfbridge/info/autonaming.go (name, dash, 7 hex digits, kept
    while the resource lives), schema.go (CoerceTerraformString; `__defaults` lists what it filled).
    """
    filled = {key: value for key, value in news.items() if value is not None and key != DEFAULTS}
    given: list[str] = []
    named = kind.fields.get("name")
    if named is not None and not named.required and "name" not in filled:
        kept = olds.get("name") if "name" in olds.get(DEFAULTS, []) else None
        filled["name"] = kept or f"{urn_name}-{os.urandom(4).hex()[:7]}"
        given.append("name")
    for key, one in kind.fields.items():
        if key not in filled and one.default is not None:
            filled[key] = one.default
            given.append(key)
        elif key in filled:
            filled[key] = coerce(one.type, filled[key])
    filled[DEFAULTS] = sorted(given)
    return filled


def coerce(kind: str, value: Any) -> Any:  # noqa: ANN401  # a property's value
    """A number that came as text, as the bridge takes it: ids are texts, references numbers."""
    if kind == "int" and isinstance(value, str) and value.isdecimal():
        return int(value)
    if kind == "ints" and isinstance(value, list):
        return [coerce("int", item) for item in value]
    if kind == "string" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value


def check_shape(kind: Kind, news: Values) -> Failures:
    """
    What the schema alone refuses.

    Out: (property, reason) pairs.
    Sources: terraform-plugin-sdk helper/schema: texts of missing and unknown arguments.
    """
    found = [
        (key, f'Invalid or unknown key. Examine values at "{key}".')
        for key in news
        if key != DEFAULTS and (key not in kind.fields or kind.fields[key].computed)
    ]
    for key, one in kind.fields.items():
        if one.required and news.get(key) is None:
            absent = f'The argument "{key}" is required, but no definition was found.'
            found.append((key, f"Missing required argument. {absent}"))
        elif key in news and not _fits(one.type, news[key]):
            found.append((key, f"expected type {one.type}, got {news[key]!r}"))
    return found


def _fits(kind: str, value: object) -> bool:
    if value == UNKNOWN:
        return True
    wanted: dict[str, type | tuple[type, ...]] = {
        "string": str, "bool": bool, "int": int, "map": dict, "object": dict,
        "list": list, "ints": list, "strings": list,
    }  # fmt: skip
    return isinstance(value, wanted[kind]) and not (kind == "int" and isinstance(value, bool))


@dataclass(frozen=True)
class Difference:
    """What a provider answers to Diff."""

    parts: list[Part]
    replaces: list[str]
    delete_first: bool
    refused: str = ""


def diff_inputs(kind: Kind, olds: Values, news: Values) -> Difference:
    """
    Where inputs differ, and whether that needs a new thing.

    Out: parts; top-level names that replace; whether the old one must go first.
    Sources: pulumi-terraform-bridge pkg/tfbridge/provider.go (SDKv2: delete first when the name
    was given by the user), pkg/pf/tfbridge/provider_diff.go (framework: never).
    """
    for key in kind.automatic:
        if olds.get(key) and news.get(key, AUTO) == AUTO:
            news = {**news, key: olds[key]}
    parts = compare(olds, news)
    changed = sorted({str(part.path[0]) for part in parts})
    replaces = [key for key in changed if kind.fields.get(key, Field()).replaces]
    fixed = [at for part in parts if (at := _place(part.path)) in kind.immutable]
    if fixed and not news.get(kind.guard):
        return Difference(parts, [], delete_first=False, refused=kind.immutable[fixed[0]])
    replaces = sorted({*replaces, *(place.partition(".")[0] for place in fixed)})
    named = "name" in kind.fields and "name" not in news.get(DEFAULTS, [])
    return Difference(parts, replaces, bool(replaces) and named and not kind.framework)


def _place(path: tuple[str | int, ...]) -> str:
    """A path without places in lists; no more than two names deep, as the schema's marks are."""
    return ".".join([str(part) for part in path if isinstance(part, str)][:2])


def blur_outputs(kind: Kind, news: Values, olds: Values | None = None) -> Values:
    """
    Outputs at a preview: what the cloud decides is unknown.

    In: olds, outputs until now; None: the thing does not exist yet.
    """
    decided = {key: value for key, value in news.items() if key != DEFAULTS}
    for key, one in kind.fields.items():
        if key not in decided and (one.computed or olds is None):
            decided[key] = UNKNOWN if olds is None else olds.get(key, UNKNOWN)
    # what is there stays
    kept = [key for key in kind.automatic if olds and olds.get(key)]
    return decided | {key: olds[key] for key in kept if olds and decided.get(key, AUTO) == AUTO}


def shape_like(found: Any, given: Any) -> Any:  # noqa: ANN401  # a property's value
    """What the cloud has, without the parts that the program never gave, at every depth."""
    if isinstance(found, dict) and isinstance(given, dict):
        return {key: shape_like(found[key], given[key]) for key in given if key in found}
    if isinstance(found, list) and isinstance(given, list) and len(found) == len(given):
        return [shape_like(one, like) for one, like in zip(found, given, strict=True)]
    return found


def known(values: Values) -> Values:
    """Those properties that are known already, for checks before anything exists."""
    return {key: value for key, value in values.items() if not has_unknown(value)}
