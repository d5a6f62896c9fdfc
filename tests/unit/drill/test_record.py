"""What is kept of a drill, made from a synthetic run."""

from __future__ import annotations

import gzip
import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from loopback_iac.cli.drill import print_record
from loopback_iac.lab.drill.drill import Evidence
from loopback_iac.lab.drill.drills import DRILLS
from loopback_iac.lab.drill.measure import Attempt, Clock, Fault, Records, Stream, measure_run
from loopback_iac.lab.drill.metronome import Pause
from loopback_iac.lab.drill.record import record_drill
from loopback_iac.lab.drill.runner import Aside, Rehearsal, Run, judge_runs
from loopback_iac.lab.drill.witness import BfdSession, Falls, RouteChange, Session

START, EPOCH = 10**15, 17 * 10**17
CONDITIONS = {
    "client": "c-fra",
    "tunnel": "wireguard-go (user space)",
    "cores": 2,
    "load": {"rate": 200},
}


def clock(ms: int) -> Clock:
    return Clock(START + ms * 10**6, EPOCH + ms * 10**6, "b0")


def attempts(family: int):
    """fra1 to 1 s, an outage of 140 ms, par1 to 3 s, fra1 again."""
    for n, ms in enumerate(range(0, 4000, 10)):
        lost = 1000 <= ms < 1140
        pop = None if lost or n % 5 else "par1" if 1000 <= ms < 3000 else "fra1"
        yield Attempt(ms * 1000, family, "timeout" if lost else "ok", 3_000_000 if lost else 900,
                      40, pop is not None, pop, "w1" if pop else None, pop and True)  # fmt: skip


def make_run(**changed) -> Run:
    records = Records(
        clock(0),
        tuple(sorted((*attempts(4), *attempts(6)), key=lambda a: a.due_us)),
        (Stream(4, "survived", "fra1", 30, 1), Stream(6, "reset", "fra1", 10, 1)),
        0.2,
    )
    fault = Fault("fra1", clock(1000), START + 1020 * 10**6, START + 3000 * 10**6)
    down = Session("fra1_4", "192.0.2.1", 4, established=False, last_error="BFD session down")
    evidence = Evidence(
        fault=fault,
        pop="fra1",
        changes=(),
        falls=Falls({"fra1 https/w1": 0}, ()),
        figures=measure_run(records, fault, {}),
        sessions={"fra1": (down, replace(down, protocol="fra1_6", family=6))},
        bfd=(BfdSession("192.0.2.1", up=True, interval_s=0.05, timeout_s=0.15),),
        route_left_ms={4: 139.0, 6: 140.0},
        route_back_ms={4: 700.0, 6: 710.0},
        served_after_return={4: "fra1", 6: "fra1"},
        notes={},
    )
    changes = (RouteChange(EPOCH + 1139 * 10**6, 4, "par1"),)
    return Run(replace(evidence, **changed), records, changes, (0.5, 0.4, 0.3), ())


def two_runs() -> Rehearsal:
    return Rehearsal((make_run(), make_run()))


def broken(run: Run) -> dict[str, str]:
    return {v.name: v.broken[1] for v in judge_runs(DRILLS["silent-pop"], [run]) if v.broken}


