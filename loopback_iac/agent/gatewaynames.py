"""Whom the policies of a group name as their gateway, as one node reads and writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .gatewayapi import ConflictError, MissingError, Pin
from .refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .gatewayfile import Group
    from .gatewayparts import Api


class Names:
    """One node's part in naming."""

    def __init__(self, group: Group, node: str, api: Api, complain: Callable[[str], None]) -> None:
        self._group, self._node, self._api, self._complain = group, node, api, complain
        self._hostname, self._labelled = "", False
        self._pins: dict[str, Pin] = {}

    def look(self, timeout_s: float) -> None:
        """Read our own node.

        Raises: MissingError, ApiError; RefusedError for a node without hostname.
        """
        self._hostname, self._labelled = self._api.read_node(self._node, timeout_s)

    def read(self, policy: str, timeout_s: float) -> Pin | None:
        """Out: None for a policy that is not there, or cannot be ours; the others can be named.

        Raises: ApiError.
        """
        self._pins.pop(policy, None)
        try:
            self._pins[policy] = self._api.read_policy(policy, timeout_s)
        except MissingError:
            self._complain(f"there is no CiliumEgressGatewayPolicy {policy}")
        except RefusedError as refused:
            self._complain(refused.what)
        return self._pins.get(policy)

    def is_ours(self, pin: Pin, epoch: int) -> bool:
        """Whether it names this node, under this epoch."""
        return (pin.hostname, pin.epoch) == (self._hostname, epoch)

    def write(self, policy: str, epoch: int, timeout_s: float) -> bool:
        """Name this node in a policy as it was read last.

        Out: False when somebody wrote since: whoever declares it, or another gateway, and then the
        epoch says so.
        Raises: ApiError.
        """
        found = self._pins.get(policy)
        if found is None:
            return True
        try:
            self._api.write_policy(policy, Pin(found.version, self._hostname, epoch), timeout_s)
        except ConflictError:
            return False
        except MissingError:
            self._complain(f"there is no CiliumEgressGatewayPolicy {policy}")
        return True

    def label(self, timeout_s: float, *, holds: bool) -> bool:
        """Have the node bear the label, by which alone a policy selects that names nobody.

        So who does not hold the addresses waits until every policy names somebody.
        Out: whether it had been missing.
        Raises: MissingError, ApiError.
        """
        pins = [self._pins.get(policy) for policy in self._group.policies]
        named = all(pin is not None and pin.hostname for pin in pins)
        if self._labelled or not (named or holds):
            return False
        self._api.label_node(self._node, timeout_s)
        self._labelled = True
        return True
