"""Random graphs, changes, failures: what the state says is what exists, a quiet up settles."""

from __future__ import annotations

import json
import os
import random
from typing import TYPE_CHECKING, Any

import pytest

from loopback_iac.engine import up

if TYPE_CHECKING:
    from tests.engine.conftest import Stack

SEEDS = range(40 if os.environ.get("HYPOTHESIS_PROFILE") == "soak" else 3)
NODES = 9


def draw_graph(dice: random.Random, *, failures: bool) -> list[dict[str, Any]]:
    graph: list[dict[str, Any]] = []
    for number in range(NODES):
        if dice.random() < 0.2:
            continue
        earlier = [entry["name"] for entry in graph]
        inputs: dict[str, Any] = {"v": dice.randint(1, 3)}
        if dice.random() < 0.5:
            inputs["forceNew"] = dice.randint(1, 3)
        if dice.random() < 0.4:
            inputs["deleteFirst"] = True
        if earlier and dice.random() < 0.6:
            key = dice.choice(["from", "forceNew"])
            inputs[key] = f"${{{dice.choice(earlier)}.out}}"
        if failures and dice.random() < 0.15:
            inputs["fail"] = dice.choice(["create", "update", "delete", "partial", "diff"])
        opts = {}
        if earlier and dice.random() < 0.3:
            opts["deleted_with"] = dice.choice(earlier)
            inputs["within"] = f"${{{opts['deleted_with']}.id}}"
        depends = dice.sample(earlier, min(len(earlier), dice.randint(0, 2)))
        graph.append({"name": f"n{number}", "inputs": inputs, "depends": depends, "opts": opts})
    return graph


def check_world(stack: Stack) -> None:
    """
    Ids in the provider's own record == ids in the state; a pending replacement has none.

    What waits for its deletion may have gone along with what it was within.
    """
    path = stack.folder / "world"
    exists = set(json.loads(path.read_text() or "{}")) if path.exists() else set()
    rows = stack.deployment().get("resources") or []
    stated = {
        row["id"]
        for row in rows
        if row["type"] == "probe:index:Thing" and not row.get("pendingReplacement")
    }
    waiting = {row["id"] for row in rows if row.get("delete") and "@" in row["id"]}
    assert exists <= stated
    assert stated - exists <= waiting


@pytest.mark.parametrize("seed", SEEDS)
def test_state_and_world_agree_whatever_fails(stack: Stack, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311  # no cryptography
    for _ in range(3):
        stack.write(draw_graph(dice, failures=True))
        stack.run(up)
        check_world(stack)
    final = draw_graph(dice, failures=False)
    stack.write(final)
    # rows told to fail on deletion do so once more, for what they were told stands in the state
    for _ in range(6):
        if stack.run(up).ok:
            break
        check_world(stack)
        disarm(stack)
    check_world(stack)
    assert stack.world() == sorted(entry["name"] for entry in final)
    settled = stack.up()
    assert set(settled.counts) <= {"same"}
    assert stack.steps() == []


def disarm(stack: Stack) -> None:
    """Let deletions succeed that the inputs in state tell to fail."""
    path = stack.state_dir / "state.json"
    text = path.read_text()
    for what in ("delete", "update", "create", "partial", "diff"):
        text = text.replace(f'"fail": "{what}"', '"fail": "no"')
    path.write_text(text)
