"""A cloud under Pulumi's mocks that keeps what it was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pulumi.runtime import mocks

if TYPE_CHECKING:
    from collections.abc import Callable

FLEET_SECRET = "abcdefghijklmnopqrstuvwxyz0123456789"


class Cloud(mocks.Mocks):
    """Keeps what was asked of a cloud, and with which options.

    In: answer, what the vendor's provider would say: from the arguments and how many resources
    there were, to the id and the outputs beside the inputs.
    """

    def __init__(self, answer: Callable[[Any, int], tuple[str, dict[str, Any]]]) -> None:
        self.made: dict[str, Any] = {}
        self.asked: dict[str, Any] = {}
        """By name: the registration, with its options."""
        self._answer = answer

    def call(self, args: Any) -> dict[str, Any]:
        return {}

    def new_resource(self, args: Any) -> tuple[str, dict[str, Any]]:
        self.made[args.name] = args
        ident, out = self._answer(args, len(self.made))
        return ident, {**args.inputs, **out}

    def needs(self, name: str) -> set[str]:
        """Names of resources that have to be there before one."""
        return {urn.rpartition("::")[2] for urn in self.asked[name].dependencies}


class Monitor(mocks.MockMonitor):
    """Shows a cloud what Pulumi's own leaves out of its arguments."""

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802  # the protocol's name
        self.mocks.asked[request.name] = request
        return super().RegisterResource(request)
