"""The configuration of a policy pack, checked against the pack's own schema."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from loopback_iac.engine.errors import UsageError

_LEVELS = {"advisory", "mandatory", "remediate", "disabled"}
_ALL = "all"
_TYPES: dict[str, tuple[type, ...]] = {
    "array": (list,),
    "object": (dict,),
    "string": (str,),
    "boolean": (bool,),
    "number": (int, float),
    "integer": (int, float),
    "null": (type(None),),
}
_CHECKED = {"type", "enum", "items", "properties", "required", "additionalProperties", "pattern"}
_CHECKED |= {"minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"}
_INERT = {"description", "title", "default", "examples"}


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    """Level (ADVISORY, MANDATORY, REMEDIATE, DISABLED; "" not said) and properties."""

    level: str
    properties: dict[str, Any] = field(default_factory=dict)


def parse_policy_config(
    text: str,
    place: str,
    policies: dict[str, tuple[str, dict[str, Any]]],
    initial: dict[str, PolicyConfig],
) -> dict[str, PolicyConfig]:
    """
    Settle the configuration of every policy of a pack.

    In: text: JSON of --policy-pack-config; policies: name -> (own level, config schema);
        initial: what the pack itself brings.
    Out: one entry per policy, always with a level.
    Raises: UsageError with every problem found.
    """
    try:
        given = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{place}: {error}") from error
    if not isinstance(given, dict):
        raise UsageError(f"{place}: got a {type(given).__name__}, need an object")
    problems = [f"  {name}: no such policy" for name in set(given) - set(policies) - {_ALL}]
    general = _split(given.get(_ALL), _ALL, problems)[0]
    found: dict[str, PolicyConfig] = {}
    for name, (own, schema) in policies.items():
        base = initial.get(name)
        level, properties = _split(given.get(name), name, problems)
        merged = {**(base.properties if base else {}), **properties}
        problems += [f"  {name}: {problem}" for problem in _check_object(merged, schema, "")]
        settled = level or general or (base.level if base else "") or own
        found[name] = PolicyConfig(settled.upper(), merged)
    if problems:
        raise UsageError(f"validating policy config {place}:\n" + "\n".join(sorted(problems)))
    return found


def _split(entry: object, name: str, problems: list[str]) -> tuple[str, dict[str, Any]]:
    """A policy's entry is a level, or an object that may hold one beside its properties."""
    if entry is None:
        return "", {}
    properties = dict(entry) if isinstance(entry, dict) else {}
    level = properties.pop("enforcementLevel", "") if isinstance(entry, dict) else entry
    if level and level not in _LEVELS:
        problems.append(f"  {name}: enforcementLevel: got {level!r}, need one of {sorted(_LEVELS)}")
        level = ""
    return str(level), properties


def _check_object(value: dict[str, Any], schema: dict[str, Any], path: str) -> list[str]:
    problems = [f"{path}{key}: missing" for key in schema.get("required", []) if key not in value]
    known = schema.get("properties") or {}
    for key, item in value.items():
        if key in known:
            problems += _check_value(item, known[key], f"{path}{key}")
        elif schema.get("additionalProperties") is False or not path:
            problems.append(f"{path}{key}: no such property")
    return problems


def _check_value(value: object, schema: dict[str, Any], path: str) -> list[str]:
    unread = sorted(set(schema) - _CHECKED - _INERT)
    if unread:
        return [f"{path}: the pack's schema uses {unread}, which this engine cannot check"]
    kinds = schema.get("type")
    wanted = kinds if isinstance(kinds, list) else [kinds] if kinds else []
    if wanted and not any(_is_a(value, kind) for kind in wanted):
        return [f"{path}: got {json.dumps(value)}, need {' or '.join(wanted)}"]
    problems = []
    if "enum" in schema and value not in schema["enum"]:
        problems.append(f"{path}: got {json.dumps(value)}, need one of {schema['enum']}")
    problems += _check_bounds(value, schema, path)
    if isinstance(value, dict):
        problems += _check_object(value, schema, f"{path}.")
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            problems += _check_value(item, schema["items"], f"{path}[{index}]")
    return problems


def _check_bounds(value: object, schema: dict[str, Any], path: str) -> list[str]:
    if isinstance(value, str):
        size, unit, low, high = len(value), "characters", "minLength", "maxLength"
        if "pattern" in schema and not re.search(schema["pattern"], value):
            return [f"{path}: got {value!r}, need a text like {schema['pattern']}"]
    elif isinstance(value, list):
        size, unit, low, high = len(value), "entries", "minItems", "maxItems"
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        size, unit, low, high = value, "", "minimum", "maximum"  # type: ignore[assignment]
    else:
        return []
    if low in schema and size < schema[low]:
        return [f"{path}: got {size:g} {unit}, need at least {schema[low]:g}"]
    if high in schema and size > schema[high]:
        return [f"{path}: got {size:g} {unit}, need at most {schema[high]:g}"]
    return []


def _is_a(value: object, kind: str) -> bool:
    if kind not in _TYPES or not isinstance(value, _TYPES[kind]):
        return False
    if isinstance(value, bool):
        return kind == "boolean"
    return kind != "integer" or float(value).is_integer()  # type: ignore[arg-type]
