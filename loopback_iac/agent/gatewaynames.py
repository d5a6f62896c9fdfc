"""Whom the policies of a group name as their gateway, as one node reads and writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .gatewayapi import ConflictError, MissingError, Named
from .refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .gatewayparts import Api


class Names:
    """One node's part in naming."""

    def __init__(self, node: str, api: Api, complain: Callable[[str], None]) -> None:
        self._node, self._api, self._complain = node, api, complain
        self._hostname = ""
        self._found: dict[str, Named] = {}
        self.unnamed: dict[str, str] = {}
        """Why, by policy: it is not there, or cannot be ours."""

    def look(self, timeout_s: float) -> None:
        """Learn by which name policies select this node.

        Raises: MissingError, ApiError; RefusedError for a node without hostname.
        """
        self._hostname = self._api.read_hostname(self._node, timeout_s)

    def read(self, policy: str, timeout_s: float) -> Named | None:
        """Out: None for a policy that is not there, or cannot be ours; the others can be named.

        Raises: ApiError.
        """
        self._found.pop(policy, None)
        try:
            self._found[policy] = self._api.read_policy(policy, timeout_s)
            self.unnamed.pop(policy, None)
        except MissingError:
            self._leave(policy, f"there is no CiliumEgressGatewayPolicy {policy}")
        except RefusedError as refused:
            self._leave(policy, refused.what)
        return self._found.get(policy)

    def _leave(self, policy: str, reason: str) -> None:
        if self.unnamed.get(policy) != reason:
            self.unnamed[policy] = reason
            self._complain(reason)

    def is_ours(self, named: Named, epoch: int) -> bool:
        """Whether it names this node, under this epoch."""
        return (named.hostname, named.epoch) == (self._hostname, epoch)

    def write(self, policy: str, epoch: int, timeout_s: float) -> bool:
        """Name this node in a policy as it was read last.

        Out: False when somebody wrote since: whoever declares it, or another gateway, and then the
        epoch says so.
        Raises: ApiError.
        """
        found = self._found.get(policy)
        if found is None:
            return True
        wanted = found._replace(hostname=self._hostname, epoch=epoch)
        try:
            self._api.write_policy(policy, wanted, timeout_s)
        except ConflictError:
            return False
        except MissingError:
            self._leave(policy, f"there is no CiliumEgressGatewayPolicy {policy}")
        return True
