"""Real policy packs over the engine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from loopback_iac.engine import UsageError, plan, up
from loopback_iac.engine.policyconfig import PolicyConfig, parse_policy_config

if TYPE_CHECKING:
    from tests.engine.conftest import Stack

PACK = Path(__file__).parent / "pack"


@pytest.fixture
def governed(stack: Stack) -> Stack:
    stack.options = replace(stack.options, policy_packs=(PACK,))
    return stack


def thing(name: str, **inputs: Any) -> dict[str, Any]:
    return {"name": name, "inputs": inputs, "opts": inputs.pop("opts", {})}


def configure(stack: Stack, **config: Any) -> None:
    path = stack.folder / "policy.json"
    path.write_text(json.dumps(config))
    stack.options = replace(stack.options, policy_configs=(path,))


def test_a_violation_stops_the_resource_and_names_the_policy(governed: Stack) -> None:
    governed.write([thing("ok", size=1), {**thing("big", size=11), "depends": ["ok"]}])
    planned = governed.run(plan)
    assert not planned.ok
    (violation,) = planned.violations
    assert (violation.policy, violation.pack) == ("small", "engine-tests@v1.2.3")
    assert "size is 11, at most 10" in violation.message
    assert violation.urn.endswith("::big")
    assert planned.counts == {"create": 2}  # a plan goes on to the end
    failed = governed.run(up)
    assert "refused by policy: small" in failed.diagnostics[-1].message
    assert governed.world() == ["ok"]
    assert list(governed.rows()) == ["ok"]


def test_remediation_is_applied_and_settles(governed: Stack) -> None:
    graph = [thing("a", pw="secret:pw", forceNew=1)]
    governed.write(graph, secrets={"pw": "not-in-state"})
    result = governed.up()
    assert any("remediated by" in item.message for item in result.diagnostics)
    assert governed.rows()["a"]["inputs"]["label"] == "set-by-policy"
    assert "not-in-state" not in (governed.state_dir / "state.json").read_text()
    assert governed.up().counts == {"same": 1}
    graph[0]["inputs"]["forceNew"] = 2  # a replacement checks anew, and is remediated anew
    governed.write(graph, secrets={"pw": "not-in-state"})
    assert governed.up().counts == {"replace": 1, "delete": 1}
    assert governed.rows()["a"]["inputs"]["label"] == "set-by-policy"


def test_a_policy_that_breaks_fails_closed(governed: Stack) -> None:
    governed.write([thing("a", **{"break": True})])
    failed = governed.run(up)
    assert "policy pack engine-tests: Analyze failed" in failed.diagnostics[-1].message
    assert governed.world() == []


def test_stack_policies_see_all_resources_after_the_steps(governed: Stack) -> None:
    governed.write([thing(name) for name in "abcd"])
    failed = governed.run(up)
    assert not failed.ok
    assert "4 things: ['a', 'b', 'c', 'd']" in failed.violations[0].message
    assert governed.world() == ["a", "b", "c", "d"]  # too late to prevent anything
    assert not governed.run(plan).ok  # a plan says so before


def test_configuration_sets_levels_and_values(governed: Stack) -> None:
    governed.write([thing("a", size=11)])
    configure(governed, small={"limit": 20}, labelled="disabled")
    governed.up()
    assert "label" not in governed.rows()["a"]["inputs"]
    configure(governed, small={"limit": 5, "enforcementLevel": "advisory"})
    result = governed.up()
    assert [violation.level for violation in result.violations] == ["advisory"]
    configure(governed, small={"limit": "many"}, nosuch={})
    with pytest.raises(UsageError, match='limit: got "many", need integer') as refused:
        governed.run(plan)
    assert "nosuch: no such policy" in str(refused.value)


SCHEMA = {
    "properties": {
        "names": {"type": "array", "items": {"type": "string", "minLength": 2}, "maxItems": 2},
        "mode": {"enum": ["a", "b"]},
        "deep": {"type": "object", "properties": {"n": {"type": "number", "maximum": 5}}},
        "odd": {"type": "string", "format": "ipv4"},
    },
    "required": ["mode"],
}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "mode: missing"),
        ({"mode": "c"}, "mode: got \"c\", need one of ['a', 'b']"),
        ({"mode": "a", "names": ["x"]}, "names[0]: got 1 characters, need at least 2"),
        ({"mode": "a", "names": ["xx", "yy", "zz"]}, "names: got 3 entries, need at most 2"),
        ({"mode": "a", "deep": {"n": 6}}, "deep.n: got 6 , need at most 5"),
        ({"mode": "a", "odd": "x"}, "uses ['format'], which this engine cannot check"),
        ({"mode": "a", "more": 1}, "more: no such property"),
        ({"mode": "a", "enforcementLevel": "must"}, "enforcementLevel: got 'must'"),
    ],
)
def test_configuration_is_checked_against_the_schema(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_policy_config(
            json.dumps({"rule": given}), "f.json", {"rule": ("MANDATORY", SCHEMA)}, {}
        )
    assert words in str(refused.value)


def test_a_level_is_always_sent() -> None:
    policies = {"rule": ("MANDATORY", {"properties": {}, "required": []})}
    assert parse_policy_config("{}", "", policies, {})["rule"] == PolicyConfig("MANDATORY", {})
    general = parse_policy_config('{"all": "disabled"}', "", policies, {})
    assert general["rule"].level == "DISABLED"
