"""Each component's two examples, and the executable door, fit the published schema."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import grpc
import pytest
import yaml
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from loopback_iac.engine import Options, plan
from loopback_iac.engine.passphrase import Crypter

DOOR = Path(__file__).parents[2] / "components"
SCHEMA = json.loads((DOOR / "schema.json").read_text())
COMPONENTS = sorted(token.rpartition(":")[2] for token in SCHEMA["resources"])
LOCAL = "#/types/"
ANYTHING = "pulumi.json#/Any"
PASSPHRASE = "of this test"


EXAMPLES = sorted(str(at.parent.relative_to(DOOR)) for at in DOOR.glob("*/python*/__main__.py"))


def test_every_component_has_an_example():
    assert {example.partition("/")[0] for example in EXAMPLES} == set(COMPONENTS)


@pytest.mark.parametrize("example", EXAMPLES)
def test_python_example_plans(example, tmp_path, monkeypatch):
    crypter = Crypter.create(PASSPHRASE)
    folder, name = DOOR / example, example.partition("/")[0]
    project = yaml.safe_load((folder / "Pulumi.yaml").read_text())["name"]
    keys = (
        "kubeconfig",
        "sshPrivateKey",
        "md5-fra1-t1",
        "transferSecret",
        "ionosToken",
        "logKey",
        "gatewayToken",
    )
    config = {
        f"{project}:{key}": {"secure": crypter.encrypt("as good as any, and long enough for all")}
        for key in keys
    }
    config[f"{project}:updateKey"] = {"secure": crypter.encrypt("QUFB" * 11)}
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"encryptionsalt": crypter.salt, "config": config}))
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE", raising=False)
    result = plan(Options(directory=folder, stack="dev", state_dir=tmp_path, config_file=file))
    assert result.ok, [said.message for said in result.diagnostics]
    kinds = {change.urn.split("::")[2].rpartition("$")[2] for change in result.changes}
    assert f"loopback-iac:index:{name}" in kinds


def check_value(path: str, value: object, prop: dict) -> list[str]:
    """Where a value of a YAML program does not fit the schema."""
    if isinstance(value, str) and value.startswith("${"):
        return []
    if prop.get("$ref") == ANYTHING:
        return []
    if token := prop.get("$ref", "").removeprefix(LOCAL) or None:
        return check_object(path, value, SCHEMA["types"][token], "required")
    if prop["type"] == "array":
        assert isinstance(value, list), path
        return [p for v in value for p in check_value(path, v, prop["items"])]
    if prop["type"] == "object":
        assert isinstance(value, dict), path
        inner = prop["additionalProperties"]
        return [p for k, v in value.items() for p in check_value(f"{path}.{k}", v, inner)]
    kinds = {"string": str, "integer": int, "number": (int, float), "boolean": bool}
    fits = isinstance(value, kinds[prop["type"]])
    return [] if fits else [f"{path}: {value!r} is no {prop['type']}"]


def check_object(path: str, value: object, kind: dict, required: str) -> list[str]:
    properties = kind.get("inputProperties", kind.get("properties", {}))
    found = [f"{path}.{name} is missing" for name in kind.get(required, []) if name not in value]
    for name, inner in value.items():
        if name in properties:
            found += check_value(f"{path}.{name}", inner, properties[name])
        else:
            found.append(f"{path}.{name} does not exist")
    return found


@pytest.mark.parametrize("name", COMPONENTS)
def test_yaml_example_fits_the_schema(name):
    program = yaml.safe_load((DOOR / name / "yaml/Pulumi.yaml").read_text())
    tokens = {each["type"] for each in program["resources"].values()}
    assert f"loopback-iac:index:{name}" in tokens
    for title, each in program["resources"].items():
        kind = SCHEMA["resources"][each["type"]]
        assert check_object(title, each["properties"], kind, "requiredInputs") == []
    known = {f"{r}.{p}" for r, each in program["resources"].items()
             for p in SCHEMA["resources"][each["type"]]["properties"]}  # fmt: skip
    used = set(re.findall(r"\$\{([^}]+)\}", json.dumps(program)))
    assert used <= known | set(program["config"])
    (plugin,) = program["plugins"]["providers"]
    assert (DOOR / name / "yaml" / plugin["path"]).resolve() == DOOR


def test_a_yaml_program_that_does_not_fit_is_found():
    kind = SCHEMA["resources"]["loopback-iac:index:AnycastEdge"]
    wrong = {"asn": "64500", "pops": {"a": {"nodeid": 1}}}
    found = check_object("edge", wrong, kind, "requiredInputs")
    assert "edge.asn: '64500' is no integer" in found
    assert "edge.pops.a.nodeid does not exist" in found
    assert "edge.pops.a.nodeId is missing" in found
    assert "edge.vips is missing" in found


def test_the_executable_door_gives_the_schema_without_an_installation():
    """As `pulumi package get-schema components/pulumi-resource-loopback-iac` does."""
    argv = [str(DOOR / "pulumi-resource-loopback-iac"), "127.0.0.1:1"]  # the engine's, not dialled
    door = subprocess.Popen(argv, cwd="/", stdout=subprocess.PIPE, text=True)
    try:
        port = int(door.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = provider_pb2_grpc.ResourceProviderStub(channel)
            answer = stub.GetSchema(provider_pb2.GetSchemaRequest(), timeout=300)
            told = stub.GetPluginInfo(empty_pb2.Empty(), timeout=300)
    finally:
        door.kill()
        door.wait()
        door.stdout.close()
    assert json.loads(answer.schema) == SCHEMA
    assert told.version == SCHEMA["version"]
