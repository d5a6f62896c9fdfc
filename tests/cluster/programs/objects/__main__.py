"""
Declares the objects its config names, in that order, with the unmodified SDK.

`objects`: a list of {name, token, ...}: `manifest` for an object, `inputs` for a chart or a group;
`secret`: a key of `data` that is secret; `on`: names of others; the rest are resource options.
`settings`: the provider's own; `kubeconfig` comes from a secret.
"""

import importlib
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

MODULES = {"core/v1": "core.v1", "helm.sh/v4": "helm.v4", "helm.sh/v3": "helm.v3"}

config = pulumi.Config()
made: dict[str, pulumi.Resource] = {}
provider = kubernetes.Provider(
    "cluster",
    kubeconfig=config.require_secret("kubeconfig"),
    **config.get_object("settings", {}),
)


def find_class(token: str) -> Any:
    version, _, kind = token.partition(":")
    module = MODULES.get(version) or version.replace(".k8s.io/", ".").replace("/", ".")
    module = module.replace("rbac.authorization", "rbac").replace(
        "apiextensions.k8s", "apiextensions"
    )
    try:
        return getattr(importlib.import_module(f"pulumi_kubernetes.{module}"), kind)
    except ModuleNotFoundError:
        return kubernetes.apiextensions.CustomResource


def declare(row: dict[str, Any]) -> pulumi.Resource:
    options = pulumi.ResourceOptions(
        provider=provider,
        depends_on=[made[name] for name in row.get("on", [])],
        ignore_changes=row.get("ignore"),
        custom_timeouts=pulumi.CustomTimeouts(**row["timeouts"]) if "timeouts" in row else None,
    )
    kind = find_class(row["token"])
    inputs = dict(row.get("manifest") or row.get("inputs") or {})
    if "secret" in row:
        key = row["secret"]
        inputs[key] = {"it": config.require_secret("word")}
    if kind is kubernetes.apiextensions.CustomResource:
        version, _, name = row["token"].partition(":")
        others = {key: value for key, value in inputs.items() if key != "metadata"}
        return kind(
            row["name"], version, name, metadata=inputs.get("metadata"), opts=options, others=others
        )
    names = {
        "stringData": "string_data",
        "roleRef": "role_ref",
        "apiGroup": "api_group",
        "skipAwait": "skip_await",
        "resourcePrefix": "resource_prefix",
    }
    inputs = {names.get(key, key): value for key, value in inputs.items()}
    return kind(row["name"], **inputs, opts=options)


for each in config.get_object("objects", []):
    made[each["name"]] = declare(each)
    if "show" in each:
        pulumi.export(each["name"], getattr(made[each["name"]], each["show"]))
