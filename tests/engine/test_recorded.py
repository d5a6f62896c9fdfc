"""
What the Pulumi CLI did with the same graphs, program and plugins, against what this engine does.

`recorded/*.json` were written beside the CLI 3.255: of each run its outcome, the steps, the state,
what existed in the end, and the provider's calls in the order of several plays with random delays.
An order counts where all plays agree on it and the two resources have to do with each other.
"""

from __future__ import annotations

import json
import os
import re
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from loopback_iac.engine import destroy, plan, up
from loopback_iac.engine.values import SIG

if TYPE_CHECKING:
    from loopback_iac.engine import Result
    from tests.engine.conftest import Stack

ALL = sorted((Path(__file__).parent / "recorded").glob("*.json"))
# of runs that go on over errors, the others are played by `make soak`
USUAL = {"continue-create", "continue-update"}
SOAK = os.environ.get("HYPOTHESIS_PROFILE") == "soak"
RECORDED = [p for p in ALL if SOAK or p.stem in USUAL or not p.stem.startswith("continue-")]
VERBS = {"plan": plan, "up": up, "destroy": destroy}
# The CLI names both halves of a replacement and a plan of it; the engine says replace and delete.
STEPS = {"create-replacement": "replace", "delete-replaced": "delete", "discard": "delete"}
# Done differently on purpose (see the engine's README): the calls that change something instead.
ON_PURPOSE = {
    # the CLI deletes b once more, which is gone already
    ("delete-first-cut-short", 2): ["Create:a", "Create:b", "Update:d"],
}
# The CLI drops the row of what goes along with something that then cannot be deleted: here it stays
# as the run before left it.
KEPT_ON_PURPOSE = {("deleted-with-failing", 1): "on"}
DROPPED = ("created", "modified", "sourcePosition", "stackTrace")
IDENTS = re.compile(
    r"-[0-9a-f]{6}(-[0-9a-f]{4})?\b|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
)


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_as_the_cli_did(stack: Stack, file: Path) -> None:
    recording = json.loads(file.read_text())
    if "world" in recording:
        (stack.folder / "world").write_text(json.dumps(recording["world"]))
    for number, run in enumerate(recording["runs"]):
        where = f"{file.stem}, run {number}: {recording['about']}"
        result = play(stack, run)
        assert result.ok is run["ok"], (where, result.diagnostics)
        if instead := ON_PURPOSE.get((file.stem, number)):
            assert sorted(stack.steps()) == instead, where
        else:
            check_calls(stack.calls(), run, where)
            check_steps(result, run, where)
        assert stack.world() == run["exists"], where
        rows = run["rows"]
        if kept := KEPT_ON_PURPOSE.get((file.stem, number)):
            former = recording["runs"][number - 1]["rows"]
            rows = [*rows, *(row for row in former if last(row["urn"]) == kept)]
        ours = tidy_rows(stack.deployment(run.get("stack", "dev")))
        assert ours == tidy_rows({"resources": rows}), where


def play(stack: Stack, run: dict[str, Any]) -> Result:
    given = {"exports": run["exports"]} if "exports" in run else {}
    name = run.get("stack", "dev")
    stack.write(run["graph"], secrets={"pw": "pw"}, to=name, **given)
    goes_on = "--continue-on-error" in run.get("flags", [])
    return stack.run(VERBS[run["verb"]], stack=name, continue_on_error=goes_on)


def check_calls(calls: list[str], run: dict[str, Any], where: str) -> None:
    ours = number_calls([call for call in calls if not call.startswith("Cancel:")])
    plays = [number_calls(drop_skipped(order, run)) for order in run["orders"]]
    assert sorted(ours) == sorted(plays[0]), where
    related = find_related(run)
    for first, second in combinations(plays[0], 2):
        if frozenset((name_of(first), name_of(second))) not in related:
            continue
        if all(order.index(first) < order.index(second) for order in plays):
            assert ours.index(first) < ours.index(second), (where, first, second, ours)


