"""Evidence: what was so after each update, signed and chained, and a bundle others re-check."""

from loopback_iac.evidence.inventory import render_stack, render_suppliers
from loopback_iac.evidence.manifest import (
    Commit,
    Link,
    Person,
    Told,
    Update,
    make_link,
    resources_of,
)
from loopback_iac.evidence.results import pack_identity, render_results
from loopback_iac.evidence.settings import parse_people, parse_settings
from loopback_iac.evidence.snapshot import Snapshot, parse_state

__all__ = [
    "Commit",
    "Link",
    "Person",
    "Snapshot",
    "Told",
    "Update",
    "make_link",
    "pack_identity",
    "parse_people",
    "parse_settings",
    "parse_state",
    "render_results",
    "render_stack",
    "render_suppliers",
    "resources_of",
]
