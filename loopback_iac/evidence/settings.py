"""The policy pack's configuration, so that evidence and CI judge by the same thresholds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from loopback_iac.controls import Wish, load_controls
from loopback_iac.model import InputRejected, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHERS = ("enforcementLevel", "when_open", "exceptions")
ALL = "all"
TOLD = "controls-told"
"""Policies of the pack that are no control."""


def parse_settings(place: str, text: str) -> Wish:
    """
    Read what `--policy-pack-config` takes.

    In: place, what a refusal calls it.
    Out: parameters and exceptions by control; levels decide what a plan refuses, not what is so.
    Raises: InputRejected with every problem.
    """
    try:
        given = json.loads(text)
    except ValueError as cause:
        _refuse(place, [Problem("", str(cause), "JSON", "mend it", "settings-format")])
    if not isinstance(given, Mapping):
        fix = 'write {"name of a control": {...}}'
        _refuse(place, [Problem("", "it is no object", "an object", fix, "settings-format")])
    controls = {control.name: control for control in load_controls().values()}
    params: dict[str, dict[str, Any]] = {}
    exceptions: list[Any] = []
    problems: list[Problem] = []
    for name, said in given.items():
        if name in (ALL, TOLD) or isinstance(said, str):
            problems += _unknown(name, controls)
            continue
        if name not in controls or not isinstance(said, Mapping):
            problems += _unknown(name, controls) or [
                Problem(name, "it is no object", "an object", "write {...}", "settings-format")
            ]
            continue
        control = controls[name]
        params[control.id] = {k: v for k, v in said.items() if k not in OTHERS}
        exceptions += said.get("exceptions") or []
        problems += _not_parameters(name, params[control.id], control.params)
    if problems:
        _refuse(place, problems)
    return Wish(params=params, exceptions=exceptions)


def _unknown(name: str, controls: Mapping[str, Any]) -> list[Problem]:
    if name in controls or name in (ALL, TOLD):
        return []
    fix = "docs/controls.md has the names"
    return [Problem(name, "there is no such control", "", fix, "settings-control")]


def _not_parameters(
    name: str, given: Mapping[str, Any], known: Mapping[str, Any]
) -> Iterator[Problem]:
    for key in given:
        if key not in known:
            need = f"one of {', '.join((*known, *OTHERS))}"
            fix = "docs/controls.md has the parameters of each control"
            yield Problem(f"{name}.{key}", "it is no parameter", need, fix, "settings-parameter")


def _refuse(place: str, problems: list[Problem]) -> NoReturn:
    raise InputRejected(place, tuple(problems))
