"""A Terraform plan of so many resources that Checkov has checks for; it has none for ours."""

from __future__ import annotations

import json
from typing import Any

PORT = {
    "from_port": 22,
    "to_port": 22,
    "protocol": "tcp",
    "cidr_blocks": ["192.0.2.16/28"],
    "description": "administration",
}
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("aws_security_group", {"description": "edge", "ingress": [PORT], "egress": []}),
    ("aws_instance", {"ami": "ami-1", "monitoring": True, "ebs_optimized": True}),
    ("aws_route53_zone", {"comment": "edge"}),
    ("aws_lb", {"internal": False, "enable_deletion_protection": True}),
]
PROVIDER = "registry.terraform.io/hashicorp/aws"


def render_plan(count: int) -> str:
    """As `terraform show -json` writes it."""
    found = []
    for number in range(count):
        kind, values = KINDS[number % len(KINDS)]
        name = f"r{number}"
        found.append(
            {
                "address": f"{kind}.{name}",
                "mode": "managed",
                "type": kind,
                "name": name,
                "provider_name": PROVIDER,
                "values": {"name": name, "tags": {"owner": "edge"}, **values},
            }
        )
    changes = [
        {**{k: v for k, v in each.items() if k != "values"},
         "change": {"actions": ["create"], "before": None, "after": each["values"]}}
        for each in found
    ]  # fmt: skip
    plan = {
        "format_version": "1.2",
        "terraform_version": "1.9.0",
        "planned_values": {"root_module": {"resources": found}},
        "resource_changes": changes,
        "configuration": {"root_module": {"resources": []}},
    }
    return json.dumps(plan)
