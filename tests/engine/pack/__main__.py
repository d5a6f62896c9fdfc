"""A real policy pack: one rule of each kind."""

from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    PolicyPack,
    ResourceValidationPolicy,
    StackValidationPolicy,
)

THING = "probe:index:Thing"


def small(args, report):
    if args.resource_type == THING:
        size = args.props.get("size", 0)
        limit = args.get_config()["limit"]
        if size > limit:
            report(f"size is {size:g}, at most {limit:g}")


def labelled(args):
    if args.resource_type == THING and "label" not in list(args.props):
        props = args.props
        props["label"] = "set-by-policy"
        return props
    return None


def broken(args, report):
    if args.resource_type == THING and "break" in list(args.props):
        raise KeyError("missing")


def count(args, report):
    things = [resource for resource in args.resources if resource.resource_type == THING]
    if len(things) > args.get_config()["most"]:
        report(f"{len(things)} things: {sorted(thing.name for thing in things)}")


def number(default):
    return {"type": "integer", "minimum": 0, "default": default}


PolicyPack(
    name="engine-tests",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[
        ResourceValidationPolicy(
            "small",
            "Things are small.",
            small,
            config_schema=PolicyConfigSchema(properties={"limit": number(9)}, required=["limit"]),
        ),
        ResourceValidationPolicy(
            "labelled",
            "Things have a label.",
            remediate=labelled,
            enforcement_level=EnforcementLevel.REMEDIATE,
        ),
        ResourceValidationPolicy("broken", "Breaks on demand.", broken),
        StackValidationPolicy(
            "count",
            "Not too many things.",
            count,
            config_schema=PolicyConfigSchema(properties={"most": number(9)}, required=["most"]),
        ),
    ],
    initial_config={"small": {"limit": 10}, "count": {"most": 3}},
)
