"""
Declares the resources its config names, in that order.

`graph`: a list of {name, inputs, parent, depends, opts}; an input "${a.out}" is an output of `a`.
A `kind` of component makes a component, whose `outputs` are registered; box is a component of a
host, get reads the resource with the id in `read`, reference is another stack.
"""

import atexit
import re
from typing import Any

import pulumi

REFERENCE = re.compile(r"\$\{([\w-]+)\.(\w+)\}")
SECRET = re.compile(r"secret:(\w+)")


class Thing(pulumi.CustomResource):
    out: pulumi.Output[str]

    def __init__(self, name: str, inputs: dict[str, Any], opts: pulumi.ResourceOptions) -> None:
        super().__init__("probe:index:Thing", name, {"out": None, **inputs}, opts)


class Group(pulumi.ComponentResource):
    def __init__(self, name: str, inputs: dict[str, Any], opts: pulumi.ResourceOptions) -> None:
        super().__init__("test:index:Group", name, inputs, opts)


class Box(pulumi.ComponentResource):
    first: pulumi.Output[str]

    def __init__(self, name: str, inputs: dict[str, Any], opts: pulumi.ResourceOptions) -> None:
        super().__init__("box:index:Box", name, {"first": None, **inputs}, opts, remote=True)


class Account(pulumi.ProviderResource):
    def __init__(self, name: str, inputs: dict[str, Any], opts: pulumi.ResourceOptions) -> None:
        super().__init__("probe", name, inputs, opts)


config = pulumi.Config()
made: dict[str, pulumi.Resource] = {}


def pick(source: pulumi.Resource, output: str) -> Any:
    if isinstance(source, pulumi.StackReference):
        return source.require_output(output)
    return getattr(source, output)


def resolve(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: resolve(item) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item) for item in value]
    if not isinstance(value, str):
        return value
    if found := REFERENCE.fullmatch(value):
        return pick(made[found[1]], found[2])
    if found := SECRET.fullmatch(value):
        return config.require_secret(found[1])
    return value


def declare(entry: dict[str, Any]) -> pulumi.Resource:
    given = dict(entry.get("opts", {}))
    timeouts = given.pop("timeouts", None)
    provider = given.pop("provider", None)
    providers = given.pop("providers", None)
    aliases = [
        pulumi.Alias(**alias) if isinstance(alias, dict) else alias
        for alias in given.pop("aliases", [])
    ]
    deleted_with = given.pop("deleted_with", None)
    opts = pulumi.ResourceOptions(
        id=resolve(entry["read"]) if "read" in entry else None,
        aliases=aliases or None,
        deleted_with=made[deleted_with] if deleted_with else None,
        parent=made[entry["parent"]] if "parent" in entry else None,
        depends_on=[made[name] for name in entry.get("depends", [])],
        custom_timeouts=pulumi.CustomTimeouts(**timeouts) if timeouts else None,
        provider=made[provider] if provider else None,
        providers=[made[name] for name in providers] if providers else None,
        **given,
    )
    if entry.get("kind") == "reference":
        return pulumi.StackReference(entry["name"], entry["stack"])
    kinds = {"component": Group, "provider": Account, "box": Box}
    maker = kinds.get(entry.get("kind", ""), Thing)
    resource = maker(entry["name"], resolve(entry.get("inputs", {})), opts)
    if "outputs" in entry:
        resource.register_outputs(resolve(entry["outputs"]))
    return resource


for item in config.require_object("graph"):
    made[item["name"]] = declare(item)
for key, text in (config.get_object("exports") or {}).items():
    pulumi.export(key, resolve(text))
if config.get("last"):  # after everything has been declared, and the engine has let it go
    atexit.register(lambda: exec(config.require("last"), {}))  # noqa: S102  # a test's own words
if config.get("raise"):
    raise pulumi.RunError(config.get("raise"))
