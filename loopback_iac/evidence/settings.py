"""The policy pack's configuration, so that evidence and CI judge by the same thresholds."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NoReturn

import yaml

from loopback_iac.controls import Wish, load_controls
from loopback_iac.model import InputRejected, Problem
from loopback_iac.model.fields import Line, Value
from loopback_iac.model.origin import Day
from loopback_iac.model.structure import collect, plain

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


class Review(Value):
    """Who answers for a control that no program checks, and when he last looked."""

    owner: Line
    reviewed: Day | None = None


def parse_people(place: str, text: str, wish: Wish) -> Wish:
    """
    Read who answers for the controls that are left to people.

    In: place, what a refusal calls it; text, YAML; wish, what is set already.
    Raises: InputRejected with every problem.
    """
    try:
        given = yaml.safe_load(text)
    except yaml.YAMLError as cause:
        _refuse(place, [Problem("", str(cause), "YAML", "mend it", "people-format")])
    if not isinstance(given, Mapping):
        fix = "write `SUP-02: {owner: ..., reviewed: 2026-11-01}`"
        _refuse(place, [Problem("", "it is no map", "a map of controls", fix, "people-format")])
    problems: list[Problem] = []
    found: dict[str, Review] = {}
    for control, said in given.items():
        if control not in load_controls():
            fix = "docs/controls.md has the ids"
            problems.append(
                Problem(str(control), "there is no such control", "", fix, "people-control")
            )
        elif review := collect(Review, str(control), plain(said), problems):
            found[control] = review
    if problems:
        _refuse(place, problems)
    reviewed = {control: each.reviewed for control, each in found.items() if each.reviewed}
    return replace(wish, owners={c: each.owner for c, each in found.items()}, reviewed=reviewed)


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
