"""`up --continue-on-error`: what fails, what is skipped for it, what is done all the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from loopback_iac.cli import app
from loopback_iac.engine import destroy, plan, read_undone, up
from loopback_iac.engine.errors import StateError
from tests.engine.conftest import PASSPHRASE

if TYPE_CHECKING:
    from tests.engine.conftest import Stack

Graph = list[dict[str, Any]]


def thing(name: str, *depends: str, **inputs: Any) -> dict[str, Any]:
    return {"name": name, "inputs": inputs, "depends": list(depends)}


def undone(result: Any) -> dict[str, str]:
    """By name: what it was skipped for, or nothing where its own step failed."""
    return {item.name: item.because.rpartition("::")[2] for item in result.undone}


def test_what_fails_is_told_apart_from_what_is_skipped(stack: Stack) -> None:
    group = {"name": "group", "kind": "component", "inputs": {"of": "${bad.out}"}}
    account = {"name": "acc", "kind": "provider", "inputs": {"account": "${bad.out}"}}
    graph: Graph = [
        thing("bad", fail="create"),
        thing("late", of="${bad.out}"),
        group,
        {**thing("inner"), "parent": "group"},
        thing("far", "late"),
        account,
        {**thing("of-acc"), "opts": {"provider": "acc"}},
        {"name": "there", "read": "there-1", "inputs": {}},
        thing("after", of="${there.out}"),  # the CLI creates it, without what it should have got
        thing("e"),
    ]
    stack.write(graph)
    result = stack.run(up, continue_on_error=True)
    assert not result.ok
    told = sorted(item.message for item in result.diagnostics)
    assert told == ["create told to fail", "probe:index:Thing 'there': 'there-1' does not exist"]
    assert undone(result) == {
        "bad": "",
        "late": "bad",
        "group": "bad",
        "inner": "group",
        "far": "late",
        "acc": "bad",
        "of-acc": "acc",
        "there": "",
        "after": "there",
    }
    states = [item["state"] for item in result.render_json()["undone"]]
    assert (states.count("failed"), states.count("skipped")) == (2, 7)
    assert stack.world() == ["e"]


def test_what_was_left_undone_is_told_until_a_run_has_done_all(stack: Stack) -> None:
    def degraded() -> tuple[int, dict[str, Any]]:
        place = ["-C", str(stack.folder), "--json"]
        done = CliRunner().invoke(app, ["state", "degraded", *place])
        return done.exit_code, json.loads(done.stdout)

    graph: Graph = [thing("a"), thing("bad", fail="create"), thing("late", of="${bad.out}")]
    stack.write(graph)
    assert read_undone(stack.options) is None
    assert not stack.run(plan).undone
    half = stack.run(up, continue_on_error=True)
    at, kept = read_undone(stack.options)
    assert (at[:2], kept.undone) == ("20", half.undone)
    assert [d.message for d in kept.diagnostics] == ["create told to fail"]
    code, told = degraded()
    assert (code, told["since"], [one["name"] for one in told["undone"]]) == (
        1,
        at,
        ["bad", "late"],
    )
    # a plan is no run, and one that stops at its first error has brought nothing about
    stack.run(plan)
    assert not stack.run(up).ok
    assert read_undone(stack.options)[0] == at
    stack.write([thing("a"), thing("bad"), thing("late", of="${bad.out}")])
    stack.up()
    assert degraded() == (0, {"since": None, "degraded": [], "undone": []})
    (stack.state_dir / "undone.json").write_text("{")
    with pytest.raises(StateError, match="run `up` again"):
        read_undone(stack.options)
    stack.run(destroy)
    assert read_undone(stack.options) is None


def test_removals_wait_where_they_rest_on_what_failed(stack: Stack) -> None:
    before: Graph = [thing("a"), thing("on-a", "a"), thing("on-that", "on-a"), thing("x")]
    stack.write(before)
    stack.up()
    # a program that raises has not said all: nothing is removed
    stack.write([thing("a", v=2, fail="update")], **{"raise": "sorry"})
    result = stack.run(up, continue_on_error=True)
    assert {item.message for item in result.diagnostics} >= {"sorry"}
    assert stack.world() == ["a", "on-a", "on-that", "x"]
    stack.write([thing("a", v=2, fail="update")])
    assert not stack.run(up, continue_on_error=True).ok
    assert stack.world() == ["a", "on-a", "on-that"]  # the CLI deletes all but a
    stack.write([thing("a", v=2)])
    assert stack.up().counts == {"update": 1, "delete": 2}
    assert stack.world() == ["a"]


def test_outputs_that_are_not_known_stay_as_they_were(stack: Stack) -> None:
    def write(value: int, **fails: str) -> None:
        group = {"name": "group", "kind": "component", "inputs": {}}
        outs = {"bad": "${bad.out}", "good": "${good.out}"}
        graph = [{**group, "outputs": {}}, thing("bad", v=value, **fails), thing("good", v=value)]
        late = {"name": "says", "kind": "component", "inputs": {}, "outputs": outs}
        stack.write([*graph, late], exports=outs)

    write(1)
    first = stack.up()
    write(2, fail="update")
    second = stack.run(up, continue_on_error=True)
    assert undone(second) == {"bad": ""}
    kept = second.plain_outputs
    assert kept["bad"] == first.plain_outputs["bad"]
    assert kept["good"] != first.plain_outputs["good"]
    assert stack.rows()["says"]["outputs"] == kept


def test_interrupted_in_the_middle_it_saves_and_the_next_run_goes_on(stack: Stack) -> None:
    graph: Graph = [thing("bad", fail="create"), thing("slow", held="go"), thing("late", "slow")]
    stack.write(graph)
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from pathlib import Path; from loopback_iac.engine import Options, up\n"
        "result = up(Options(directory=Path(sys.argv[1]), continue_on_error=True))\n"
        "print([item.name for item in result.undone]); sys.exit(0 if result.ok else 1)"
    )
    environment = {**os.environ, "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE}
    (stack.folder / "calls").write_text("")
    words = [sys.executable, "-c", code, str(stack.folder)]
    child = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)
    while not {"Create:bad", "Create:slow"} <= set(stack.calls()):
        assert child.poll() is None
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    while "Cancel:" not in stack.calls():
        assert child.poll() is None
        time.sleep(0.05)
    stack.let_go()
    told, _ = child.communicate()
    assert child.returncode == 1
    assert "late" not in told
    assert stack.world() == ["slow"]  # what had begun was ended and saved
    assert "pending_operations" not in stack.deployment()
    graph[0]["inputs"] = {}
    stack.write(graph)
    assert stack.up(continue_on_error=True).counts == {"create": 2, "same": 1}
