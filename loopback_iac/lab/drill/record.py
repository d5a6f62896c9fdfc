"""What is kept of a drill: one JSON record with all conditions, the raw records, a picture."""

from __future__ import annotations

import dataclasses
import datetime as dt
import gzip
import json
import os
import platform
from typing import TYPE_CHECKING, Any, Protocol

from loopback_iac.lab.drill.ground import PREFIXES, VIPS
from loopback_iac.lab.drill.measure import RETRY_US, SLOW_US, summarize_runs
from loopback_iac.lab.drill.runner import judge_runs
from loopback_iac.lab.drill.timeline import draw_timeline
from loopback_iac.lab.paths import LabError
from loopback_iac.lab.topology import Role
from loopback_iac.model.tunnel import INTERFACE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from loopback_iac.lab.drill.drill import Drill
    from loopback_iac.lab.drill.ground import Ground, Pace
    from loopback_iac.lab.drill.measure import Spread
    from loopback_iac.lab.drill.runner import Rehearsal, Run, Verdict

SCHEMA = 2
DAEMONS = ("bird2", "haproxy", "wireguard-go", "wireguard-tools")


class Told(Protocol):
    """What every kind of drill says of itself."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def what(self) -> str:
        """What it breaks."""

    @property
    def repair(self) -> str:
        """What it does to put that right."""

    @property
    def expects(self) -> str:
        """What is to be seen meanwhile."""


def describe_verdicts(drill: Told, lost: str, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """What every record of a drill begins with.

    In: lost, the host that clients had to do without; nobody: empty.
    """
    return {
        "schema": SCHEMA,
        "drill": drill.name,
        "what": drill.what,
        "repair": drill.repair,
        "expects": drill.expects,
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "lost": lost,
        "held": all(v.held for v in verdicts),
        "must_hold": [
            {
                "name": v.name,
                "says": v.says,
                "held": v.held,
                "broken": {str(run): why for run, why in v.broken.items()},
            }
            for v in verdicts
        ],
    }


def record_drill(
    drill: Drill, conditions: Mapping[str, Any], done: Rehearsal, out: Path
) -> dict[str, Any]:
    """Write `record.json`, `run-N.json.gz` and `run-N.png` to a directory.

    In: conditions as `describe_conditions` found them.
    Out: the record.
    """
    out.mkdir(parents=True, exist_ok=True)
    record, runs = describe_drill(drill, conditions, done), done.runs
    (out / "record.json").write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
    for number, run in enumerate(runs, 1):
        raw = json.dumps(dataclasses.asdict(run.records), separators=(",", ":")).encode()
        # without a time in it, the same records make the same file
        (out / f"run-{number}.json.gz").write_bytes(gzip.compress(raw, mtime=0))
        title = f"{drill.name}, run {number} of {len(runs)}: {drill.what}"
        draw_timeline(run, title, out / f"run-{number}.png")
    return record


def describe_drill(drill: Drill, conditions: Mapping[str, Any], done: Rehearsal) -> dict[str, Any]:
    """Out: the record as plain JSON values."""
    runs = done.runs
    return {
        **describe_verdicts(drill, runs[0].evidence.fault.lost, judge_runs(drill, runs)),
        "definitions": {"slow_ms": SLOW_US / 1000, "retry_ms": RETRY_US / 1000},
        "conditions": dict(conditions),
        "summary": {
            str(family): {name: dataclasses.asdict(s) for name, s in figures.items()}
            for family, figures in summarize_runs([r.evidence.figures for r in runs]).items()
        },
        "runs": [_describe_run(run) for run in runs],
        "set_aside": [
            {"why": aside.why, "run": _describe_run(aside.run) if aside.run else None}
            for aside in done.aside
        ],
    }


def describe_conditions(ground: Ground, pace: Pace) -> dict[str, Any]:
    """What the figures rest on: machine, versions, tunnels, timers, load."""
    lab, pop = ground.lab, ground.pop
    worker = lab.topology.having(Role.WORKER)[0].name
    return {
        "lab": lab.paths.name,
        "client": ground.client,
        "topology": lab.topology.name,
        "pops": [h.name for h in lab.topology.having(Role.POP)],
        "workers": [h.name for h in lab.topology.having(Role.WORKER)],
        "targets": [address for _, address in VIPS],
        "prefixes": [str(p) for p in PREFIXES],
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "tunnel": _tunnel_kind(ground, pop, worker),
        "versions": _versions(ground, pop),
        "load": dataclasses.asdict(pace),
    }


def _tunnel_kind(ground: Ground, pop: str, worker: str) -> str:
    listed = json.loads(ground.on(pop, "ip", "-json", "-details", "link", "show"))
    names = {prefix + worker for prefix in INTERFACE_PREFIX}  # whatever the key epoch
    found = [link.get("linkinfo", {}) for link in listed if link.get("ifname") in names]
    kind = str(found[0].get("info_kind", "unknown")) if found else "no tunnel"
    return {"tun": "wireguard-go (user space)", "wireguard": "wireguard (kernel)"}.get(kind, kind)


def _versions(ground: Ground, pop: str) -> dict[str, str]:
    found = {}
    for package in DAEMONS:
        try:
            found[package] = ground.on(pop, "dpkg-query", "-Wf", "${Version}", package)
        except LabError:
            found[package] = "not installed"
    return found


def _describe_run(run: Run) -> dict[str, Any]:
    evidence = run.evidence
    fault = evidence.fault
    return {
        "load_average": list(run.load_average),
        "machine_pauses": [dataclasses.asdict(p) for p in run.pauses],
        "generator": {
            "cpu_s": run.records.generator_cpu_s,
            "late_p99_ms": evidence.figures.late_p99_ms,
            "late_max_ms": evidence.figures.late_max_ms,
            "punctual": evidence.figures.punctual,
        },
        "fault": {
            "at_realtime_ns": fault.begun.realtime_ns,
            "command_ms": (fault.done_ns - fault.begun.monotonic_ns) / 1e6,
            "lasted_ms": (fault.restored_ns - fault.begun.monotonic_ns) / 1e6,
        },
        "families": {str(f): dataclasses.asdict(v) for f, v in evidence.figures.families.items()},
        "route_left_ms": {str(f): v for f, v in evidence.route_left_ms.items()},
        "route_back_ms": {str(f): v for f, v in evidence.route_back_ms.items()},
        "falls": {"workers": dict(evidence.falls.workers), "bfd": list(evidence.falls.bfd)},
        "route_changes": [dataclasses.asdict(c) for c in run.changes],
        "bfd_before": [dataclasses.asdict(s) for s in evidence.bfd],
        "sessions": {p: [dataclasses.asdict(s) for s in v] for p, v in evidence.sessions.items()},
        "served_after_return": {str(f): v for f, v in evidence.served_after_return.items()},
        "notes": dict(evidence.notes),
    }


def render_spread(found: Spread) -> str:
    """Smallest, middle, largest as text; a dash where there was nothing."""
    if found.median is None:
        return "-"
    values = (found.least, found.median, found.most)
    text = " / ".join(f"{v:.0f}" if v >= 10 or v == int(v) else f"{v:.1f}"
                      for v in values if v is not None)  # fmt: skip
    return text + (f" ({found.missing} missing)" if found.missing else "")
