"""The schema of the hosted components is a contract: other Pulumi languages generate from it.

`UPDATE_GOLDEN=1` rewrites components/schema.json and the components' READMEs; they travel with the
change that caused them.
"""

from __future__ import annotations

import json
import os
import re
import typing
from pathlib import Path

import pytest
from pulumi.provider.experimental.component import ComponentProvider

from loopback_iac.components import (
    AnycastEdge,
    BareMetalHost,
    CertificateIssuer,
    DnsZone,
    EgressGateway,
    EgressIpPool,
    EgressPolicy,
    HetznerHost,
    HiddenPrimary,
    HostBaseline,
    IngressController,
    IonosHost,
    ProviderFailoverVip,
    args,
    baseline_args,
    cloud_args,
    dns_args,
    dns_zone_args,
    egress_args,
    gateway_args,
    ingress_args,
    issuer_args,
)

DOOR = Path(__file__).parents[2] / "components"
GOLDEN = DOOR / "schema.json"
HOSTED = [
    AnycastEdge,
    BareMetalHost,
    CertificateIssuer,
    DnsZone,
    EgressIpPool,
    EgressPolicy,
    EgressGateway,
    HetznerHost,
    HiddenPrimary,
    HostBaseline,
    IngressController,
    IonosHost,
    ProviderFailoverVip,
]
COMPONENTS = tuple(kind.__name__ for kind in HOSTED)
LOCAL = "#/types/"
PYTHON = re.compile(r"(?<=```python\n).*?(?=```)", re.DOTALL)
REFERENCE = re.compile(r"(?<=`make golden` -->\n).*?(?=<!-- end -->)", re.DOTALL)
PROVIDER = ComponentProvider(HOSTED, "loopback-iac", None, "0.1.0")


def test_schema_is_the_one_published():
    text = json.dumps(json.loads(PROVIDER.schema), indent=2, sort_keys=True) + "\n"
    if os.environ.get("UPDATE_GOLDEN") and not os.environ.get("CI"):
        GOLDEN.write_text(text)
    assert GOLDEN.read_text() == text


def test_every_property_is_described():
    tree = json.loads(GOLDEN.read_text())
    missing = [
        f"{token}.{name}"
        for token, kind in {**tree["types"], **tree["resources"]}.items()
        for group in ("properties", "inputProperties")
        for name, prop in kind.get(group, {}).items()
        if not prop.get("description")
    ]
    assert missing == []


def camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda m: m.group(1).upper(), name)


# the way back is not unique (`ipv4`, `local_v4`), so the names are looked up where they are written
PYTHON_NAMES = {
    camel(name): name
    for room in (
        args,
        baseline_args,
        cloud_args,
        dns_args,
        dns_zone_args,
        egress_args,
        gateway_args,
        ingress_args,
        issuer_args,
    )
    for kind in vars(room).values()
    if typing.is_typeddict(kind)
    for name in kind.__annotations__
} | {
    camel(name): name
    for name in (
        "address",
        "backup_line",
        "baseline",
        "bgp_tunnels",
        "card",
        "class_name",
        "free",
        "host",
        "hosts",
        "manifests",
        "name",
        "namespace",
        "ordered",
        "pools",
        "pops",
        "records",
        "standing",
        "transfers",
        "trusted",
        "updates",
        "vips",
        "zones",
    )
}


def local_type(prop: dict) -> str | None:
    """Token of the object type a property holds, itself or as element or value."""
    for inner in (prop, prop.get("items", {}), prop.get("additionalProperties", {})):
        if str(inner.get("$ref", "")).startswith(LOCAL):
            return inner["$ref"].removeprefix(LOCAL)
    return None


def shown_type(prop: dict) -> str:
    if "$ref" in prop:
        token = prop["$ref"].rpartition(":")[2]
        return f"[{token}](#{token.lower()})" if prop["$ref"].startswith(LOCAL) else "any"
    if "items" in prop:
        return f"list of {shown_type(prop['items'])}"
    if "additionalProperties" in prop:
        return f"{shown_type(prop['additionalProperties'])} by name"
    return prop["type"]


def render_table(properties: dict, required: list[str]) -> str:
    rows = [
        f"| `{PYTHON_NAMES[name]}` | {shown_type(prop)} | {'yes' if name in required else ''}"
        f" | {prop['description']} |\n"
        for name, prop in sorted(properties.items(), key=lambda p: (p[0] not in required, p[0]))
    ]
    return "| name | type | needed | |\n|---|---|---|---|\n" + "".join(rows)


def render_reference(schema: dict, name: str) -> str:
    """Args, outputs, and every type that is reached from the args."""
    kind = schema["resources"][f"loopback-iac:index:{name}"]
    inputs = kind["inputProperties"]
    parts = ["\n### Args\n\n" + render_table(inputs, kind.get("requiredInputs", []))]
    parts += ["\n### Outputs\n\n" + render_table(kind["properties"], [])]
    told: set[str] = set()
    waiting = [inputs, kind["properties"]]
    while waiting:
        for _, prop in sorted(waiting.pop(0).items()):
            token = local_type(prop)
            if token and token not in told:
                told.add(token)
                found = schema["types"][token]
                table = render_table(found["properties"], found.get("required", []))
                title, said = token.rpartition(":")[2], found.get("description", "")
                parts.append(f"\n### {title}\n\n{said}\n\n{table}")
                waiting.append(found["properties"])
    return "".join(parts)


@pytest.mark.parametrize("name", COMPONENTS)
def test_readme_shows_the_program_that_is_planned_and_the_schema(name):
    schema = json.loads(GOLDEN.read_text())
    page = DOOR / name / "README.md"
    program = (DOOR / name / "python/__main__.py").read_text()
    wanted = PYTHON.sub(lambda _: program, page.read_text())
    wanted = REFERENCE.sub(lambda _: render_reference(schema, name), wanted)
    if os.environ.get("UPDATE_GOLDEN") and not os.environ.get("CI"):
        page.write_text(wanted)
    assert page.read_text() == wanted
    assert program in wanted
    assert "### Outputs" in wanted
