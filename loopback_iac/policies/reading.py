"""From what the SDK hands a policy to what a control looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from loopback_iac.controls import Resource, Stack
from loopback_iac.controls.tree import ABSENT, MARK, SECRET, UNKNOWN, at
from loopback_iac.policies.memo import as_sent, once

if TYPE_CHECKING:
    from datetime import date

    from pulumi_policy import ResourceValidationArgs, StackValidationArgs

TARGET = "__target"
"""The key under which the SDK's proxies give what they stand for, unknown values included."""


def read_resource(args: ResourceValidationArgs) -> Resource:
    """One resource with its inputs."""
    found = once("resource", args.props, lambda: _resource(args, args.resource_type))
    assert isinstance(found, Resource)  # noqa: S101  # once gives what it was given
    return found


def read_stack(
    args: StackValidationArgs, today: date, inputs: Mapping[str, Mapping[str, Any]]
) -> Stack:
    """
    All resources of a stack; of one request it is one.

    In: inputs by URN, as they were seen before: a plan knows them where it does not know outputs.
    """

    def read() -> Stack:
        found = (_resource(each, each.resource_type) for each in args.resources)
        merged = (replace(r, facts=_merge(inputs.get(r.urn, {}), r.facts)) for r in found)
        return Stack(tuple(merged), today)

    found = once("stack", args.resources[0].props if args.resources else args, read)
    assert isinstance(found, Stack)  # noqa: S101  # as above
    return found


def plain(value: Any) -> Any:  # noqa: ANN401  # any tree of JSON
    """A tree without the SDK's proxies; what is not known yet stays the protocol's own sign."""
    if isinstance(value, Mapping):
        bare = value if isinstance(value, dict) else value[TARGET]
        return {str(key): plain(bare[key]) for key in bare}
    if isinstance(value, Sequence) and not isinstance(value, str):
        bare = value if isinstance(value, list | tuple) else value[TARGET]  # type: ignore[call-overload]
        return [plain(each) for each in bare]
    return value


def _merge(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Outputs, and what was put in where nothing is known to have come out."""
    left = {k: v for k, v in inputs.items() if at(outputs, k) in (ABSENT, UNKNOWN)}
    return {**outputs, **left} if left else outputs


def _resource(each: Any, kind: str) -> Resource:  # noqa: ANN401  # args of a policy, or a resource
    sent = as_sent(each.props)
    facts = plain(each.props) if sent is None else sent
    options = each.opts
    return Resource(
        kind,
        each.name,
        facts,
        each.urn,
        protect=bool(options.protect),
        delete_before_replace=bool(options.delete_before_replace),
        secrets_told=sent is not None and _marks(sent),
    )


def _marks(tree: object) -> bool:
    """Whether anything is marked as a secret: then the engine tells, and what is not is none."""
    if isinstance(tree, Mapping):
        return tree.get(MARK) == SECRET or any(_marks(value) for value in tree.values())
    return isinstance(tree, list) and any(_marks(value) for value in tree)
