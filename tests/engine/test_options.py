"""Resource options, each with what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from loopback_iac.engine import destroy, up

if TYPE_CHECKING:
    from tests.engine.conftest import Stack


def entry(name: str, inputs: dict[str, Any] | None = None, **opts: Any) -> dict[str, Any]:
    return {"name": name, "inputs": inputs or {}, "opts": opts}


def test_protected_resources_stay_and_are_named(stack: Stack) -> None:
    stack.write([entry("a", protect=True), entry("b")])
    stack.up()
    stack.write([entry("b")])
    failed = stack.run(up)
    assert not failed.ok
    assert "cannot be deleted because it is protected" in failed.diagnostics[-1].message
    assert stack.world() == ["a", "b"]
    gone = stack.run(destroy)
    assert not gone.ok
    assert stack.world() == ["a"]  # all others went
    stack.write([entry("a", protect=False)])
    stack.up()
    stack.write([])
    stack.up()
    assert stack.world() == []


def test_protected_resources_are_not_replaced(stack: Stack) -> None:
    stack.write([entry("a", {"forceNew": 1}, protect=True)])
    stack.up()
    stack.write([entry("a", {"forceNew": 2}, protect=True)])
    failed = stack.run(up)
    assert "protected" in failed.diagnostics[0].message
    assert stack.steps() == []


@pytest.mark.parametrize("option", ["retain_on_delete", "protect"])
def test_deleted_with_what_stays_is_deleted_by_itself(stack: Stack, option: str) -> None:
    stack.write([entry("host", **{option: True}), entry("on", deleted_with="host"), entry("b")])
    stack.up()
    stack.write([entry("b")])
    result = stack.run(up)
    notes = [change.note for change in result.changes if change.name == "host"]
    assert notes == (["retain"] if option == "retain_on_delete" else [])
    assert stack.steps() == ["Delete:on"]
    assert stack.world() == ["b", "host"]


def test_ignore_changes_keeps_the_old_value(stack: Stack) -> None:
    options = {"ignore_changes": ["v", "deep.list[0]"]}
    stack.write([entry("a", {"v": 1, "deep": {"list": [1, 2]}}, **options)])
    stack.up()
    stack.write([entry("a", {"v": 2, "deep": {"list": [9, 2]}}, **options)])
    assert stack.up().counts == {"same": 1}
    stack.write([entry("a", {"v": 3, "deep": {"list": [9, 3]}}, **options)])
    assert stack.up().counts == {"update": 1}
    assert stack.rows()["a"]["inputs"] == {"v": 1, "deep": {"list": [1, 3]}}


def test_custom_timeouts_are_enforced(stack: Stack) -> None:
    stack.write([entry("a", {"held": "for ever"}, timeouts={"create": "1s"})])
    failed = stack.run(up)
    assert "Create did not end within its timeout of 1 s" in failed.diagnostics[0].message
    # nobody knows whether it exists: the operation stays on record
    assert stack.deployment()["pending_operations"][0]["type"] == "creating"


def test_duplicate_urns_are_refused(stack: Stack) -> None:
    stack.write([entry("a"), entry("a")])
    failed = stack.run(up)
    assert "duplicate resource URN" in failed.diagnostics[0].message


def test_components_pass_protect_and_providers_on(stack: Stack) -> None:
    provider = {"name": "acct", "kind": "provider", "inputs": {"account": "one"}}
    group = {"name": "g", "kind": "component", "opts": {"protect": True, "providers": ["acct"]}}
    stack.write([provider, group, {"name": "a", "parent": "g", "inputs": {}}])
    stack.up()
    row = stack.rows()["a"]
    assert row["protect"] is True
    assert row["provider"].split("::")[-2] == "acct"
    assert row["urn"].split("::")[2] == "test:index:Group$probe:index:Thing"


@pytest.mark.parametrize(("account", "op"), [("one", "same"), ("two", "replace")])
def test_another_account_replaces_what_the_provider_has(
    stack: Stack, account: str, op: str
) -> None:
    def write(value: str) -> None:
        provider = {"name": "acct", "kind": "provider", "inputs": {"account": value, "note": "n"}}
        stack.write([provider, entry("a", provider="acct")])

    write("one")
    stack.up()
    write(account)
    result = stack.up()
    ops = {change.name: change.op.value for change in result.changes if change.op != "delete"}
    assert ops == {"acct": op, "a": op}
    assert stack.world() == ["a"]
    assert stack.up().counts == {"same": 2}
