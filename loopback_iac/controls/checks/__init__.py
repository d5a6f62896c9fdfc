"""The checks: each reads facts only, says what it saw, and never shows a value that may be secret.

Importing this package registers all of them.
"""

from loopback_iac.controls.checks import (
    access,
    baseline,
    bgp,
    cluster,
    commands,
    edge,
    hosts,
    machines,
    names,
    redundancy,
    suppliers,
    zones,
)

__all__ = [
    "access",
    "baseline",
    "bgp",
    "cluster",
    "commands",
    "edge",
    "hosts",
    "machines",
    "names",
    "redundancy",
    "suppliers",
    "zones",
]
