"""Declares what a YAML program does: components of a host, by the names their schema gives them."""

import re
from pathlib import Path
from typing import Any

import pulumi
import yaml

config = pulumi.Config()
program = yaml.safe_load(Path(config.require("program")).read_text())
made: dict[str, pulumi.Resource] = {}


def resolve(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: resolve(item) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item) for item in value]
    if isinstance(value, str) and (found := re.fullmatch(r"\$\{(\w+)(?:\.(\w+))?\}", value)):
        name, output = found.groups()
        if output == "host":
            # The SDK's component host (3.272) takes no output where it wants an object, under the
            # Pulumi CLI neither: what the host is made of goes in instead.
            return resolve(program["resources"][name]["properties"])
        return getattr(made[name], output) if output else config.require_secret(name)
    return value


class Hosted(pulumi.ComponentResource):
    host: pulumi.Output[Any]
    hosts: pulumi.Output[Any]
    vips: pulumi.Output[Any]

    def __init__(self, name: str, kind: str, properties: dict[str, Any]) -> None:
        outputs = dict.fromkeys(("host", "hosts", "vips"))
        super().__init__(kind, name, {**outputs, **properties}, None, remote=True)


for name, entry in program["resources"].items():
    made[name] = Hosted(name, entry["type"], resolve(entry["properties"]))
for key, value in program["outputs"].items():
    pulumi.export(key, resolve(value))
