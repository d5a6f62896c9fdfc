"""Property paths: `a.b[0]["c d"]`, with `*` as a wild card."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, TypeAlias

from loopback_iac.engine.errors import UsageError
from loopback_iac.engine.values import Secret, Value, Values, make_secret

if TYPE_CHECKING:
    from collections.abc import Iterable

Path: TypeAlias = tuple[str | int, ...]

_TOKEN = re.compile(r'\[(?:(\d+)|(\*)|"((?:[^"\\]|\\.)*)")\]|\.?([^.\[\]"]+)')
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_$-]+")
_ABSENT = object()


def parse_path(text: str) -> Path:
    """
    Read a path as Pulumi's options and diffs write it.

    Raises: UsageError when the text is no path.
    """
    parts: list[str | int] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise UsageError(f"property path: cannot read {text!r} from position {at}")
        index, star, quoted, key = match.groups()
        if index is not None:
            parts.append(int(index))
        elif quoted is not None:
            parts.append(re.sub(r"\\(.)", r"\1", quoted))
        else:
            parts.append(star or key)
        at = match.end()
    return tuple(parts)


def render_path(path: Path) -> str:
    """Write a path the way `parse_path` reads it."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            escaped = part.replace("\\", "\\\\").replace('"', '\\"')
            text += f'["{escaped}"]'
    return text


def is_within(path: Path, pattern: Path) -> bool:
    """Whether `path` is the place `pattern` names, or lies below it."""
    return len(path) >= len(pattern) and all(
        want in ("*", part) for part, want in zip(path, pattern, strict=False)
    )


def keep_old_values(news: Values, olds: Values, ignored: Iterable[str]) -> Values:
    """
    Apply `ignoreChanges`: at each named path the old value stays (or stays absent).

    In: news: what the program asks; olds: inputs in state; ignored: property paths.
    """
    result = copy.deepcopy(news)
    for text in ignored:
        for path in _expand(parse_path(text), olds, news):
            _put(result, path, _get(olds, path))
    return result


def _expand(pattern: Path, *sources: Value) -> set[Path]:
    """The concrete paths a pattern with wild cards stands for in these values."""
    found: set[Path] = {()}
    for part in pattern:
        if part != "*":
            found = {(*path, part) for path in found}
            continue
        wider: set[Path] = set()
        for path in found:
            for source in sources:
                here = _get(source, path)
                if isinstance(here, dict):
                    wider |= {(*path, key) for key in here}
                elif isinstance(here, list):
                    wider |= {(*path, index) for index in range(len(here))}
        found = wider
    return found


def _get(value: Value, path: Path) -> Value:
    for at, part in enumerate(path):
        if isinstance(value, Secret):
            inner = _get(value.value, path[at:])
            return inner if inner is _ABSENT else make_secret(inner)
        if not isinstance(value, (dict, list)):
            return _ABSENT
        try:
            value = value[part]  # type: ignore[index]  # a text key into a list: TypeError below
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return value


def _put(target: Value, path: Path, value: Value) -> None:
    *parents, last = path
    for part in parents:
        target = _get(target, (part,))
        if not isinstance(target, (dict, list)):
            return  # the program dropped the surrounding object: nothing to keep the value in
    if isinstance(target, dict) and isinstance(last, str):
        if value is _ABSENT:
            target.pop(last, None)
        else:
            target[last] = value
    elif isinstance(last, int) and last < len(target) and value is not _ABSENT:
        target[last] = value
