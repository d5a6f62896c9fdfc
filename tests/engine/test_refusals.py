"""What the engine does not do, it refuses by name; it ignores nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pulumi.runtime.proto import resource_pb2, resource_pb2_grpc

from loopback_iac.engine import UsageError, plan, up
from loopback_iac.engine.errors import RefusedError, StateError
from loopback_iac.engine.goal import (
    HONOURED,
    INERT,
    READ_HONOURED,
    READ_REFUSED,
    REFUSED,
    parse_duration,
    parse_goal,
    parse_read,
)
from loopback_iac.engine.monitor import FEATURES, Monitor
from loopback_iac.engine.paths import parse_path, render_path

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engine.conftest import Stack

FIELDS = resource_pb2.RegisterResourceRequest.DESCRIPTOR.fields_by_name
SETTINGS: dict[str, Any] = {
    "importId": "55",
    "replace_with": ["urn:x"],
    "replacement_trigger": {"string_value": "x"},
    "transforms": [{"target": "x", "token": "y"}],
    "state_migrations": [{"target": "x", "token": "y"}],
    "hooks": {"before_create": ["h"]},
    "hideDiffs": ["v"],
    "envVarMappings": {"a": "b"},
    "packageRef": "ref",
    "snippetId": "s",
    "pluginChecksums": {"linux": b"1"},
}


def test_every_field_of_a_registration_is_honoured_or_refused() -> None:
    assert set(FIELDS) == HONOURED | INERT | set(REFUSED)
    assert set(SETTINGS) == set(REFUSED)


@pytest.mark.parametrize("field", sorted(SETTINGS))
def test_a_refused_field_is_named(field: str) -> None:
    request = resource_pb2.RegisterResourceRequest(
        type="t:i:T", name="n", custom=True, **{field: SETTINGS[field]}
    )
    with pytest.raises(RefusedError, match="does not support") as refused:
        parse_goal(request)
    assert REFUSED[field] in str(refused.value)
    assert "'n'" in str(refused.value)


def test_a_field_of_a_newer_protocol_is_refused() -> None:
    request = resource_pb2.RegisterResourceRequest(type="t:i:T", name="n")
    newer = request.SerializeToString() + b"\xf8\x06\x01"  # field 111, varint 1
    with pytest.raises(RefusedError, match="field 111"):
        parse_goal(resource_pb2.RegisterResourceRequest.FromString(newer))


def test_every_call_of_the_monitor_is_served_or_refused() -> None:
    service = resource_pb2.DESCRIPTOR.services_by_name["ResourceMonitor"]
    base = resource_pb2_grpc.ResourceMonitorServicer
    for method in service.methods:
        assert getattr(Monitor, method.name) is not getattr(base, method.name), method.name


def test_only_what_is_done_is_claimed() -> None:
    assert FEATURES == (
        resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
        resource_pb2.RESOURCE_MONITOR_FEATURE_OUTPUT_VALUES,
        resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
        resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
    )


def test_every_field_of_a_read_is_honoured_or_refused() -> None:
    fields = resource_pb2.ReadResourceRequest.DESCRIPTOR.fields_by_name
    assert set(fields) == READ_HONOURED | (INERT & set(fields)) | set(READ_REFUSED)
    for field, value in {"packageRef": "ref", "pluginChecksums": {"linux": b"1"}}.items():
        request = resource_pb2.ReadResourceRequest(type="t:i:T", name="n", **{field: value})
        with pytest.raises(RefusedError, match=READ_REFUSED[field]):
            parse_read(request)


@pytest.mark.parametrize(
    ("opts", "words"),
    [
        ({"import_": "55"}, "`import_`"),
        ({"hide_diffs": ["v"]}, "`hide_diffs`"),
        ({"replacement_trigger": "x"}, "`replacement_trigger`"),
    ],
)
def test_refusals_reach_the_user_without_a_traceback(
    stack: Stack, opts: dict[str, Any], words: str
) -> None:
    stack.write([{"name": "a", "inputs": {}, "opts": opts}])
    result = stack.run(up)
    assert len(result.diagnostics) == 1
    assert words in result.diagnostics[0].message
    assert "Traceback" not in result.diagnostics[0].message
    assert stack.steps() == []


def test_assets_are_refused_and_functions_called(stack: Stack) -> None:
    stack.use_program("refused")
    for what, words in {
        "asset": "an Asset among the properties",
        "invoke": "",
    }.items():
        stack.write([], what=what)
        result = stack.plan()
        assert result.ok == (not words), (what, result.diagnostics)
        assert not words or words in result.diagnostics[0].message


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"packages": {"x": "y"}}, "packages:"),
        ({"runtime": "nodejs"}, "runtime 'nodejs'"),
        ({"runtime": {"name": "python", "options": {"virtualenv": "nowhere"}}}, "virtualenv"),
        ({"main": "nowhere"}, "does not exist"),
        ({"nonsense": 1}, "unknown keys nonsense"),
        ({"plugins": {"providers": [{"name": "x", "path": "nowhere"}]}}, "no folder at path"),
    ],
)
def test_project_files(stack: Stack, document: dict[str, Any], words: str) -> None:
    stack.write_project(**document)
    stack.write([])
    with pytest.raises((UsageError, RefusedError), match=words):
        stack.run(plan)


def test_a_foreign_state_is_refused_by_the_field_it_needs(stack: Stack) -> None:
    stack.write([{"name": "a", "inputs": {}}])
    stack.up()
    state = stack.state_dir / "state.json"
    original = state.read_text()
    state.write_text(
        original.replace('"custom": true,', '"custom": true, "replaceWith": ["urn"],', 1)
    )
    with pytest.raises(StateError, match="replaceWith"):
        stack.run(up)
    state.write_text(original)


def test_a_config_file_that_is_named_must_exist(stack: Stack, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--config-file"):
        stack.run(plan, config_file=tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("text", ["a.b[0]", 'a["x y"].c', 'files["/etc/x.conf"]', r'a["q\"q"]'])
def test_paths_read_back(text: str) -> None:
    assert render_path(parse_path(text)) == text


def test_wild_cards_in_paths() -> None:
    assert parse_path("triggers[*]") == ("triggers", "*")


def test_durations() -> None:
    assert parse_duration("1h2m3.5s") == 3723.5
    for wrong in ("", "5", "1 s", "s"):
        with pytest.raises(UsageError, match="custom timeout"):
            parse_duration(wrong)
