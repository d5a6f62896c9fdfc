"""What is kept of a drill of names: one JSON record, all samples, a picture of each run."""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
import platform
import statistics
from collections import Counter
from typing import TYPE_CHECKING, Any

from loopback_iac.lab.drill.record import describe_verdicts
from loopback_iac.lab.names.performing import judge
from loopback_iac.lab.names.picture import draw_story
from loopback_iac.lab.names.story import AFTER, BEFORE, COUNTED, DURING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from loopback_iac.lab.drill.metronome import Pause
    from loopback_iac.lab.names.anycast import Anycast
    from loopback_iac.lab.names.story import Found, NameDrill, Story
    from loopback_iac.lab.names.tree import Hierarchy

KIND = "names"
"""Tells these drills' records from those of the edge's."""
DAEMONS = ("bird2", "knot", "nsd", "unbound")
PHASES = (BEFORE, DURING, AFTER)


@dataclasses.dataclass(frozen=True)
class Performance:
    """One run with what was seen of the machine meanwhile."""

    story: Story
    pauses: tuple[Pause, ...]
    load_average: tuple[float, float, float]


def record_names(
    drill: NameDrill, conditions: Mapping[str, Any], runs: Sequence[Performance], out: Path
) -> dict[str, Any]:
    """Write `record.json`, `run-N.json.gz` and `run-N.png` to a directory.

    Out: the record.
    """
    out.mkdir(parents=True, exist_ok=True)
    record = describe(drill, conditions, runs)
    (out / "record.json").write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
    for number, run in enumerate(runs, 1):
        samples = [dataclasses.asdict(sample) for sample in run.story.samples]
        raw = json.dumps(samples, separators=(",", ":")).encode()
        (out / f"run-{number}.json.gz").write_bytes(gzip.compress(raw, mtime=0))
        title = f"{drill.name}, run {number} of {len(runs)}: {drill.what}"
        draw_story(run.story, title, out / f"run-{number}.png")
    return record


def describe(
    drill: NameDrill, conditions: Mapping[str, Any], runs: Sequence[Performance]
) -> dict[str, Any]:
    """Out: the record as plain JSON values."""
    verdicts = judge(drill, [run.story for run in runs])
    return {
        **describe_verdicts(drill, drill.lost, verdicts),
        "kind": KIND,
        "conditions": dict(conditions),
        "summary": _summarize([run.story for run in runs]),
        "runs": [_describe_run(run) for run in runs],
    }


def describe_machine(ground: Hierarchy | Anycast, rate: int) -> dict[str, Any]:
    """What the figures rest on."""
    told = ground.primary.run("dpkg-query", "-Wf", "${Package} ${Version}\n", *DAEMONS).stdout
    return {
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "versions": dict(line.split(" ", 1) for line in told.splitlines()),
        "rate": rate,
        "questions": [f"{name} {kind}" for name, kind in ground.questions],
        "comparer": ground.limits._asdict(),
    }


def _summarize(stories: Sequence[Story]) -> dict[str, Any]:
    """Over all runs: the strict resolver's clients, and how long until the comparer had it."""
    counts = Counter(dict.fromkeys(COUNTED, 0))
    for story in stories:
        counts.update(story.sums())
    found = [story.found.after_s for story in stories if story.found]
    return {
        "asked": dict(counts),
        "found_after_s": None if not found else [min(found), statistics.median(found), max(found)],
    }


def _describe_run(run: Performance) -> dict[str, Any]:
    story = run.story
    fault_s = story.fault_s if story.fault_s is not None else story.at_s
    repair_s = story.repair_s if story.repair_s is not None else story.at_s
    return {
        "load_average": list(run.load_average),
        "machine_pauses": [dataclasses.asdict(pause) for pause in run.pauses],
        "fault": {
            "at_realtime_ns": story.fault_ns,
            "lasted_ms": round((repair_s - fault_s) * 1000, 1),
        },
        "asked": {
            who: {phase: story.sums(who, phase) | _times(story, who, phase) for phase in PHASES}
            for who in dict.fromkeys(sample.who for sample in story.samples)
        },
        "found": _describe_found(story.found),
        "proved": dict(story.proved),
        "events": [{"at_s": at_s, "said": said} for at_s, said in story.events],
        "notes": dict(story.notes),
    }


def _describe_found(found: Found | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "after_s": found.after_s,
        "verdicts": dict(found.verdicts),
        "rules": list(found.rules),
        "named": list(found.named),
    }


def _times(story: Story, who: str, phase: str) -> dict[str, float | None]:
    """Of answers. Units: ms."""
    times = sorted(
        each
        for sample in story.samples
        if (sample.who, sample.phase) == (who, phase)
        for each in sample.times_ms
    )
    if not times:
        return {"median_ms": None, "p95_ms": None}
    return {
        "median_ms": round(statistics.median(times), 1),
        "p95_ms": times[min(len(times) - 1, int(len(times) * 0.95))],
    }
