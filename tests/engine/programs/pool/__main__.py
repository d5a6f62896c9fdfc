"""A pool of egress addresses as its config has it; none where there is none."""

import pulumi

from loopback_iac.components import EgressIpPool

told = pulumi.Config().get_object("pool")
if told:
    EgressIpPool("partners", told)
