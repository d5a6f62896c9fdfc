"""
Orders of provider calls, against those recorded from the Pulumi CLI 3.255 with the same graph.

The graph: net; a(net); b(a); c depends on a; d(b); e alone. Independent calls come in any order, so
an order is checked as the pairs that the recording holds for sure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.engine.conftest import Stack


def graph(**changes: dict[str, Any]) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = [
        {"name": "net", "inputs": {"v": 1}},
        {"name": "a", "inputs": {"net": "${net.out}", "v": 1}},
        {"name": "b", "inputs": {"a": "${a.out}"}},
        {"name": "c", "inputs": {"v": 1}, "depends": ["a"]},
        {"name": "d", "inputs": {"b": "${b.out}"}},
        {"name": "e", "inputs": {"v": 1}},
    ]
    for entry in entries:
        change = changes.get(entry["name"], {})
        entry["inputs"] = {**entry["inputs"], **change.get("inputs", {})}
        entry["opts"] = change.get("opts", {})
    return entries


def before(calls: list[str], *order: str) -> None:
    """The named calls happened once each, one after the other."""
    places = []
    for call in order:
        assert calls.count(call) == 1, (call, calls)
        places.append(calls.index(call))
    assert places == sorted(places), (order, calls)


def test_create(stack: Stack) -> None:
    stack.write(graph())
    stack.up()
    calls = stack.calls()
    before(calls, "Check:net", "Create:net", "Check:a", "Create:a", "Check:b", "Create:b")
    before(calls, "Create:a", "Check:c", "Create:c")
    before(calls, "Create:b", "Check:d", "Create:d")
    assert not [call for call in calls if call.startswith("Diff")]


def test_update_in_dependency_order(stack: Stack) -> None:
    stack.write(graph())
    stack.up()
    stack.write(graph(a={"inputs": {"v": 2}}))
    stack.up()
    calls = stack.calls()
    before(calls, "Check:net", "Diff:net", "Check:a", "Diff:a", "Update:a", "Check:b", "Diff:b")
    before(calls, "Update:a", "Check:c", "Diff:c")
    # b's input is an output of a, which the update changed
    before(calls, "Diff:b", "Update:b", "Check:d", "Diff:d", "Update:d")
    assert "Update:c" not in calls


def test_replace_creates_before_it_deletes(stack: Stack) -> None:
    stack.write(graph(a={"inputs": {"forceNew": 1}}))
    stack.up()
    stack.write(graph(a={"inputs": {"forceNew": 2}}))
    result = stack.up()
    calls = stack.calls()
    first, again = [at for at, call in enumerate(calls) if call == "Check:a"]
    assert first < calls.index("Diff:a") < again < calls.index("Create:a")
    before(calls, "Diff:a", "Create:a", "Check:b", "Diff:b", "Update:b", "Update:d", "Delete:a")
    assert calls[-1] == "Cancel:" or calls[-1] == "Delete:a"
    assert result.counts == {"replace": 1, "update": 2, "delete": 1, "same": 3}
    assert stack.world() == ["a", "b", "c", "d", "e", "net"]


def test_a_chain_of_replacements_is_deleted_dependents_first(stack: Stack) -> None:
    entries = graph(a={"inputs": {"forceNew": 1}})
    entries[2]["inputs"] = {"forceNew": "${a.out}"}
    stack.write(entries)
    stack.up()
    entries[1]["inputs"]["forceNew"] = 2
    stack.write(entries)
    stack.up()
    before(stack.calls(), "Create:a", "Create:b", "Update:d", "Delete:b", "Delete:a")


def test_delete_before_replace_takes_along_only_what_cannot_stay(stack: Stack) -> None:
    entries = graph(a={"inputs": {"forceNew": 1, "deleteFirst": True}})
    entries[2]["inputs"] = {"forceNew": "${a.out}"}
    stack.write(entries)
    stack.up()
    entries[1]["inputs"]["forceNew"] = 2
    stack.write(entries)
    stack.up()
    calls = stack.calls()
    before(calls, "Delete:b", "Delete:a", "Create:a", "Create:b", "Update:d")
    assert "Delete:c" not in calls  # depends on a by depends_on alone
    assert "Delete:d" not in calls  # its provider would update it
    assert stack.world() == ["a", "b", "c", "d", "e", "net"]


def test_delete_before_replace_as_a_resource_option(stack: Stack) -> None:
    option = {"opts": {"delete_before_replace": True}}
    stack.write(graph(e={"inputs": {"forceNew": 1}, **option}))
    stack.up()
    stack.write(graph(e={"inputs": {"forceNew": 2}, **option}))
    stack.up()
    before(stack.calls(), "Delete:e", "Create:e")


def test_removed_resources_go_last_and_dependents_first(stack: Stack) -> None:
    stack.write(graph())
    stack.up()
    stack.write(graph()[:2] + graph()[5:])
    stack.up()
    before(stack.calls(), "Diff:a", "Delete:d", "Delete:b")
    assert stack.calls().index("Delete:c") > stack.calls().index("Diff:e")
    assert sorted(stack.rows()) == ["a", "e", "net"]


def test_destroy_deletes_dependents_first_without_running_the_program(stack: Stack) -> None:
    stack.write(graph(), **{"raise": ""})
    stack.up()
    stack.write(graph(), **{"raise": "must not run"})
    stack.destroy()
    calls = stack.calls()
    before(calls, "Delete:d", "Delete:b", "Delete:a", "Delete:net")
    before(calls, "Delete:c", "Delete:a")
    assert "Delete:e" in calls
    assert stack.world() == []


def test_plan_asks_the_provider_but_changes_nothing(stack: Stack) -> None:
    stack.write(graph(a={"inputs": {"forceNew": 1}}))
    stack.up()
    before_state = (stack.state_dir / "state.json").read_bytes()
    stack.write(graph(a={"inputs": {"forceNew": 2}})[:4])
    result = stack.plan()
    assert result.ok
    assert result.counts == {"replace": 1, "update": 1, "delete": 3, "same": 2}
    assert stack.steps() == []
    assert "Preview:a" in stack.calls()
    assert (stack.state_dir / "state.json").read_bytes() == before_state


def test_parallel_steps(stack: Stack) -> None:
    stack.write([{"name": f"r{n}", "inputs": {"delay": 0.5}} for n in range(12)])
    assert stack.up(parallel=12).duration_s < 4
    serial = stack.destroy(parallel=2)
    assert 2.5 < serial.duration_s < 6
