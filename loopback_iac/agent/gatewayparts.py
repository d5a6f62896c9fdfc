"""What a keeper needs around it: an API, a card, other nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .gatewayapi import Lease, Marked
    from .gatewaychoice import Said


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