def test_the_record_says_what_held_and_carries_every_figure(tmp_path):
    record = record_drill(DRILLS["silent-pop"], CONDITIONS, two_runs(), tmp_path)
    assert record["held"]
    assert record == json.loads((tmp_path / "record.json").read_text())
    assert record["schema"] == 2
    assert record["summary"]["4"]["recovery_ms"]["median"] == 140.9
    assert record["summary"]["6"]["streams_lost"]["most"] == 1
    assert len(record["runs"]) == 2
    raw = json.loads(gzip.decompress((tmp_path / "run-2.json.gz").read_bytes()))
    assert len(raw["attempts"]) == 800
    for number in (1, 2):
        assert (tmp_path / f"run-{number}.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_run_draws_the_same_picture(tmp_path):
    record_drill(DRILLS["silent-pop"], CONDITIONS, two_runs(), tmp_path)
    assert (tmp_path / "run-1.json.gz").read_bytes() == (tmp_path / "run-2.json.gz").read_bytes()


def test_the_table_shows_figures_and_what_broke(tmp_path):
    run = make_run(
        served_after_return={4: "par1", 6: "fra1"},
        falls=Falls(workers={"par1/w1": 2}, bfd=()),
    )
    run = replace(run, pauses=(Pause(START, 50 * 10**6, 1),))
    record = record_drill(DRILLS["silent-pop"], CONDITIONS, Rehearsal((run,)), tmp_path)
    assert not record["held"]
    told = io.StringIO()
    print_record(record, Console(file=told, width=160))
    text = told.getvalue()
    assert "141 / 141 / 141" in text
    assert "every 50 ms, gone after 150 ms" in text
    assert "BROKEN after the repair the PoP announces again and serves" in text
    assert "IPv4: the last sampled answer came through par1" in text
    assert (
        "meanwhile in run 1: worker par1/w1 went DOWN 2 times, core 1 of this machine was paused"
        " for 50 ms"
    ) in text


@pytest.mark.parametrize(("load", "told"), [(9.0, True), (0.5, False)])
def test_what_broke_on_a_busy_machine_is_said_to_be_that(tmp_path, load, told):
    run = replace(make_run(route_left_ms={4: None, 6: 1.0}), load_average=(load, 1.0, 1.0))
    record = record_drill(DRILLS["silent-pop"], CONDITIONS, Rehearsal((run,)), tmp_path)
    shown = io.StringIO()
    print_record(record, Console(file=shown, width=160))
    assert ("this machine had more to do than its" in shown.getvalue()) is told


def test_each_check_can_fail_and_names_its_family():
    assert broken(make_run()) == {}
    run = make_run(route_left_ms={4: None, 6: 1.0})
    assert broken(run) == {"route-left": "IPv4: the router kept its route to the lost PoP"}
    run = make_run(route_back_ms={4: 1.0, 6: None})
    assert broken(run) == {"returned": "IPv6: the router did not come back to fra1"}
    held = Session("fra1_4", "192.0.2.1", 4, established=False, last_error="Hold timer expired")
    run = make_run(sessions={"fra1": (held,)})
    assert broken(run) == {
        "stopped-by-bfd": "IPv4: the session fell for another reason: Hold timer expired;"
        " IPv6: the router has no session with the lost PoP"
    }
    stale = Session("fra1_4", "192.0.2.1", 4, established=True, last_error="BFD session down")
    run = make_run(sessions={"fra1": (stale, replace(stale, family=6))})
    assert broken(run) == {
        "stopped-by-bfd": "IPv4: the session still stands; IPv6: the session still stands"
    }


def test_checks_on_figures_can_fail_too():
    good = make_run()
    four = good.evidence.figures.families[4]
    for name, changed in (
        ("quiet-before", replace(four, before=replace(four.before, failed=2))),
        ("other-pop-serves", replace(four, proved_ms=None)),
        ("other-pop-serves", replace(four, recovery_ms=None)),
        ("other-pop-serves", replace(four, recovery_ms=None, hit_at_end=3)),
        ("clients-keep-addresses", replace(four, wrong_client=1)),
        ("clients-keep-addresses", replace(four, sampled=0)),
    ):
        figures = replace(good.evidence.figures, families={4: changed})
        assert list(broken(make_run(figures=figures))) == [name]


def test_one_connection_lost_in_the_last_moment_is_no_outage():
    good = make_run()
    lone = replace(good.evidence.figures.families[4], recovery_ms=None, hit_at_end=1)
    figures = replace(good.evidence.figures, families={4: lone})
    assert broken(make_run(figures=figures)) == {}


def test_a_drain_must_ask_to_leave_and_keep_its_sessions():
    up = Session("fra1_4", "192.0.2.1", 4, established=True, last_error="")
    sessions = {"fra1": (up, replace(up, protocol="fra1_6", family=6))}
    notes = {f"route from the PoP, IPv{f}": "BGP.community: (65535,0)" for f in (4, 6)}
    drain = DRILLS["drain"]
    lossy = make_run(sessions=sessions, notes=notes)
    families = {
        f: replace(figures, failed_unmoved=0, failed_moving=1)
        for f, figures in lossy.evidence.figures.families.items()
    }
    good = make_run(
        sessions=sessions,
        notes=notes,
        figures=replace(lossy.evidence.figures, families=families),
    )
    assert all(v.held for v in judge_runs(drain, [good]))
    assert {v.name: v.broken for v in judge_runs(drain, [lossy]) if v.broken} == {
        "only-moving-fail": {
            1: "; ".join(f"IPv{f}: 14 connections failed while no route was changing"
                         for f in (4, 6))
        }
    }  # fmt: skip
    held = {v.name: v.held for v in judge_runs(drain, [make_run()])}
    assert [name for name, ok in held.items() if not ok] == [
        "only-moving-fail", "asked-to-leave-first", "sessions-stay",
    ]  # fmt: skip


def test_a_run_set_aside_is_told_and_kept(tmp_path):
    at = START + 500 * 10**6
    pauses = (Pause(at, 50 * 10**6, 1), Pause(at + 70 * 10**6, 60 * 10**6, 1))
    paused = replace(make_run(), pauses=pauses)
    assert paused.spoiled == "this machine stood still for 110 ms"
    aside = (Aside(paused.spoiled, paused), Aside("t1 already routed IPv4 to par1", None))
    done = Rehearsal((make_run(),), aside)
    record = record_drill(DRILLS["silent-pop"], CONDITIONS, done, tmp_path)
    assert record["held"]
    assert len(record["runs"]) == 1
    assert [a["why"] for a in record["set_aside"]] == [a.why for a in aside]
    assert record["set_aside"][0]["run"]["machine_pauses"][0]["lasted_ns"] == 50 * 10**6
    told = io.StringIO()
    print_record(record, Console(file=told, width=160))
    assert "set aside and repeated: this machine stood still for 110 ms" in told.getvalue()


def test_pauses_far_apart_spoil_nothing():
    pauses = tuple(Pause(START + n * 10**9, 50 * 10**6, 0) for n in range(5))
    assert replace(make_run(), pauses=pauses).spoiled == ""


def test_cores_paused_together_are_not_added_up():
    pauses = tuple(Pause(START, 50 * 10**6, core) for core in range(2))
    assert replace(make_run(), pauses=pauses).spoiled == ""
