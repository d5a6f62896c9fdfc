"""Zones that change by dynamic update: who changes them, and what ends them."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from loopback_iac.model.problem import Problem


def check_updates(
    parts: Mapping[str, Mapping[str, Any]], ended: Collection[str]
) -> Iterator[Problem]:
    """Findings on zones with updaters, on updaters, and on zones that are said to have ended."""
    zones, updaters = parts["zones"], parts["updaters"]
    known, used = ", ".join(updaters) or "none is declared", set[str]()
    for zone, source in zones.items():
        path = f"zones.{zone.removesuffix('.')}"
        used |= set(source.updated_by)
        for name in sorted(set(source.updated_by) - updaters.keys()):
            got, fix = f"there is no updater {name!r}", "declare it under updaters"
            yield Problem(f"{path}.updated_by", got, known, fix, "zone-updater-known")
        if "update_types" in source.model_fields_set and not source.is_updated:
            got, fix = "nobody updates the zone", "say who under updated_by, or leave it out"
            yield Problem(f"{path}.update_types", got, "", fix, "zone-updater-missing")
        if not source.update_types:
            need, fix = "at least one type", "leave it out for TXT, or name a type"
            yield Problem(f"{path}.update_types", "is empty", need, fix, "section-empty")
        if source.is_updated and zone in ended:
            got, fix = f"{zone} is declared as well", "take it out of ended_zones"
            yield Problem("ended_zones", got, "", fix, "zone-ended-declared")
    for name in sorted(updaters.keys() - used):
        fix = "name it in updated_by of a zone, or remove it"
        got = "it may reach the primary and update no zone"
        yield Problem(f"updaters.{name}", got, "", fix, "updater-unused")
