"""What goes along with another's delete stays on record until that delete has succeeded."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from loopback_iac.engine import destroy, plan, up
from loopback_iac.engine.journal import Ledger
from loopback_iac.engine.layers import arrange, find_below, find_hosts
from loopback_iac.engine.run import Old
from loopback_iac.engine.state import Resource
from tests.engine.test_kills import start, wait_for
from tests.engine.test_random_graphs import check_world, disarm

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopback_iac.engine import Options, Result
    from tests.engine.conftest import Stack

EVERYTHING = ["host", "inner", "on", "rests"]


def thing(name: str, *depends: str, **inputs: Any) -> dict[str, Any]:
    return {"name": name, "inputs": inputs, "depends": list(depends)}


def within(host: str, name: str, *depends: str, **inputs: Any) -> dict[str, Any]:
    entry = thing(name, *depends, within=f"${{{host}.id}}", **inputs)
    return {**entry, "opts": {"deleted_with": host}}


def fleet(*, host: str = "", rests: str = "") -> list[dict[str, Any]]:
    """A host, what goes along with it, what goes along with that, and what rests on the host."""
    return [
        thing("host", **({"fail": host} if host else {})),
        within("host", "on"),
        within("on", "inner"),
        thing("rests", "host", **({"fail": rests} if rests else {})),
    ]


@pytest.mark.parametrize("verb", [destroy, up])
@pytest.mark.parametrize(
    ("fails", "stays"), [("host", ["host", "inner", "on"]), ("rests", EVERYTHING)]
)
def test_it_stays_on_record_when_its_host_stays(
    stack: Stack, verb: Callable[[Options], Result], fails: str, stays: list[str]
) -> None:
    stack.write(fleet(**{fails: "delete"}))
    stack.up()
    stack.write([])
    failed = stack.run(verb)
    assert not failed.ok
    assert [item.message for item in failed.diagnostics] == ["delete told to fail"]
    assert sorted(stack.rows()) == stack.world() == stays
    check_world(stack)
    disarm(stack)
    assert stack.run(verb).ok
    assert [step for step in stack.steps() if step != "Delete:rests"] == ["Delete:host"]
    assert stack.rows() == {}
    assert stack.world() == []


def test_declared_again_after_a_failed_removal_it_is_not_made_twice(stack: Stack) -> None:
    stack.write(fleet(host="delete"))
    stack.up()
    stack.write([])
    assert not stack.run(up).ok
    stack.write(fleet(host="delete"))
    assert stack.up().counts == {"create": 1, "same": 3}
    assert stack.steps() == ["Create:rests"]
    check_world(stack)


def test_what_it_rests_on_stays_until_its_host_has_gone(stack: Stack) -> None:
    stack.write([thing("net"), thing("host", fail="delete"), within("host", "on", "net")])
    stack.up()
    assert not stack.run(destroy).ok
    assert stack.steps() == ["Delete:host"]
    assert sorted(stack.rows()) == stack.world() == ["host", "net", "on"]
    disarm(stack)
    stack.destroy()
    assert stack.steps() == ["Delete:host", "Delete:net"]


def test_what_stands_on_something_that_goes_before_its_host_is_deleted_by_itself(
    stack: Stack,
) -> None:
    graph = [thing("host", fail="delete"), thing("space", "host"), within("host", "on", "space")]
    stack.write(graph)
    stack.up()
    assert not stack.run(destroy).ok
    assert stack.steps() == ["Delete:on", "Delete:space", "Delete:host"]
    assert list(stack.rows()) == stack.world() == ["host"]


def test_a_component_on_its_host_does_not_keep_it_from_going_along(stack: Stack) -> None:
    group = {"name": "group", "kind": "component", "parent": "host"}
    stack.write([thing("host", fail="delete"), group, {**within("host", "on"), "parent": "group"}])
    stack.up()
    assert not stack.run(destroy).ok
    assert sorted(stack.rows()) == ["group", "host", "on"]
    disarm(stack)
    planned = stack.run(plan)
    assert planned.ok
    stack.destroy()
    assert stack.steps() == ["Delete:host"]
    assert stack.rows() == {}


def test_what_stands_on_something_of_somebody_else_is_deleted_by_itself(stack: Stack) -> None:
    stack.write([thing("theirs")])
    stack.up()
    ident = stack.rows()["theirs"]["id"]
    stack.write([thing("theirs"), {"name": "seen", "read": ident}, within("seen", "on")])
    stack.up()
    stack.write([thing("theirs")])
    stack.up()
    assert stack.steps() == ["Delete:on"]
    assert stack.world() == ["theirs"]


def test_a_retained_host_that_is_replaced_takes_nothing_along(stack: Stack) -> None:
    for version in (1, 2):
        host = thing("host", forceNew=version, deleteFirst=True)
        stack.write([{**host, "opts": {"retain_on_delete": True}}, within("host", "on")])
        stack.up()
    assert stack.steps() == ["Delete:on", "Create:host", "Create:on"]
    assert stack.world() == ["host", "host", "on"]  # the former host is nobody's now


def test_an_interrupt_before_its_host_keeps_it(stack: Stack) -> None:
    stack.let_go()
    stack.write([*fleet()[:3], thing("rests", "host", held="go")])
    stack.up()
    (stack.folder / "go").unlink()
    engine = start(stack, "destroy")
    wait_for(lambda: "Delete:rests" in stack.calls())
    engine.send_signal(signal.SIGINT)
    wait_for(lambda: "Cancel:" in stack.calls())
    stack.let_go()
    engine.communicate(timeout=60)
    assert engine.returncode == 1
    assert sorted(stack.rows()) == stack.world() == ["host", "inner", "on"]
    stack.destroy()
    assert stack.rows() == {}
    assert stack.world() == []


def test_where_several_former_hosts_wait_each_is_deleted_by_itself(stack: Stack) -> None:
    for version in (1, 2, 3):
        stack.write([thing("host", forceNew=version, fail="delete"), within("host", "on")])
        assert stack.run(up).ok is (version == 1)
    calls = ["Create:host", "Create:on", *["Delete:host"] * 2, *["Delete:on"] * 2]
    assert sorted(stack.steps()) == calls
    assert stack.world() == ["host", "host", "host", "on"]
    check_world(stack)
    disarm(stack)
    stack.write([thing("host", forceNew=3, fail="no"), within("host", "on")])
    stack.up()
    assert stack.world() == ["host", "on"]
    check_world(stack)


def old(index: int, urn: str, host: str = "", **given: Any) -> Old:
    resource = Resource(urn=urn, type="t", custom=True, deleted_with=host, **given)
    return Old(index, {}, resource)


def test_nobody_guesses_which_of_several_takes_it_along() -> None:
    rows = [old(0, "host", delete=True), old(1, "on", "host", delete=True)]
    assert find_hosts(rows, set()) == {1: 0}
    assert find_hosts(rows, {0}) == {}
    assert find_hosts([*rows, old(2, "host", delete=True)], set()) == {}
    assert find_hosts([old(0, "host", delete=True), old(1, "on", "host")], set()) == {}


def test_a_cycle_of_a_damaged_state_ends() -> None:
    rows = [old(0, "a", "b"), old(1, "b", "a"), old(2, "c", "c"), old(3, "d", "a")]
    assert find_hosts(rows, set()) == {}
    layers = arrange(rows, find_below(rows), {})
    assert [[[one.index for one in group] for group in layer] for layer in layers] == [
        [[3], [2]],
        [[1, 0]],
    ]


@pytest.fixture
def killed(stack: Stack) -> Stack:
    """Killed while the host was being deleted: nobody knows whether it went, and what with it."""
    stack.let_go()
    stack.write([thing("host", held="go"), *fleet()[1:]])
    stack.up()
    (stack.folder / "go").unlink()
    engine = start(stack, "destroy")
    wait_for(lambda: "Delete:host" in stack.calls())
    engine.kill()
    engine.communicate()
    stack.let_go()
    return stack


def test_a_kill_in_mid_delete_keeps_what_was_to_go_along(killed: Stack) -> None:
    (killed.folder / "world").write_text("{}")  # they had gone
    killed.destroy()
    assert killed.steps() == ["Delete:host"]
    assert killed.rows() == {}


def test_what_may_have_gone_along_is_brought_in_order(killed: Stack) -> None:
    killed.up()
    assert sorted(killed.steps()) == ["Create:rests", "Update:host", "Update:inner", "Update:on"]
    assert killed.up().counts == {"same": 4}
    check_world(killed)


def test_a_delete_and_what_it_takes_along_are_one_event() -> None:
    rows = [{"urn": "host"}, {"urn": "on"}]
    ledger = Ledger(rows, [{"resource": rows[1], "type": "updating"}])
    ledger.apply({"e": "begin", "n": 1, "op": "deleting", "r": rows[0]})
    assert ledger.rows() == rows
    ledger.apply({"e": "gone", "old": 0, "along": [1], "n": 1})
    assert (ledger.rows(), ledger.pending()) == ([], [])
