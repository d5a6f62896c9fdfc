"""What is kept of a drill of names, made from a synthetic run; and what is swept away."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from rich.console import Console

from loopback_iac.cli.drill_names import print_names, print_names_summary
from loopback_iac.incident.shapes import DrillRecord
from loopback_iac.lab.names.drills import DRILLS
from loopback_iac.lab.names.image import PREFIX, sweep_images
from loopback_iac.lab.names.record import Performance, record_names
from loopback_iac.lab.names.space import PREFIX as SPACES
from loopback_iac.lab.names.space import sweep_namespaces
from loopback_iac.lab.names.story import (
    AFTER,
    BEFORE,
    COUNTED,
    DURING,
    STRICT,
    Found,
    Sample,
    Story,
)

CONDITIONS = {"cores": 2, "rate": 60, "versions": {"knot": "3.4.6"}}


def sample(phase: str, begun_s: float, **counts: int) -> Sample:
    told = dict.fromkeys(COUNTED, 0) | {"asked": sum(counts.values())} | counts
    return Sample(STRICT, phase, begun_s, begun_s + 1, told, (1.0, 2.0, 3.0))


def frozen(**counts: int) -> Story:
    """One server lagged, and was found."""
    story = Story(None, begun_s=0.0)  # nothing is asked any more
    story.samples = [
        sample(BEFORE, 0.0, secure=60),
        sample(DURING, 1.0, **(counts or {"secure": 60})),
        sample(AFTER, 2.0, secure=60),
    ]
    story.whole = {(STRICT, phase): True for phase in (BEFORE, DURING, AFTER)}
    story.proved = dict.fromkeys(("nobody-else", "stands", "caught-up"), "")
    story.fault_s, story.fault_ns, story.repair_s = 1.0, 1_795_300_000_000_000_000, 2.0
    found = {"fra1": "equal", "par1": "lagging"}
    story.found = Found(0.4, found, ("serial-behind",), ("example.net. SOA",))
    story.events = [(1.0, "transfers are cut")]
    return story


def kept(tmp_path, story):
    return record_names(
        DRILLS["dns-frozen"], CONDITIONS, [Performance(story, (), (0.5, 0.4, 0.3))], tmp_path
    )


def printed(record):
    out = io.StringIO()
    print_names(record, Console(file=out, width=140))
    print_names_summary([record], Console(file=out, width=140))
    return out.getvalue()


def test_a_run_that_held_is_recorded_with_all_that_it_asked(tmp_path):
    record = kept(tmp_path, frozen())
    assert record == json.loads((tmp_path / "record.json").read_text())
    assert record["held"]
    (run,) = record["runs"]
    assert run["asked"][STRICT][DURING]["secure"] == 60
    assert run["asked"][STRICT][BEFORE]["median_ms"] == 2.0
    assert (run["found"]["after_s"], run["fault"]["lasted_ms"]) == (0.4, 1000.0)
    assert record["summary"] == {
        "asked": dict.fromkeys(COUNTED, 0) | {"asked": 180, "secure": 180},
        "found_after_s": [0.4, 0.4, 0.4],
    }
    raw = json.loads(gzip.decompress((tmp_path / "run-1.json.gz").read_bytes()))
    assert len(raw) == 3
    assert (tmp_path / "run-1.png").stat().st_size > 0
    text = printed(record)
    assert "found by the comparer 0.4 s after the fault (serial-behind): example.net. SOA" in text
    assert "BROKEN" not in text


def test_one_bogus_answer_breaks_it_and_is_told(tmp_path):
    record = kept(tmp_path, frozen(secure=59, bogus=1))
    assert not record["held"]
    broken = {v["name"]: v["broken"] for v in record["must_hold"] if not v["held"]}
    assert broken == {"never-bogus": {"1": "1 answers bogus"}}
    assert "BROKEN no answer was bogus" in printed(record)


def test_what_was_not_looked_at_did_not_hold(tmp_path):
    story = frozen()
    del story.proved["stands"]
    story.found = None
    broken = {v["name"] for v in kept(tmp_path, story)["must_hold"] if not v["held"]}
    assert broken == {"stands", "found"}


def test_what_was_wrong_once_stays_wrong():
    story = frozen()
    story.prove("stands", "it moved")
    story.prove("stands")
    assert story.proved["stands"] == "it moved"


def test_incident_drafts_take_it(tmp_path):
    record = DrillRecord.model_validate(kept(tmp_path, frozen()))
    assert (record.drill, record.held, record.runs[0].fault.lasted_ms) == (
        "dns-frozen", True, 1000.0,
    )  # fmt: skip


@pytest.fixture
def dead():
    """The number of a process that is no more."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_what_a_killed_run_left_is_swept_away_and_what_runs_is_not(dead):
    living = f"{SPACES}-{os.getpid()}-here"
    ground = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{dead}-"))
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(ground)], check=True)
    for name in (living, f"{SPACES}-{dead}-gone"):
        subprocess.run(["ip", "netns", "add", name], check=True)
    left = subprocess.Popen(["ip", "netns", "exec", f"{SPACES}-{dead}-gone", "sleep", "600"])
    try:
        while str(left.pid) not in pids(f"{SPACES}-{dead}-gone"):
            assert left.poll() is None
        sweep_namespaces()
        sweep_images()
        assert left.wait(10) == -9
        assert not ground.exists()
        there = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
        assert living in there
        assert f"-{dead}-" not in there
    finally:
        left.kill()
        subprocess.run(["ip", "netns", "del", living], check=True)


def pids(namespace):
    told = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True,
                          check=True)  # fmt: skip
    return told.stdout.split()
