"""Two addresses at Hetzner that a partner lets in: one has a tenant, one was ordered today."""

import pulumi

from loopback_iac.components import EgressIpPool

pool = EgressIpPool(
    "partners",
    {
        "kind": "hetzner-floating",
        "orders": {
            "first": {"location": "fsn1"},
            "second": {"location": "fsn1"},
        },
        # as the output `ordered` told them; "second" is written here once it is known
        "addresses": ["203.0.113.20/32"],
        "evidence": "order of 2026-11-20 at Hetzner, project edge-prod",
        "seen_on": "2026-11-20",
        "allocations": {"shop": ["203.0.113.20"]},
        "labels": {"owner": "team-edge", "environment": "prod"},
    },
)
pulumi.export("ordered", pool.ordered)
pulumi.export("allocations", pool.allocations)
