"""Comparing what is in state with what the program asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopback_iac.engine.paths import Path, is_within, parse_path, render_path
from loopback_iac.engine.results import PropertyChange
from loopback_iac.engine.values import Sealed, Secret, Value, Values, redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Keys this engine and the bridge keep for themselves: never shown, never compared.
_INTERNAL = ("__internal", "__defaults", "__meta")


@dataclass(frozen=True, slots=True)
class Part:
    """One place where two values differ; kind is add, delete, update or undecided."""

    path: Path
    kind: str
    old: Value = None
    new: Value = None


def compare(old: Values, new: Values) -> list[Part]:
    """
    Every place where two sets of inputs differ.

    A secret that cannot be decrypted is `undecided`: only the passphrase tells.
    """
    return list(_compare_maps(old, new, ()))


def _compare_maps(old: Values, new: Values, path: Path) -> Iterator[Part]:
    for key in sorted({**old, **new}):
        if key in _INTERNAL:
            continue
        here = (*path, key)
        if key not in new:
            yield Part(here, "delete", old[key])
        elif key not in old:
            yield Part(here, "add", None, new[key])
        else:
            yield from _compare_values(old[key], new[key], here)


def _compare_values(old: Value, new: Value, path: Path) -> Iterator[Part]:
    if isinstance(old, Sealed) or isinstance(new, Sealed):
        if old != new:
            yield Part(path, "undecided", old, new)
    elif isinstance(old, Secret) or isinstance(new, Secret):
        # Becoming secret is no change of the value, but the plain text must leave the state.
        if old != new:
            yield Part(path, "update", old, new)
    elif isinstance(old, dict) and isinstance(new, dict):
        yield from _compare_maps(old, new, path)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _compare_lists(old, new, path)
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        yield Part(path, "update", old, new)


def _compare_lists(old: list[Value], new: list[Value], path: Path) -> Iterator[Part]:
    for index in range(max(len(old), len(new))):
        here = (*path, index)
        if index >= len(new):
            yield Part(here, "delete", old[index])
        elif index >= len(old):
            yield Part(here, "add", None, new[index])
        else:
            yield from _compare_values(old[index], new[index], here)


def describe(parts: Iterable[Part], replacing: Iterable[str] = ()) -> tuple[PropertyChange, ...]:
    """
    The differences as they may be printed.

    In: replacing: properties that force a replacement.
    """
    heads = {parse_path(text)[:1] for text in replacing}
    return tuple(
        PropertyChange(
            path=render_path(part.path),
            kind=part.kind,
            old=redact(part.old),
            new=redact(part.new),
            replaces=part.path[:1] in heads,
        )
        for part in parts
        if part.kind != "undecided"
    )


def undecided(parts: Iterable[Part]) -> tuple[str, ...]:
    """The paths only the passphrase can compare."""
    return tuple(render_path(part.path) for part in parts if part.kind == "undecided")


def find_replacing(paths: Iterable[Path], patterns: Iterable[str]) -> tuple[str, ...]:
    """Which changed paths `replaceOnChanges` turns into a replacement."""
    wanted = [parse_path(text) for text in patterns]
    return tuple(
        render_path(path) for path in paths if any(is_within(path, pattern) for pattern in wanted)
    )
