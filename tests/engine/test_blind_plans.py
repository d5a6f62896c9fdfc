"""Plans without a plugin: from inputs alone, and saying so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from loopback_iac.engine import UsageError, up
from loopback_iac.engine.plugins import PluginAbsentError, find_plugin
from loopback_iac.engine.project import parse_project

if TYPE_CHECKING:
    from tests.engine.conftest import Stack

NO_PLUGINS: dict[str, Any] = {"plugins": {"providers": []}}


def test_creates_are_planned_with_unknown_outputs(stack: Stack) -> None:
    stack.write_project(**NO_PLUGINS)
    stack.write([{"name": "a", "inputs": {"v": 1}}, {"name": "b", "inputs": {"from": "${a.out}"}}])
    result = stack.plan()
    assert result.ok
    assert result.counts == {"create": 2}
    (said,) = [item for item in result.diagnostics if item.severity == "warning"]
    assert "no resource plugin 'probe' found" in said.message
    assert "planned from their inputs alone" in said.message
    by_name = {change.name: change for change in result.changes}
    assert by_name["b"].properties[0].new == "(known after apply)"


def test_existing_resources_are_compared_by_their_inputs(stack: Stack) -> None:
    graph = [
        {"name": "a", "inputs": {"v": 1}},
        {"name": "b", "inputs": {"from": "${a.out}"}},
        {"name": "c", "inputs": {"list": ["x"]}, "opts": {"replace_on_changes": ["list[*]"]}},
        {"name": "d", "inputs": {}},
    ]
    stack.write(graph)
    stack.up()
    stack.write_project(**NO_PLUGINS)
    assert stack.plan().counts == {"same": 4}
    graph[0]["inputs"] = {"v": 2}
    graph[2]["inputs"] = {"list": ["y"]}
    stack.write(graph[:3])
    planned = stack.plan()
    assert planned.counts == {"replace": 1, "update": 2, "delete": 2}  # d, and the replaced c
    assert stack.calls() == []
    stack.write_project()
    stack.write(graph)
    stack.up()


def test_a_config_value_for_a_provider_reaches_it(stack: Stack) -> None:
    stack.write([{"name": "a", "inputs": {}}])
    path = stack.folder / "Pulumi.dev.yaml"
    document = yaml.safe_load(path.read_text())
    document["config"]["probe:account"] = "mine"
    path.write_text(yaml.safe_dump(document))
    stack.up()
    rows = stack.deployment()["resources"]
    (provider,) = [row for row in rows if row["type"] == "pulumi:providers:probe"]
    assert provider["inputs"]["account"] == "mine"


def test_plugins_are_found_in_the_home_by_version(stack: Stack) -> None:
    stack.write_project(**NO_PLUGINS)
    project = parse_project(stack.folder)
    home = stack.folder / "home" / "plugins"
    for version in ("1.2.0", "1.10.0"):
        folder = home / f"resource-probe-v{version}"
        folder.mkdir(parents=True)
        (folder / "pulumi-resource-probe").write_text("#!/bin/sh\n")
    assert "v1.2.0/" in find_plugin(project, "probe", "1.2.0").target
    assert "v1.10.0/" in find_plugin(project, "probe", "").target
    with pytest.raises(PluginAbsentError, match=r"probe-v2\.0\.0"):
        find_plugin(project, "probe", "2.0.0")
    (home / "resource-probe-v1.10.0.partial").touch()
    assert "v1.2.0/" in find_plugin(project, "probe", "").target


def test_a_state_of_another_stack_is_not_taken_for_ours(stack: Stack) -> None:
    stack.write([{"name": "a", "inputs": {}}])
    stack.up()
    config = stack.folder / "Pulumi.dev.yaml"
    with pytest.raises(UsageError, match="the state is of stack dev::t, not of prod::t"):
        stack.run(up, stack="prod", state_dir=stack.state_dir, config_file=config)
    assert stack.world() == ["a"]
