"""N resources in components of ten, each second one depending on the one before."""

import pulumi


class Thing(pulumi.CustomResource):
    """A resource of the instant provider."""

    def __init__(self, name: str, size: pulumi.Input, opts: pulumi.ResourceOptions) -> None:
        """One resource with a handful of inputs."""
        props = {"size": size, "zone": "fra1", "labels": {"owner": "edge", "tier": "1"}}
        super().__init__("instant:index:Thing", name, {**props, "id_of": None}, opts)


count = int(pulumi.Config().require("count"))
before: Thing | None = None
for number in range(count):
    if number % 10 == 0:
        group = pulumi.ComponentResource("bench:index:Group", f"g{number // 10}")
    size = before.id if before is not None and number % 2 else "small"
    before = Thing(f"t{number}", size, pulumi.ResourceOptions(parent=group, version="1.0.0"))
