"""One stack through its life."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.engine.conftest import Stack


def test_up_again_update_destroy(stack: Stack) -> None:
    graph = [
        {"name": "group", "kind": "component", "inputs": {"size": 2}, "outputs": {"ready": True}},
        {"name": "a", "parent": "group", "inputs": {"v": 1}},
        {"name": "b", "parent": "group", "inputs": {"from": "${a.out}"}},
    ]
    stack.write(graph, exports={"b": "${b.from}"})
    planned = stack.plan()
    assert planned.ok, planned.diagnostics
    assert planned.counts == {"create": 3}
    assert stack.world() == []
    made = stack.up()
    assert made.counts == {"create": 3}
    assert stack.world() == ["a", "b"]
    assert made.plain_outputs["b"].startswith("out-of-a-")
    again = stack.up()
    assert again.counts == {"same": 3}
    assert stack.steps() == []
    graph[1]["inputs"] = {"v": 2}
    stack.write(graph, exports={"b": "${b.from}"})
    before = (stack.state_dir / "state.json").read_bytes()
    assert stack.plan().counts == {"update": 2, "same": 1}
    assert stack.steps() == []
    assert (stack.state_dir / "state.json").read_bytes() == before
    assert stack.up().counts == {"update": 2, "same": 1}
    stack.destroy()
    assert stack.world() == []
    assert stack.rows() == {}
