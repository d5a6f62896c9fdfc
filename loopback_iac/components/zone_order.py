"""What every operator's part of DnsZone is told, and what it answers."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import pulumi

from loopback_iac.components.boundary import refuse_as_pulumi
from loopback_iac.components.dns_zone_args import DnsZoneArgs, TransferRef
from loopback_iac.dns import Zone, own_servers
from loopback_iac.model import DnsZone as Declared
from loopback_iac.model import InputRejected, Problem
from loopback_iac.model.dns_zone import OWN, ZoneOperator

Held = tuple[pulumi.Output[Sequence[str]], list[pulumi.Resource]]
"""Names of an operator's servers; what was declared there, the zone first."""


class Order(NamedTuple):
    """One zone at one operator, as it was declared and as it was parsed."""

    name: str
    operator: str
    declared: Declared
    zone: Zone
    args: DnsZoneArgs
    after: Sequence[pulumi.Resource]
    """What has to be well before anything is declared at an operator."""
    transfers: pulumi.Output[Mapping[str, TransferRef]]

    @property
    def stem(self) -> str:
        """How the names of its resources begin."""
        return f"{self.name}-{self.operator}"

    @property
    def bare_zone(self) -> str:
        """The zone's name without a final dot, as APIs want it."""
        return self.zone.name.removesuffix(".")

    @property
    def settings(self) -> ZoneOperator:
        """What was declared of this operator."""
        return self.declared.operators[self.operator]

    @property
    def own(self) -> tuple[str, ...]:
        """Names of the operator's servers, as far as somebody says."""
        return own_servers(self.operator, self.declared.mode, self.settings.name_servers)

    @property
    def source(self) -> pulumi.Output[TransferRef]:
        """Where the operator gets the zone from."""
        return self.transfers.apply(lambda found: find_transfer(self.name, self.operator, found))


class Keeper(Protocol):
    """A module that declares a zone at one operator."""

    def follow(self, parent: pulumi.ComponentResource, order: Order) -> Held:
        """A secondary of the hidden primary."""
        ...

    def fill(self, parent: pulumi.ComponentResource, order: Order) -> Held:
        """A primary of its own, filled over its API."""
        ...


def find_transfer(name: str, operator: str, found: Mapping[str, TransferRef]) -> TransferRef:
    """
    An operator's entry of a hidden primary's `transfers`.

    Raises: RejectedInputs when the primary does not know the operator.
    """

    def entry() -> TransferRef:
        if operator in found:
            return found[operator]
        got = f"the hidden primary has no operator {operator!r}"
        fix = f"declare operators.{operator} at the HiddenPrimary, with its addresses"
        need = ", ".join(found) or f"{OWN} alone is there"
        problem = Problem(f"transfers.{operator}", got, need, fix, "transfer-unknown")
        raise InputRejected(name, (problem,))

    return refuse_as_pulumi(entry)
