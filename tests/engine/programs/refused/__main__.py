"""Does the one thing its config `what` names."""

import pulumi


class Thing(pulumi.CustomResource):
    def __init__(self, name, inputs, opts=None):
        super().__init__("probe:index:Thing", name, inputs, opts)


what = pulumi.Config().require("what")
if what == "asset":
    Thing("a", {"file": pulumi.StringAsset("text")})
elif what == "invoke":
    answer = pulumi.runtime.invoke("probe:index:echo", {"say": "hello"})
    assert answer.value == {"echo": "hello"}, answer.value