def drop_skipped(calls: list[str], run: dict[str, Any]) -> list[str]:
    """Without questions about what the CLI then skips: the engine skips it and asks nobody."""
    refused = "check" in [entry.get("inputs", {}).get("fail") for entry in run["graph"]]
    goes_on = "--continue-on-error" in run.get("flags", [])
    if run["ok"] or refused or not goes_on:
        return calls
    stepped = {name for op, name in run["steps"] if not op.startswith("delete")}
    # a Diff before it is a guess: whether it could outlive a replacement that deletes first
    checked: set[str] = set()
    kept = []
    for call in calls:
        name = name_of(call)
        checked |= {name} if call.startswith("Check:") else set()
        if name in stepped or name not in checked:
            kept.append(call)
    return kept


def number_calls(calls: list[str]) -> list[str]:
    """The same call twice for one resource (Check, of a replacement) becomes two."""
    return [f"{call}#{calls[:at].count(call)}" for at, call in enumerate(calls)]


def name_of(call: str) -> str:
    return call.partition(":")[2].partition("#")[0]


def find_related(run: dict[str, Any]) -> set[frozenset[str]]:
    """Pairs of names that rest on one another, directly or through others; and each name itself."""
    rests: dict[str, set[str]] = {}
    for row in run["rows"]:
        found = {row.get("parent", ""), row.get("deletedWith", ""), *row.get("dependencies", [])}
        rests.setdefault(row["urn"], set()).update(found - {""})
    for entry in run["graph"]:
        text = json.dumps(entry)
        mentioned = {*re.findall(r"\$\{([\w-]+)\.", text), *entry.get("depends", [])}
        mentioned |= {entry.get("parent", entry["name"])}
        rests.setdefault(f"::{entry['name']}", set()).update(f"::{name}" for name in mentioned)
    names: dict[str, set[str]] = {}
    for urn, below in rests.items():
        names.setdefault(last(urn), set()).update(last(other) for other in below)
    related = {frozenset((name,)) for name in names}
    for name, nearest in names.items():
        todo = list(nearest)
        while todo:
            below_name = todo.pop()
            pair = frozenset((name, below_name))
            if pair not in related:
                related.add(pair)
                todo += names.get(below_name, set())
    return related


def last(urn: str) -> str:
    return urn.rpartition("::")[2]


def check_steps(result: Result, run: dict[str, Any], where: str) -> None:
    steps, wanted = list_steps(result), recorded_steps(run)
    if not run["ok"]:  # the CLI lists what it began, the engine what it ended
        wanted = [step for step in wanted if step in steps]
    assert steps == wanted, where


def list_steps(result: Result) -> list[list[str]]:
    return sorted([change.op.value, change.name] for change in result.changes)


def recorded_steps(run: dict[str, Any]) -> list[list[str]]:
    inner = ("default", "t-dev", "t-other")
    return sorted(
        [STEPS.get(op, op), name]
        for op, name in run["steps"]
        if op != "replace" and name not in inner
    )


def tidy_rows(deployment: dict[str, Any]) -> list[dict[str, Any]]:
    rows = [tidy_row(row) for row in deployment.get("resources") or []]
    return sorted(rows, key=lambda row: (row["urn"], bool(row.get("delete"))))


def tidy_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what differs from run to run, and without the engine's notes to itself."""
    kept = {key: tidy(value) for key, value in row.items() if key not in DROPPED}
    rests = kept.pop("propertyDependencies", {})
    rests = {key: sorted(urns) for key, urns in rests.items() if urns}
    if row["type"].startswith("pulumi:providers:"):
        kept["inputs"] = {k: v for k, v in row.get("inputs", {}).items() if k != "__internal"}
    kept["dependencies"] = sorted(row.get("dependencies") or [])
    kept["propertyDependencies"] = rests
    return {key: value for key, value in kept.items() if value}


def tidy(value: Any) -> Any:
    if isinstance(value, dict):
        if "ciphertext" in value and SIG in value:
            return {"secret": True}
        return {key: tidy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [tidy(item) for item in value]
    return IDENTS.sub("*", value) if isinstance(value, str) else value


def test_the_recordings_are_there() -> None:
    names = [file.stem for file in ALL]
    assert len(names) >= 38
    assert set(names) >= USUAL
    assert {name for name, _ in ON_PURPOSE} <= set(names)
    assert {name for name, _ in KEPT_ON_PURPOSE} <= set(names)
