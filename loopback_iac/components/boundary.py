"""What passes between the library and Pulumi: refused inputs, and values that stay whole."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import pulumi

from loopback_iac.model import InputRejected

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sealed(Generic[T]):
    """A value that Output.all hands on as it is; of a plain tree it makes an Output per leaf."""

    value: T


class RejectedInputs(pulumi.InputPropertiesError, pulumi.RunError):
    """Bad input as Pulumi wants it: structured for a component host, plain text for a program.

    A RunError ends the program with its text and no traceback; the other carries the paths.
    """

    def __init__(self, cause: InputRejected) -> None:
        super().__init__(
            str(cause),
            [{"property_path": p.path, "reason": f"{p.got}; {p.need}"} for p in cause.problems],
        )

    def __str__(self) -> str:
        return self.message


def refuse_as_pulumi(parse: Callable[[], T]) -> T:
    """The value of `parse()`.

    Raises: RejectedInputs with the whole text when `parse` raises InputRejected.
    """
    try:
        return parse()
    except InputRejected as cause:
        raise RejectedInputs(cause) from None
