"""What the provider's firewall lets in: SSH for operators, tunnels, echo; nothing else unasked.

It stands before the host's own nftables table and knows less: that table lets a peer's address in,
this one the ports of every peer there may ever be.
"""

from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple

from loopback_iac.model.cloud_host import CloudHost
from loopback_iac.model.fields import Network
from loopback_iac.model.fleet import LAST_POP_ID
from loopback_iac.model.traffic import LAST_WORKER_ID
from loopback_iac.model.tunnel import FIRST_PORT

SSH_PORT = 22
EXPORTERS = (8405, 9100, 9324)
EVERYBODY: tuple[Network, ...] = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))


class Opening(NamedTuple):
    """Packets that may come in."""

    title: str
    protocol: str
    """tcp, udp or icmp; icmp stands for both families."""
    first_port: int | None
    last_port: int | None
    sources: tuple[Network, ...]

    @property
    def ports(self) -> str:
        """`22` or `51820-51870`; empty for ICMP."""
        if self.first_port is None:
            return ""
        same = self.first_port == self.last_port
        return str(self.first_port) if same else f"{self.first_port}-{self.last_port}"


def openings(host: CloudHost) -> tuple[Opening, ...]:
    """Everything that may come in, in a fixed order.

    WireGuard answers nobody whose key it does not know, so its ports stand open unless
    `tunnel_sources` says whose they are. ICMP carries "too big": closed, it breaks paths whose MTU
    is smaller than a tunnel's.
    """
    peers = host.tunnel_sources or EVERYBODY
    found = [Opening("ssh", "tcp", SSH_PORT, SSH_PORT, host.admin_sources)]
    found += [Opening("tunnels", "udp", first, last, peers) for first, last in _ports(host.role)]
    if host.role == "pop" and host.metrics_sources:
        found += [Opening("metrics", "tcp", p, p, host.metrics_sources) for p in EXPORTERS]
    found.append(Opening("icmp", "icmp", None, None, EVERYBODY))
    for inbound in host.inbound:
        first, _, last = inbound.ports.partition("-")
        ports = int(first), int(last or first)
        found.append(Opening(inbound.because, inbound.protocol, *ports, inbound.sources))
    return tuple(found)


def _ports(role: str) -> list[tuple[int, int]]:
    """A PoP has a port per worker, a worker one per PoP; odd and even key epochs each their own.

    Any other host has no tunnels.
    """
    if role not in ("pop", "worker"):
        return []
    most = LAST_WORKER_ID if role == "pop" else LAST_POP_ID
    return sorted((first, first + most) for first in FIRST_PORT)
