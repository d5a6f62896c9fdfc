"""Providers whose addresses an arbiter moves, and in what they differ."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from .failovergroup import FailoverGroups
from .floating import FloatingIps


class Mover(Protocol):
    """An API that says who holds an address and gives it to another."""

    def read_holder(self, ident: str) -> str:
        """Out: server or card that has it; empty when none has it."""
        ...

    def assign(self, ident: str, server: str) -> str:
        """Out: what `is_done` is asked with."""
        ...

    def is_done(self, action: str) -> bool:
        """Whether a move that was taken has come to its end."""
        ...


class _Opened(Protocol):
    def __call__(self, endpoint: str, token: str, authority: str) -> Mover: ...


class Provider(NamedTuple):
    """One provider.

    `moved_within_s`: the API said that it moves an address: how long until it says that it did;
    `told`: members have to be told as well, because they take the address over themselves.
    """

    api: _Opened
    moved_within_s: float
    told: bool


PROVIDERS = {
    "hetzner": Provider(FloatingIps, 6.0, told=False),
    # a request waits for every other one of its data centre; Terraform's provider waits an hour
    "ionos": Provider(FailoverGroups, 120.0, told=True),
}
