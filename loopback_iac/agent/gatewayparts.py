"""What a keeper needs around it, an API, a card, other nodes; and the steps of a move."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .gatewayapi import Lease, Named
    from .gatewaychoice import Said
    from .gatewayfile import Group


class Wish(NamedTuple):
    """A node that an operator asked for; one wish is heeded once."""

    ident: str
    node: str


class Api(Protocol):
    """What a keeper asks of the Kubernetes API; see gatewayapi."""

    def read_lease(self, timeout_s: float) -> Lease: ...
    def write_lease(self, wanted: Lease, lease_s: float, timeout_s: float) -> Lease: ...
    def read_policy(self, name: str, timeout_s: float) -> Named: ...
    def write_policy(self, name: str, named: Named, timeout_s: float) -> None: ...
    def read_hostname(self, node: str, timeout_s: float) -> str: ...


class Card(Protocol):
    """What a keeper asks of the host; see gatewaycard."""

    def is_on(self) -> bool: ...
    def keep(self) -> bool:
        """Out: whether an address had been missing."""
        ...

    def drop(self) -> None: ...
    def announce(self) -> None: ...


class Around(Protocol):
    """Whom a keeper hears; see gatewaypeers."""

    @property
    def said(self) -> Mapping[str, Said]:
        """By node."""
        ...

    @property
    def ready(self) -> bool:
        """Whether the Cilium agent of this node answers."""
        ...

    def wish(self) -> Wish | None:
        """Whom an operator wants to hold the addresses."""
        ...


class Op(NamedTuple):
    """One thing left to do, and the policy that it is done to."""

    verb: str
    policy: str = ""


def plan_move(group: Group, *, prepared: bool) -> deque[Op]:
    """What follows once the lease is ours, in order.

    In: prepared, whether it was handed over to us, and the addresses are here already.

    Traffic of a policy moves by the one write that names this node in place of another. All that
    can be done before it is, and the lease is renewed, so that no renewal falls between two of
    these writes.
    """
    reads = [Op("read", policy) for policy in group.policies]
    writes = [Op("name", policy) for policy in group.policies]
    renewed = [Op("renew")] if prepared else []
    return deque([Op("node"), Op("hold"), *reads, *renewed, *writes, Op("settle")])
