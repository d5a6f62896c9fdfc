"""Sixty rules that all hold, so that what they cost is the asking."""

from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
)


def check(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """A thing has a zone and an owner."""
    if args.resource_type == "instant:index:Thing" and not (
        args.props["zone"] and args.props["labels"]["owner"]
    ):
        report("a thing needs a zone and an owner")


PolicyPack(
    "sixty",
    policies=[
        ResourceValidationPolicy(
            name=f"rule-{number}", description="A thing has a zone and an owner", validate=check
        )
        for number in range(60)
    ],
    enforcement_level=EnforcementLevel.MANDATORY,
)
