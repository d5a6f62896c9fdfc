"""The policy pack `loopback-iac`: rules that a plan can already break.

Rules compare type tokens as text and import no provider SDK, so that the pack starts fast. A rule
reads only the fields it names: touching an unknown value turns a mandatory rule into an advisory in
a preview.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)

from loopback_iac.model.reserved import DOCUMENTATION, lies_in
from loopback_iac.policies.redundancy import SCHEMA, check_redundancy
from loopback_iac.proof import EDGE, HOSTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NAME = "loopback-iac"
REMOTE = ("command:remote:Command", "command:remote:CopyToRemote")

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
        StackValidationPolicy(
            name="pool-spans-failure-domains",
            description="Workers of a pool that serve do not all fall with one site",
            validate=check_failure_domains,
            severity=Severity.MEDIUM,
            enforcement_level=EnforcementLevel.ADVISORY,
            remediation_steps="Add a worker at another site or supplier; advisory while you move.",
        ),
        StackValidationPolicy(
            name="redundancy-proved",
            description="Each service is proved to survive what is demanded of it",
            validate=check_redundancy,
            severity=Severity.CRITICAL,
            config_schema=SCHEMA,
            remediation_steps="See the cut in the message; `loopback prove` shows the whole proof.",
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
    if args.resource_type != EDGE:
        return
    fleet = args.props["fleet"]
    asn = int(fleet["asn"])
    if any(asn in block for block in DOCUMENTATION_ASNS):
        report(f"AS{asn} is reserved for documentation (RFC 5398)", None)
    for cidr in documentation_only(prefix["cidr"] for prefix in fleet["prefixes"].values()):
        report(f"{cidr} is reserved for documentation or benchmarks", None)


def check_failure_domains(args: StackValidationArgs, report: ReportViolation) -> None:
    """Hosts are found by their name, which a program gives to host and worker alike; of a pool with
    a worker whose host has another name, or says nothing of where it stands, nothing is said.
    """
    # over a whole stack the engine shows outputs, as Pulumi's does; those of a host are in `host`
    hosts = {r.name: r.props.get("host") or r.props for r in args.resources
             if r.resource_type in HOSTS}  # fmt: skip
    for edge in (r for r in args.resources if r.resource_type == EDGE):
        for pool, facts in edge.props["fleet"]["pools"].items():
            workers = facts["workers"].items()
            serving = sorted(n for n, w in workers if not w["drained"] and w["weight"])
            domains = [failure_domains(hosts.get(name, {})) for name in serving]
            if shared := set[str]().union(*domains[:1]).intersection(*domains):
                told = f"{', '.join(serving)} all stand in {', '.join(sorted(shared))}"
                report(f"pool {pool}: {told}; who loses that loses the pool", edge.urn)


def failure_domains(host: Mapping[str, Any]) -> set[str]:
    """What a host falls with, as far as its component says."""
    place = str(host.get("location") or host.get("site") or "")
    named = {str(domain) for domain in host.get("failure_domains") or ()}
    return named | ({f"{host.get('provider') or 'own metal'} {place}"} if place else set())


def documentation_only(prefixes: Iterable[str]) -> list[str]:
    """Those of `prefixes` that lie in space reserved for documentation or benchmarks."""
    texts = [str(text) for text in prefixes]
    return [text for text in texts if lies_in(ipaddress.ip_network(text), DOCUMENTATION)]
