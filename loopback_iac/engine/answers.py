"""What a provider's answers say: errors, differences, refusals, with Pulumi's codes taken apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pulumi.runtime.proto import errors_pb2, provider_pb2, status_pb2

from loopback_iac.engine.errors import StepError
from loopback_iac.engine.paths import Path, parse_path
from loopback_iac.engine.values import Values, parse_struct

if TYPE_CHECKING:
    import grpc


class LostError(StepError):
    """The provider went away during a call: what it had done by then is not known."""


class AbsentMethodError(StepError):
    """The provider has no such method."""


class PartialError(StepError):
    """The resource exists, but its initialisation failed (ErrorResourceInitFailed)."""

    def __init__(self, text: str, ident: str, outputs: Values, inputs: Values) -> None:
        super().__init__(text)
        self.ident, self.outputs, self.inputs = ident, outputs, inputs


@dataclass(frozen=True, slots=True)
class Diff:
    """A provider's answer: changes is None when it leaves the comparison to the engine."""

    changes: bool | None
    replaces: tuple[str, ...] = ()
    paths: tuple[Path, ...] = ()
    delete_before_replace: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """A property Check refused."""

    property: str
    reason: str


def parse_error(error: grpc.RpcError) -> StepError:
    """What a failed call says, with the google.rpc.Status that providers attach to it."""
    text = error.details() or str(error.code())
    trailer = {item.key: item.value for item in error.trailing_metadata() or ()}
    raw = trailer.get("grpc-status-details-bin")
    status = status_pb2.Status.FromString(raw) if isinstance(raw, bytes) else status_pb2.Status()
    for detail in status.details:
        failed = provider_pb2.ErrorResourceInitFailed()
        if detail.Is(failed.DESCRIPTOR):
            detail.Unpack(failed)
            text = "\n".join(failed.reasons) or text
            outputs, inputs = parse_struct(failed.properties), parse_struct(failed.inputs)
            return PartialError(text, failed.id, outputs, inputs)
        refused = errors_pb2.InputPropertiesError()
        if detail.Is(refused.DESCRIPTOR):
            detail.Unpack(refused)
            lines = [f"property {item.property_path}: {item.reason}" for item in refused.errors]
            text = "\n".join(filter(None, [status.message, *lines]))
    return StepError(text)


def parse_diff(answer: provider_pb2.DiffResponse) -> Diff:
    """What Diff or DiffConfig answered."""
    kinds = provider_pb2.PropertyDiff.Kind
    paths = tuple(parse_path(key) for key in answer.detailedDiff) or tuple(
        parse_path(key) for key in answer.diffs
    )
    replacing = [
        key for key, part in answer.detailedDiff.items() if "REPLACE" in kinds.Name(part.kind)
    ]
    changes = None
    if answer.changes != provider_pb2.DiffResponse.DIFF_UNKNOWN:
        changes = answer.changes == provider_pb2.DiffResponse.DIFF_SOME
    return Diff(
        changes=changes,
        replaces=tuple(dict.fromkeys([*answer.replaces, *replacing])),
        paths=paths,
        delete_before_replace=answer.deleteBeforeReplace,
    )


def parse_failures(answer: provider_pb2.CheckResponse) -> list[Failure]:
    """What Check or CheckConfig refused."""
    return [Failure(failure.property, failure.reason) for failure in answer.failures]
