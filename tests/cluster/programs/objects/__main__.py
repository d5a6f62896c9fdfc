"""
Declares the objects its config names, in that order, with the unmodified SDK.

`objects`: a list of {name, token, ...}: `manifest` for an object, `inputs` for a chart or a group;
`secret`: an input that holds a secret word; `on`: names of others.
`settings`: the provider's own; `kubeconfig` comes from a secret.
"""

import importlib
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

MODULES = {"core/v1": "core.v1", "helm.sh/v4": "helm.v4", "yaml/v2": "yaml.v2"}

config = pulumi.Config()
made: dict[str, pulumi.Resource] = {}
provider = kubernetes.Provider(
    "cluster",
    kubeconfig=config.require_secret("kubeconfig"),
    **config.get_object("settings", {}),
)


def find_class(token: str) -> Any:
    version, _, kind = token.partition(":")
    return getattr(importlib.import_module(f"pulumi_kubernetes.{MODULES[version]}"), kind)


def declare(row: dict[str, Any]) -> pulumi.Resource:
    options = pulumi.ResourceOptions(
        provider=provider, depends_on=[made[name] for name in row.get("on", [])]
    )
    inputs = dict(row.get("manifest") or row.get("inputs") or {})
    if "secret" in row:
        inputs[row["secret"]] = {"it": config.require_secret("word")}
    kind = find_class(row["token"])
    return kind(row["name"], **inputs, opts=options)


for each in config.get_object("objects", []):
    made[each["name"]] = declare(each)
