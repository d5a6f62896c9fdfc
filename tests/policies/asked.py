"""The pack asked as an engine asks it: the SDK's own servicer, with requests of the protocol."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from pulumi.runtime.proto import analyzer_pb2
from pulumi_policy import EnforcementLevel
from pulumi_policy import policy as sdk

from loopback_iac.policies import policies

if TYPE_CHECKING:
    from loopback_iac.controls import Resource

TODAY = date(2026, 11, 21)
LEVELS = analyzer_pb2.EnforcementLevel


def servicer(configs: dict[str, dict[str, Any]] | None = None) -> Any:
    """A pack as it stands, configured."""
    made = sdk._PolicyAnalyzerServicer(
        "loopback-iac", "0.1.0", policies(lambda: TODAY), EnforcementLevel.ADVISORY
    )
    levels = {p.name: p.enforcement_level.value.upper() for p in policies()}
    request = analyzer_pb2.ConfigureAnalyzerRequest()
    for name, config in (configs or {}).items():
        level = config.pop("enforcementLevel", levels[name]).upper()
        request.policyConfig[name].enforcementLevel = LEVELS.Value(level)
        request.policyConfig[name].properties.update(config)
    made.Configure(request, None)
    return made


def options(resource: Resource) -> analyzer_pb2.AnalyzerResourceOptions:
    return analyzer_pb2.AnalyzerResourceOptions(
        protect=resource.protect,
        deleteBeforeReplace=resource.delete_before_replace,
        deleteBeforeReplaceDefined=True,
    )


def one(resource: Resource) -> analyzer_pb2.AnalyzeRequest:
    request = analyzer_pb2.AnalyzeRequest(
        type=resource.kind, urn=resource.urn, name=resource.name, options=options(resource)
    )
    request.properties.update(resource.facts)
    return request


def whole(resources: Any) -> analyzer_pb2.AnalyzeStackRequest:
    request = analyzer_pb2.AnalyzeStackRequest()
    for resource in resources:
        added = request.resources.add(
            type=resource.kind, urn=resource.urn, name=resource.name, options=options(resource)
        )
        added.properties.update(resource.facts)
    return request


def review(made: Any, resources: Any) -> list[tuple[str, str, str, str]]:
    """What a run tells: (policy, level, message, urn) of every diagnostic, stack's last."""
    found = []
    for resource in resources:
        found += made.Analyze(one(resource), None).diagnostics
    found += made.AnalyzeStack(whole(resources), None).diagnostics
    return [(d.policyName, LEVELS.Name(d.enforcementLevel), d.message, d.urn) for d in found]


def not_applicable(made: Any, resources: Any) -> dict[str, str]:
    """Policy -> reason, as an engine records what did not pass."""
    found = {}
    for resource in resources:
        found |= {n.policy_name: n.reason for n in made.Analyze(one(resource), None).not_applicable}
    answer = made.AnalyzeStack(whole(resources), None)
    return found | {n.policy_name: n.reason for n in answer.not_applicable}
