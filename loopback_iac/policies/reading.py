"""From what the SDK hands a policy to what a control looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from loopback_iac.controls import Resource, Stack
from loopback_iac.controls.tree import MARK, SECRET
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


def read_stack(args: StackValidationArgs, today: date) -> Stack:
    """All resources of a stack with their outputs; of one request it is one."""

    def read() -> Stack:
        return Stack(tuple(_resource(each, each.resource_type) for each in args.resources), today)

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
