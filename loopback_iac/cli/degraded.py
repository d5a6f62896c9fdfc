"""A run that went on over errors, told by zone: which operators have the change, which have not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopback_iac.engine.results import Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopback_iac.engine.results import Result, Undone

_ZONE = "loopback-iac:index:DnsZone"
OWN = "own-anycast"
FIX = (
    "fix: once its API answers, run the same command again; until then `loopback dns check` says"
    " what each server answers"
)


def render_degraded(result: Result) -> list[str]:
    """
    What a person needs to know of zones that not every operator took.

    Out: lines, per zone; none when nothing of a zone was left undone. They say what this run did
    and did not do, and nothing of what servers answer: nobody asked them.
    """
    lines = []
    for one in result.resources:
        facts = one["inputs"].get("zone")
        if one["type"] == _ZONE and isinstance(facts, dict):
            lines += _render_zone(one["urn"], one["name"], facts, result)
    return [*lines, FIX] if lines else []


def _render_zone(urn: str, name: str, facts: Mapping[str, Any], result: Result) -> list[str]:
    missed = [item for item in result.undone if item.parent == urn]
    if not missed:
        return []
    held = [operator for operator in facts["operators"] if operator != OWN]
    by_operator = {one: [m for m in missed if _is_of(m, f"{name}-{one}")] for one in held}
    lines = [f"degraded: zone {facts['name']}"]
    lines += [
        f"  {one} has not taken all of it: {_describe(found, result)}; else it is as it was there"
        for one, found in by_operator.items()
        if found
    ]
    others = [item for item in missed if not any(item in found for found in by_operator.values())]
    lines += [f"  {item.name}: {_describe([item], result)}" for item in others]
    whole = [one for one, found in by_operator.items() if not found]
    if whole:
        lines.append(f"  {', '.join(whole)}: all of it was done there")
    if OWN in facts["operators"]:
        lines.append(f"  {OWN}: not through this zone's resources; the hidden primary brings it")
    return lines


def _is_of(item: Undone, stem: str) -> bool:
    return item.name == stem or item.name.startswith(f"{stem}-")


def _describe(found: list[Undone], result: Result) -> str:
    """How much of it was not done, and the first reason a person can act on."""
    failed = [item for item in found if not item.because]
    skipped = len(found) - len(failed)
    parts = [f"{len(failed)} failed"] if failed else []
    parts += [f"{skipped} skipped"] if skipped else []
    cause = failed[0].urn if failed else _root(found[0], result)
    said = next(
        (
            each.message
            for each in result.diagnostics
            if each.urn == cause and each.severity is Severity.ERROR
        ),
        "",
    )
    reason = " ".join(said.split())[:200]
    return f"{', '.join(parts)} ({cause.rpartition('::')[2]}: {reason})"


def _root(item: Undone, result: Result) -> str:
    """What failed first, of all that this one rests on."""
    known = {each.urn: each for each in result.undone}
    while item.because in known:
        item = known[item.because]
    return item.urn
