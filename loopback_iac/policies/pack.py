"""The policy pack `loopback-iac`: rules that a plan can already break.

Rules compare type tokens as text and import no provider SDK, so that the pack starts fast. A rule
reads only the fields it names: touching an unknown value turns a mandatory rule into an advisory in
a preview.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

NAME = "loopback-iac"
REMOTE = ("command:remote:Command", "command:remote:CopyToRemote")

# RFC 5737, RFC 3849, RFC 9637 (documentation), RFC 2544 (benchmarks)
DOCUMENTATION = tuple(
    ipaddress.ip_network(n)
    for n in (
        "192.0.2.0/24",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "198.18.0.0/15",
        "2001:db8::/32",
        "3fff::/20",
    )
)
DOCUMENTATION_ASNS = (range(64496, 64512), range(65536, 65552))  # RFC 5398


def start_pack() -> None:
    """Start the pack's server; never returns."""
    PolicyPack(NAME, policies=policies(), enforcement_level=EnforcementLevel.MANDATORY)


def policies() -> list[Policy]:
    """Every rule of the pack."""
    return [
        ResourceValidationPolicy(
            name="ssh-host-key-pinned",
            description="SSH connections are pinned to a host key",
            validate=check_host_key,
            severity=Severity.CRITICAL,
            remediation_steps="Set connection.hostKey (and proxy.hostKey) to the host's key line.",
        ),
        ResourceValidationPolicy(
            name="no-replacing-triggers",
            description="Commands on hosts use no triggers: a changed one runs the old delete",
            validate=check_triggers,
            severity=Severity.HIGH,
            remediation_steps="Put what shall re-run the command into its text, or set"
            " delete_before_replace where its delete shall come first.",
        ),
        ResourceValidationPolicy(
            name="no-documentation-addresses",
            description="Prefixes and AS numbers reserved for documentation stay in the lab",
            validate=check_documentation,
            severity=Severity.HIGH,
            enforcement_level=EnforcementLevel.ADVISORY,
            remediation_steps="Declare your own space and AS number; advisory in a lab.",
        ),
    ]


def check_host_key(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """Without hostKey the command provider accepts any key (its remote/connection.go)."""
    if args.resource_type not in REMOTE:
        return
    connection = args.props.get("connection")
    if connection is None:
        return
    if not connection.get("hostKey"):
        report(
            "connection.hostKey is missing: whoever answers there gets the bundle and its secrets",
            None,
        )
    proxy = connection.get("proxy")
    if proxy is not None and not proxy.get("hostKey"):
        report("connection.proxy.hostKey is missing: the jump host is not verified", None)


def check_triggers(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """The SDK adds replaceOnChanges=["triggers[*]"], so a trigger always replaces.

    A command that says itself that its delete comes first means it: it drains a machine that goes.
    """
    if args.resource_type not in REMOTE or not args.props.get("triggers"):
        return
    if not args.opts.delete_before_replace:
        report(
            "triggers replaces the command and then runs the old delete on a host in service", None
        )


def check_documentation(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """Reads the plain facts that AnycastEdge publishes."""
    if args.resource_type != "loopback-iac:index:AnycastEdge":
        return
    fleet = args.props["fleet"]
    asn = int(fleet["asn"])
    if any(asn in block for block in DOCUMENTATION_ASNS):
        report(f"AS{asn} is reserved for documentation (RFC 5398)", None)
    for cidr in documentation_only(prefix["cidr"] for prefix in fleet["prefixes"].values()):
        report(f"{cidr} is reserved for documentation or benchmarks", None)


def documentation_only(prefixes: Iterable[str]) -> list[str]:
    """Those of `prefixes` that lie in space reserved for documentation or benchmarks."""
    found = []
    for text in prefixes:
        net = ipaddress.ip_network(str(text))
        if any(net.version == doc.version and net.subnet_of(doc) for doc in DOCUMENTATION):  # type: ignore[arg-type]
            found.append(str(text))
    return found
