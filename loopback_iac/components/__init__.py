"""Pulumi components: the public API."""

from loopback_iac.components.args import AnycastEdgeArgs, BareMetalHostArgs, HostRef
from loopback_iac.components.converge import EdgePop, Worker
from loopback_iac.components.edge import AnycastEdge
from loopback_iac.components.hosts import BareMetalHost

__all__ = [
    "AnycastEdge",
    "AnycastEdgeArgs",
    "BareMetalHost",
    "BareMetalHostArgs",
    "EdgePop",
    "HostRef",
    "Worker",
]
