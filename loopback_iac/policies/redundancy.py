"""The rule that a plan proves what is demanded, RED-04: the smallest cut stands in its refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pulumi_policy import PolicyConfigSchema
from pulumi_policy.proxy import UNKNOWN_OBJECT_VALUE, UnknownValueError

from loopback_iac.model import InputRejected
from loopback_iac.proof import (
    EDGE,
    HOSTS,
    PLANNED,
    Stack,
    parse_demands_tree,
    prove_redundancy,
    read_stack,
)
from loopback_iac.proof.wording import unmet_texts

if TYPE_CHECKING:
    from pulumi_policy import ReportViolation, StackValidationArgs

DEFAULT = 0
"""Nobody asked yet: a service has to be up while nothing is lost. Who wants more, says so."""
SCHEMA = PolicyConfigSchema(
    properties={
        "survives": {"type": "integer", "minimum": 0, "maximum": 3},
        "services": {"type": "object"},
        "accepted": {"type": "array"},
        "shared": {"type": "array"},
        "names": {"type": "object"},
    }
)


def check_redundancy(args: StackValidationArgs, report: ReportViolation) -> None:
    """What is known already decides first: a value that comes later can only lower what holds.

    Raises: UnknownValueError, which the pack tells as advisory, when a later value may decide.
    """
    trees = [
        {"type": r.resource_type, "name": r.name, "inputs": _known(r.props)}
        for r in args.resources
        if r.resource_type in (EDGE, *HOSTS)
    ]
    stack = read_stack(trees)
    config = {k: v for k, v in dict(args.get_config()).items() if v is not None}
    try:
        demands = parse_demands_tree("redundancy-proved", _known(config))
        today = datetime.now(UTC).date()
        proof = prove_redundancy(stack, demands, DEFAULT, today=today, doubtful=False)
    except InputRejected as cause:
        report(str(cause), None)
        return
    for text in unmet_texts(proof):
        report(text, None)
    late = _late(stack, trees)
    if proof.met and late and (not stack.fleets or any(v.system.demand for v in proof.verdicts)):
        unknown = UnknownValueError(UNKNOWN_OBJECT_VALUE, late)
        unknown.message = (
            f"known after `up` only: {', '.join(late)}; what is known proves what is demanded"
        )
        raise unknown


def _late(stack: Stack, trees: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the proof rests on and nobody knows yet."""
    late = [f"{each} of {host}" for host, place in stack.places.items() for each in place.unknown]
    edges = (str(t["name"]) for t in trees if t["type"] == EDGE)
    return late + [f"facts of {name}" for name in edges if name not in stack.fleets]


def _known(value: Any) -> Any:  # noqa: ANN401 - any tree of JSON
    """A tree without the pack's proxies; what is not known yet is named as in a plan."""
    if isinstance(value, Mapping):
        return {str(key): _item(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_item(value, at) for at in range(len(value))]
    return value


def _item(value: Any, key: str | int) -> Any:  # noqa: ANN401 - as above
    try:
        return _known(value[key])
    except UnknownValueError:
        return PLANNED
