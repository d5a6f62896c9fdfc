"""
Killed at each point of the journal, a fault at each call of a plugin: nothing is lost track of.

Afterwards the provider's own record equals the state, but for operations the state names as under
way; `state adopt` and `state forget` settle those, and one more `up` makes the fleet whole.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from loopback_iac.engine import adopt, forget, up

if TYPE_CHECKING:
    from tests.engine.conftest import Stack

SOAK = os.environ.get("HYPOTHESIS_PROFILE") == "soak"
# Writes to the journal, and calls of the plugin, that an `up` of AFTER comes to; in a quick run
# some of them.
WRITES, CALLS = 22, 20
KILLS = [(n, when) for n in range(1, WRITES + 1) for when in ("before", "after")]
FAULTS = [(n, what) for n in range(1, CALLS + 1) for what in ("error", "before", "after")]
if not SOAK:
    KILLS = [(3, "after"), (9, "before"), (14, "after"), (20, "before")]
    FAULTS = [(2, "error"), (8, "after"), (13, "before"), (16, "error"), (19, "after")]
# Kills the engine at its Nth write to the journal, when it is there or just before.
KILLED = """
import itertools, os, sys
from loopback_iac.engine.journal import Journal
count, upto, early = itertools.count(1), int(sys.argv.pop(1)), sys.argv.pop(1) == "before"
write = Journal._write
def counted(self, event):
    last = next(count) == upto
    if last and early: os._exit(9)
    write(self, event)
    if last: os._exit(9)
Journal._write = counted
from loopback_iac.cli import main
main()
"""


def thing(name: str, *depends: str, **inputs: Any) -> dict[str, Any]:
    return {"name": name, "inputs": inputs, "depends": list(depends)}


BEFORE = [
    thing("net", v=1),
    thing("swap", "net", forceNew=1),
    thing("first", "net", forceNew=1, deleteFirst=True),
    thing("rests", forceNew="${first.out}"),
    thing("gone", "net", v=1),
]
# An update, a replacement each way with a dependent, a delete, and something new.
AFTER = [
    thing("net", v=2),
    thing("swap", "net", forceNew=2),
    thing("first", "net", forceNew=2, deleteFirst=True),
    thing("rests", forceNew="${first.out}"),
    thing("new", "swap", v=1),
]


def exists(stack: Stack) -> dict[str, str]:
    return dict(json.loads((stack.folder / "world").read_text()))


def check_record(stack: Stack) -> None:
    """What exists and what the state says differ only in operations the state names."""
    deployment, real = stack.deployment(), exists(stack)
    pending = {(row["type"], last(row["resource"]["urn"])) for row in pendings(deployment)}
    stated = {
        row["id"]: row
        for row in deployment.get("resources") or []
        if row["type"] == "probe:index:Thing" and not row.get("pendingReplacement")
    }
    for ident, name in real.items():
        assert ident in stated or {("creating", name), ("deleting", name)} & pending, ident
    for ident, row in stated.items():
        assert ident in real or ("deleting", last(row["urn"])) in pending, ident


def pendings(deployment: dict[str, Any]) -> list[dict[str, Any]]:
    return list(deployment.get("pending_operations") or [])


def last(urn: str) -> str:
    return urn.rpartition("::")[2]


def settle(stack: Stack) -> None:
    """What a person would do: look whether it exists, adopt it or forget it, run up."""
    deployment, real = stack.deployment(), exists(stack)
    known = {row.get("id") for row in deployment["resources"]}
    for row in pendings(deployment):
        urn = row["resource"]["urn"]
        found = [i for i, name in real.items() if name == last(urn) and i not in known]
        if row["type"] == "creating" and found:
            assert found[0] in adopt(stack.options, urn, found[0])
        elif row["type"] == "creating":
            forget(stack.options, [urn])
    stack.up()
    assert stack.world() == sorted(entry["name"] for entry in AFTER)
    assert pendings(stack.deployment()) == []
    assert set(stack.up().counts) == {"same"}
    assert stack.steps() == []


@pytest.mark.parametrize(("point", "when"), KILLS)
def test_killed_at_a_point_of_the_journal(stack: Stack, point: int, when: str) -> None:
    stack.write(BEFORE)
    stack.up()
    stack.write(AFTER)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(point), when, "up"],
        cwd=stack.folder,
        env={**os.environ, "PULUMI_CONFIG_PASSPHRASE": str(stack.options.passphrase)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 9, done.stderr
    replay(stack)
    check_record(stack)
    settle(stack)


def replay(stack: Stack) -> None:
    """Bring what the journal holds into state.json, as the next command would."""
    assert forget(stack.options, []) == []


@pytest.mark.parametrize(("call", "fault"), FAULTS)
def test_a_fault_at_a_call_of_the_plugin(
    stack: Stack, call: int, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.write(BEFORE)
    stack.up()
    stack.write(AFTER)
    with monkeypatch.context() as patch:
        patch.setenv("PROBE_FAULT", f"{call}:{fault}")
        assert not stack.run(up).ok
    check_record(stack)
    settle(stack)
