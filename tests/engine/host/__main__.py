"""A component host for tests, on the SDK's own server: a Box holds Things of the probe provider."""

from typing import NotRequired, TypedDict

import pulumi
from pulumi.provider.experimental import component_provider_host


class BoxArgs(TypedDict):
    things: pulumi.Input[list[str]]
    """The names of the things inside."""

    v: NotRequired[pulumi.Input[str]]
    """Handed to each of them."""


class Thing(pulumi.CustomResource):
    out: pulumi.Output[str]

    def __init__(self, name, inputs, opts):
        super().__init__("probe:index:Thing", name, {"out": None, **inputs}, opts)


class Box(pulumi.ComponentResource):
    first: pulumi.Output[str]
    """What the first thing says."""

    def __init__(self, name: str, args: BoxArgs, opts: pulumi.ResourceOptions | None = None):
        super().__init__("box:index:Box", name, {}, opts)
        inner = pulumi.ResourceOptions(parent=self)
        things = [Thing(f"{name}-{thing}", {"v": args.get("v")}, inner) for thing in args["things"]]
        self.first = things[0].out
        self.register_outputs({"first": self.first})


component_provider_host(name="box", components=[Box])
