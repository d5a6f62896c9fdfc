"""Does the one thing its config `what` names."""

import pulumi


class Thing(pulumi.CustomResource):
    def __init__(self, name, inputs, opts=None):
        super().__init__("probe:index:Thing", name, inputs, opts)


class Remote(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("probe:index:Remote", name, {}, None, remote=True)


what = pulumi.Config().require("what")
if what == "get":
    Thing("a", {}, pulumi.ResourceOptions(id="55"))
elif what == "reference":
    pulumi.StackReference("organization/other/dev")
elif what == "remote":
    Remote("r")
elif what == "asset":
    Thing("a", {"file": pulumi.StringAsset("text")})
elif what == "invoke":
    answer = pulumi.runtime.invoke("probe:index:echo", {"say": "hello"})
    assert answer.value == {"echo": "hello"}, answer.value
