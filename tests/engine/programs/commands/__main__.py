"""Declares one command.remote.Command per entry of its config `commands`."""

import pulumi
from pulumi_command import remote

config = pulumi.Config()
connection = config.require_object("connection")


class Node(pulumi.ComponentResource):
    def __init__(self, name: str) -> None:
        super().__init__("test:index:Node", name, {"role": "any"})


for name, given in config.require_object("commands").items():
    node = Node(f"node-{name}")
    opts = pulumi.ResourceOptions(parent=node)
    if timeouts := given.pop("timeouts", None):
        opts.custom_timeouts = pulumi.CustomTimeouts(**timeouts)
    if given.get("stdin") == "secret:bundle":
        given["stdin"] = config.require_secret("bundle")
    private = {"private_key": config.require_secret("key")}
    if "proxy" in connection:
        connection["proxy"].update(private)
    command = remote.Command(name, connection={**connection, **private}, opts=opts, **given)
    node.register_outputs({"said": command.stdout})
    pulumi.export(name, command.stdout)
