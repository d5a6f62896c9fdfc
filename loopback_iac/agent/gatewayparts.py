"""What a keeper needs around it, an API, a card, other nodes; and the steps of a move."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Protocol

from .gatewayapi import KINDS, NODE, TWIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .gatewayapi import Lease, Marked
    from .gatewaychoice import Said
    from .gatewayfile import Group


# What the touch that comes first adds: to write the same twice is no change.
BEFORE = "-before"


class Wish(NamedTuple):
    """A node that an operator asked for; one wish is heeded once."""

    ident: str
    node: str


class Api(Protocol):
    """What a keeper asks of the Kubernetes API; see gatewayapi."""

    def read_lease(self, timeout_s: float) -> Lease: ...
    def write_lease(self, wanted: Lease, lease_s: float, timeout_s: float) -> Lease: ...
    def read_node(self, kind: str, name: str, timeout_s: float) -> Marked: ...
    def mark_node(self, kind: str, name: str, marked: Marked, timeout_s: float) -> None: ...
    def touch_policy(self, name: str, text: str, timeout_s: float) -> None: ...


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
    """One thing left to do for the lease that we hold."""

    verb: str
    kind: str = ""
    name: str = ""


def plan_move(group: Group, node: str, carrying: str, *, prepared: bool = False) -> deque[Op]:
    """What follows once the lease is ours, in order.

    In: carrying, the node that traffic goes through until now, if any: there the gap begins, so
    its label goes last; prepared, whether it handed the addresses over and they are here already.

    Cilium's agents look at most once in an interval. The touch before that label goes, one is
    enough, has them look while nothing has changed; when they look again, both labels have moved.
    No look falls between them unless the API takes longer than the interval; so the lease is
    renewed before, where that delays nobody.
    """
    others = [name for name in group.names if name not in (node, carrying)]
    last = [Op("fence", kind, carrying) for kind in KINDS if carrying]
    hold = Op("hold")
    return deque(
        [
            *(Op("read", kind) for kind in KINDS),
            *(Op("fence", kind, name) for name in others for kind in KINDS),
            *([hold, Op("renew")] if prepared else []),
            *(Op("touch", BEFORE, policy) for policy in group.policies[:1] if carrying),
            *last,
            *([] if prepared else [hold]),
            *(Op("mark", kind) for kind in (TWIN, NODE)),
            *(Op("touch", name=policy) for policy in group.policies),
            Op("settle"),
        ]
    )
