"""Egress that leaves by the PoPs: own addresses that stand on workers."""

from loopback_iac.model.fields import AddressList, LineList, Value

BGP_PORT = 1790
"""A worker's own; 179 is a cluster's, where that speaks BGP on its nodes."""


class Egress(Value):
    """Addresses of a fleet's own prefixes, and the workers that may have them."""

    addresses: AddressList
    workers: LineList
    """The first has them; the others may, without a change at any PoP."""
