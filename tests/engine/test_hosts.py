"""Components of a host: the library's own as another language would use it, and what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopback_iac.engine import Options, plan, up
from loopback_iac.engine.passphrase import Crypter

if TYPE_CHECKING:
    from loopback_iac.engine import Result
    from tests.engine.conftest import Stack

COMPONENTS = Path(__file__).parents[2] / "components"
BOX: dict[str, Any] = {"name": "x", "kind": "box", "inputs": {"things": ["a"], "v": "1"}}


def declared(result: Result) -> list[tuple[str, str, bool]]:
    return sorted((change.type, change.name, change.custom) for change in result.changes)


def test_the_librarys_components_are_the_same_from_any_language(
    stack: Stack, tmp_path: Path
) -> None:
    stack.write_project(
        main=str(Path(__file__).parent / "programs" / "hosted"),
        plugins={"providers": [{"name": "loopback-iac", "path": str(COMPONENTS)}]},
    )
    stack.write([], program=str(COMPONENTS / "AnycastEdge" / "yaml" / "Pulumi.yaml"))
    hosted = stack.plan()
    assert hosted.ok, hosted.diagnostics
    python = COMPONENTS / "AnycastEdge" / "python"
    direct = plan(Options(directory=python, state_dir=tmp_path / "direct", passphrase="x"))
    assert direct.ok, direct.diagnostics
    # hosted, an edge takes no output for a host, so that example has no BareMetalHost
    ours = [each for each in declared(direct) if each[0] != "loopback-iac:index:BareMetalHost"]
    assert declared(hosted) == ours
    assert len(declared(hosted)) > 5
    assert hosted.plain_outputs["vips"] == direct.plain_outputs["vips"]


def test_without_the_host_a_plan_shows_the_component_alone(stack: Stack) -> None:
    stack.write_project(plugins={"providers": []})
    stack.write([BOX, {"name": "user", "inputs": {"of": "${x.first}"}}])
    result = stack.plan()
    assert result.ok, result.diagnostics
    assert declared(result) == [
        ("box:index:Box", "x", False),
        ("probe:index:Thing", "user", True),
    ]
    by_name = {change.name: change for change in result.changes}
    assert by_name["user"].properties[0].new == "(known after apply)"
    assert "no resource plugin 'box' found" in str(result.diagnostics)
    assert not stack.run(up).ok


def test_what_fails_inside_is_told_once(stack: Stack) -> None:
    bad = {**BOX, "inputs": {"things": ["a"], "v": "1", "nonsense": "${gone.out}"}}
    stack.write([{"name": "gone", "inputs": {"fail": "create"}}, bad])
    failed = stack.run(up)
    assert [item.message for item in failed.diagnostics] == ["create told to fail"]
    stack.write([{**BOX, "inputs": {"v": "1"}}])
    failed = stack.run(up)
    (said,) = failed.diagnostics
    assert "Missing required input 'things' on 'Box'" in said.message
    assert "box:index:Box 'x'" in said.message


def test_outputs_of_another_stack_are_looked_up_beside_it(stack: Stack, tmp_path: Path) -> None:
    def refer(name: str) -> Result:
        stack.write([{"name": "r", "kind": "reference", "stack": name}])
        return stack.plan()

    text = str(refer("organization/edge/prod").diagnostics)
    assert "unknown stack 'organization/edge/prod'" in text
    assert "need organization/PROJECT/STACK" in str(refer("a/b/c/d").diagnostics)
    other = stack.state_dir.parents[1] / "edge" / "prod"
    other.mkdir(parents=True)
    row = {"urn": "urn:pulumi:prod::edge::pulumi:pulumi:Stack::edge-prod", "custom": False}
    row |= {"type": "pulumi:pulumi:Stack", "outputs": {"vip": "203.0.113.10"}}
    document = {"version": 3, "deployment": {"resources": [row]}}
    (other / "state.json").write_text(json.dumps(document))
    assert refer("organization/edge/prod").ok
    assert refer("edge/prod").ok
    assert not refer("prod").ok


def test_a_plan_without_passphrase_does_not_know_a_references_secrets(
    stack: Stack,
) -> None:
    given = {"plain": "text", "hidden": "secret:pw"}
    stack.write([], to="other", secrets={"pw": "hidden"}, exports=given)
    stack.up(stack="other")
    reference = {"name": "r", "kind": "reference", "stack": "organization/t/other"}
    user = {"name": "user", "inputs": {"of": "${r.plain}", "pw": "${r.hidden}"}}
    stack.write([reference, user])
    stack.up()
    assert "hidden" not in (stack.state_dir / "state.json").read_text().replace('"hidden"', "")
    planned = stack.run(plan, passphrase=None)
    assert planned.ok, planned.diagnostics
    other = stack.state_dir.with_name("other") / "state.json"
    salt = stack.deployment("other")["secrets_providers"]["state"]["salt"]
    other.write_text(other.read_text().replace(salt, Crypter.create("another").salt))
    failed = stack.run(up)
    assert "stack reference organization/t/other: its secrets: incorrect passphrase" in str(
        failed.diagnostics
    )
