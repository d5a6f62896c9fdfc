"""From untrusted trees to values: pydantic does the structure, its errors become Problems.

Each part of a fleet is parsed by itself, so one bad worker does not hide a bad prefix; the checks
across parts then run on whatever parsed.
"""

import difflib
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from loopback_iac.model.fields import NAME, Value, described
from loopback_iac.model.problem import Problem

V = TypeVar("V", bound=Value)

LATE = frozenset({"host", "md5", "secret", "transfer_secret"})
"""Fields whose value may be known only later; given as nothing, they are refused by name."""

_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "a string",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a map",
    "mapping_type": "a map",
    "model_type": "a map",
    "model_attributes_type": "a map",
    "is_instance_of": "a string",
}


def plain(value: object) -> object:
    """Tree with enums as their values, sequences as lists, and no empty entries.

    Anything that is neither stays the very object it was: late values are never looked into.
    """
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {
            str(key): item if key in LATE else plain(item)
            for key, item in value.items()
            if item is not None or key in LATE
        }
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        return [plain(item) for item in value]
    return value


def collect(
    kind: type[V],
    path: str,
    tree: object,
    problems: list[Problem],
    known: type[Value] | None = None,
) -> V | None:
    """Parse one part of the fleet.

    In: `tree` as `plain` leaves it; `known`: the part whose fields are named in suggestions.
    Out: the value, or None after its problems were added to `problems`.
    """
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        problems += [_problem(known or kind, path, detail) for detail in error.errors()]
        return None


def named(path: str, tree: object, problems: list[Problem]) -> dict[str, object]:
    """Entries of a map from names to parts; every bad name is a problem, its part is kept."""
    if not isinstance(tree, dict):
        problems.append(_wrong_kind(path, described(tree), "a map"))
        return {}
    problems += [check for name in tree for check in check_name(f"{path}.{name}", name)]
    return dict(tree)


def check_name(path: str, name: str) -> list[Problem]:
    """Names enter interface names, BIRD symbols and file names, so they are DNS labels."""
    if NAME.fullmatch(name):
        return []
    return [
        Problem(
            path,
            f"{name!r} is not a DNS label",
            "lower-case letters, digits and inner hyphens, at most 63",
            "choose another name",
            "name-dns-label",
        )
    ]


def _wrong_kind(path: str, got: str, need: str) -> Problem:
    return Problem(path, got, need, f"write {need}", "field-type")


def _location(path: str, steps: tuple[int | str, ...]) -> str:
    for step in steps:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return path.lstrip(".")


def _steps(detail: ErrorDetails) -> tuple[int | str, ...]:
    # pydantic adds the names of union members and functions; an operator never wrote those
    return tuple(
        step
        for step in detail["loc"]
        if isinstance(step, int) or not step.startswith(("is-instance", "function-", "IPv"))
    )


def _problem(kind: type[Value], path: str, detail: ErrorDetails) -> Problem:
    steps = _steps(detail)
    where = _location(path, steps)
    context = detail.get("ctx", {})
    error = detail["type"]
    if "fix" in context:
        return Problem(where, context["got"], context["need"], context["fix"], error)
    if error == "extra_forbidden":
        return _unknown(_owner(kind, steps[:-1]), where, str(steps[-1]))
    if error == "missing":
        return Problem(where, "is missing", "", f"add {steps[-1]}", "field-missing")
    if error == "literal_error":
        got = f"{detail['input']!r} is not one of its values"
        return Problem(where, got, context["expected"], "choose one of them", "field-choice")
    if error in {"greater_than_equal", "less_than_equal", "greater_than"}:
        bound = _bound(error, context)
        return Problem(
            where,
            f"{detail['input']} is out of range",
            bound,
            "write a value in that range",
            "field-range",
        )
    need = _KINDS.get(error, detail["msg"])
    return _wrong_kind(where, described(detail["input"]), need)


def _bound(error: str, context: dict[str, object]) -> str:
    key, words = {
        "greater_than_equal": ("ge", "at least"),
        "less_than_equal": ("le", "at most"),
        "greater_than": ("gt", "more than"),
    }[error]
    return f"{words} {context[key]}"


def _owner(kind: type[Value], steps: tuple[int | str, ...]) -> type[Value]:
    """The part an unknown field was written in: field names are read off its type."""
    for step in steps:
        field = kind.model_fields.get(str(step)) if isinstance(step, str) else None
        inner = field.annotation if field else None
        choices = [inner, *getattr(inner, "__args__", ())]
        found = [c for c in choices if isinstance(c, type) and issubclass(c, Value)]
        kind = found[-1] if found else kind
    return kind


def _unknown(kind: type[Value], where: str, name: str) -> Problem:
    known = sorted(f.alias or n for n, f in kind.model_fields.items() if not f.exclude)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        fix = f"did you mean {close[0]!r}?"
        return Problem(where, "unknown field", "", fix, "field-unknown")
    need = f"one of {', '.join(known)}"
    return Problem(where, "unknown field", need, "remove it", "field-unknown")
