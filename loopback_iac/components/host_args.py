"""How a host is reached, as an operator writes it; see `args` for what holds for all of them."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi


class BastionRef(TypedDict):
    """A jump host in front of a host."""

    address: pulumi.Input[str]
    """Address to dial."""
    host_key: pulumi.Input[str]
    """SSH host key as an authorized_keys line; the connection is pinned to it."""
    ssh_port: NotRequired[int]
    """SSH port. Default 22."""
    ssh_user: NotRequired[str]
    """Login user. Default root."""
    sources: NotRequired[Sequence[str]]
    """Addresses that its connections come from, as the host sees them. Default: `address`."""


class HostRef(TypedDict):
    """How to reach one host, whoever sold it: the output `host` of every kind of host."""

    ipv4: NotRequired[pulumi.Input[str]]
    """Management IPv4 address, also the tunnel's outer address. One of ipv4 and ipv6 is needed."""
    ipv6: NotRequired[pulumi.Input[str]]
    """Management IPv6 address."""
    host_key: pulumi.Input[str]
    """SSH host key as an authorized_keys line. Every connection is pinned to it."""
    instance_id: NotRequired[pulumi.Input[str]]
    """What tells this machine from its replacement: a serial or cloud id. Default: its key."""
    ssh_port: NotRequired[int]
    """SSH port. Default 22."""
    ssh_user: NotRequired[str]
    """Login user; must be able to act as root. Default root."""
    ssh_private_key: NotRequired[pulumi.Input[str]]
    """Private half of the fleet's deploy key (secret). Without it `ssh_agent_socket` is needed."""
    ssh_agent_socket: NotRequired[str]
    """Socket of an SSH agent that holds the deploy key; then no key enters the state."""
    bastion: NotRequired[BastionRef]
    """Jump host, when the host is not reachable directly."""
    provider: NotRequired[str]
    """Who sells the machine or its housing, e.g. `own-metal`."""
    legal_owner: NotRequired[str]
    """Legal person that owns or rents the machine; evidence for the supplier register."""
    country: NotRequired[str]
    """Country the machine stands in, ISO 3166-1 alpha-2."""
    site: NotRequired[str]
    """Building or campus, e.g. `fra-interxion-5`."""
    failure_domains: NotRequired[Sequence[str]]
    """Names of what it shares with others: a rack, a power feed, a carrier."""
