"""What is announced and where it goes: prefixes, VIPs, services, pools, workers."""

import re
from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from loopback_iac.model.fields import (
    AddressList,
    AnyNetwork,
    Given,
    Int,
    Line,
    LineList,
    Network,
    NetworkList,
    Number,
    Port,
    Value,
    refuse,
)
from loopback_iac.model.key_epochs import JoinKeys
from loopback_iac.model.origin import Origin

LAST_WORKER_ID = 1023  # ten bits of a tunnel's address plan
FASTEST_PER_S = 1_000_000  # far above what one PoP opens; nft itself takes more
PATH = re.compile(r"/[A-Za-z0-9._~/-]{0,200}")
LONGEST_V4, LONGEST_V6 = 24, 48  # longer prefixes are filtered by most networks (RFC 7454 6.1.3)


def _announceable(network: Network) -> Network:
    v4 = isinstance(network, IPv4Network)
    longest, shortest = (LONGEST_V4, 8) if v4 else (LONGEST_V6, 16)
    if not shortest <= network.prefixlen <= longest:
        refuse(
            "prefix-length",
            f"{network} would be filtered by other networks",
            f"a length between /{shortest} and /{longest}",
            f"announce a /{longest} that contains it, or use an address of your provider",
        )
    return network


class Prefix(Value):
    """A network the fleet announces as long as the services on it are healthy.

    In the short form, without `origin`, every PoP announces it and nothing is said of its leave:
    accepted of space that no ROA can name, such as the lab's.
    """

    cidr: Annotated[AnyNetwork, AfterValidator(_announceable)]
    gate: Literal["all", "any"] = "all"
    origin: Literal["byoip", "platform-pool"] | None = None
    holder: Line | None = None
    origins: dict[str, Origin] = Field(default_factory=dict)
    allocatable: NetworkList = ()

    @property
    def family(self) -> int:
        """4 or 6."""
        return self.cidr.version

    def announced_at(self, pop: str) -> bool:
        """Whether a PoP's own BGP sessions carry it."""
        if not self.origins:
            return True
        return any(o.announced_by == "pop" and o.holds_at(pop) for o in self.origins.values())

    def hosted_at(self, pop: str) -> bool:
        """Whether the PoP's provider originates it there: it comes and goes by the hoster."""
        return any(o.announced_by == "provider" and o.holds_at(pop) for o in self.origins.values())


class Vip(Value):
    """One name clients use: its anycast addresses, written or allocated by that name."""

    addresses: AddressList = ()
    allocate_from: LineList = ()


def _path(value: object) -> object:
    if isinstance(value, str) and not PATH.fullmatch(value):
        refuse(
            "ready-path-syntax",
            f"{value!r} is no path of a URL",
            "/ and letters, digits, '.', '_', '~', '-', '/'",
            "write the path alone, for example /ping",
        )
    return value


class Health(Value):
    """How a PoP checks a worker: a TCP connect to its port that carries a PROXY header.

    With `ready_port` it asks for a page instead: who leaves says so there while he still serves.
    """

    interval_ms: Int | None = Field(None, ge=1, le=60_000)
    ready_port: Port | None = None
    ready_path: Annotated[str, BeforeValidator(_path)] = "/ping"


class Rate(Value):
    """So many in a second on average, and so many at once after a quiet time."""

    rate_per_s: Int = Field(ge=1, le=FASTEST_PER_S)
    burst: Int | None = Field(None, ge=1, le=FASTEST_PER_S)

    @property
    def at_once(self) -> int:
        """The burst; without one, what a second brings."""
        return self.burst or self.rate_per_s


class ServiceLimits(Value):
    """What a PoP lets through before HAProxy; each PoP counts for itself.

    A client is an IPv4 address or an IPv6 /64. None by default: behind one address of a carrier's
    NAT stand thousands of people, and only the operator knows what is too much for them.
    """

    new_connections_per_client: Rate | None = None
    new_connections: Rate | None = None
    concurrent_per_client: Int | None = Field(None, ge=1, le=500_000)

    @property
    def declared(self) -> tuple[str, ...]:
        """Names of the limits that hold, sorted."""
        return tuple(sorted(n for n in type(self).model_fields if getattr(self, n) is not None))


class Service(Value):
    """A port of a VIP, forwarded in TCP to a pool; TLS is not opened on the way."""

    vip: str
    port: Port
    pool: str
    worker_port: Port
    health: Health | None = None
    gate: Literal["shared", "own", "none"] = "shared"
    max_connections: Int = Field(20_000, ge=1, le=500_000)
    limits: ServiceLimits | None = None


class Worker(Value):
    """A machine that terminates the service's connections, reached through tunnels only."""

    host: Given
    node_id: Int = Field(ge=1, le=LAST_WORKER_ID)
    weight: Int = Field(100, ge=0, le=256)
    drained: bool = False
    rtt_ms: Number = Field(1.0, gt=0, le=1000)
    rtt_ms_from: dict[str, Number] = Field(default_factory=dict)
    behind_nat: bool = False
    managed_through: str | None = None
    join_keys: JoinKeys = Field(default_factory=dict)
    path_mtu_bytes: Int = Field(1500, ge=1360, le=9000)
    restrict_ssh: bool = False

    def rtt_ms_of(self, pop: str) -> float:
        """Declared round trip time through the tunnel from one PoP."""
        return self.rtt_ms_from.get(pop, self.rtt_ms)

    def has_joined(self, key_epochs: tuple[int, ...]) -> bool:
        """Whether every key of these epochs was given, so that PoPs need not ask it first."""
        return {str(epoch) for epoch in key_epochs} <= self.join_keys.keys()


class Pool(Value):
    """Workers that can stand in for each other."""

    workers: dict[str, Worker]
