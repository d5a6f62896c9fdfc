"""HAProxy 3.0: TCP from VIPs to workers, the client's address in a PROXY v2 header.

TLS is never opened here. Each PoP-worker pair is checked once: the pool's checked service carries
the check, its other services track it. With every worker DOWN, HAProxy alone would close each
connection at once; a second, unchecked set of the same servers keeps trying instead, with a longer
connect timeout, because a detour that trebled the round trip looks like death to the first set.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from loopback_iac.model import Fleet, Host, Service, Worker, tunnel
from loopback_iac.model.fields import Address
from loopback_iac.model.timing import (
    ANSWER_MS,
    FALL,
    checked_service,
    pool_interval_ms,
    timing,
)
from loopback_iac.model.traffic import Health
from loopback_iac.render.exporters import HAPROXY_EXPORTER_PORT, listen_address
from loopback_iac.render.text import render_text

RESERVE_FILES = 2048  # listeners, checks, sockets between processes
SMALLEST_LIMIT = 65536
LAST_RESORT_FACTOR = 10
BACK_AFTER_MS = 3000
"""How long a worker must say that it is ready: Traefik answers before it has read its Ingresses."""


@dataclass(frozen=True)
class Server:
    """One worker in one backend."""

    name: str
    address: Address
    port: int
    weight: int
    inter_ms: int
    downinter_ms: int
    connect_ms: int

    @property
    def rise(self) -> int:
        """Answers in a row that say it is ready again."""
        return max(FALL, -(-BACK_AFTER_MS // self.downinter_ms))


@dataclass(frozen=True)
class Forwarding:
    """One service: where it listens and who serves it."""

    name: str
    backend: str
    listeners: tuple[tuple[str, int], ...]
    max_connections: int
    concurrent_per_client: int | None
    checked_in: str
    health: Health
    connect_ms: int
    servers: tuple[Server, ...]

    @property
    def last_connect_ms(self) -> int:
        """Connect timeout when every worker looks dead: patient, yet other workers get a turn."""
        return LAST_RESORT_FACTOR * self.connect_ms

    @property
    def tracks(self) -> bool:
        """Whether another backend carries the check of these workers."""
        return self.checked_in != self.backend

    @property
    def check_ms(self) -> int:
        """How long a check's answer may take once it is connected."""
        return self.connect_ms if self.health.ready_port is None else ANSWER_MS

    @property
    def taking(self) -> tuple[Server, ...]:
        """Servers that take new connections."""
        return tuple(server for server in self.servers if server.weight)


def backend_name(service: Service, name: str) -> str:
    """Backend of a service; a dot cannot stand in a name, so two never meet."""
    return f"{service.pool}.{name}"


def file_limit(fleet: Fleet) -> int:
    """LimitNOFILE of HAProxy: two sockets per declared connection and a reserve, a power of two.

    It is handed to HAProxy as fd-hard-limit, and HAProxy derives maxconn from the smaller of that
    and what the system grants; a written maxconn above the grant would keep it from starting.
    """
    wanted = 2 * sum(s.max_connections for s in fleet.services.values()) + RESERVE_FILES
    return max(SMALLEST_LIMIT, 1 << (wanted - 1).bit_length())


def render_haproxy(fleet: Fleet, pop: str, hosts: Mapping[str, Host]) -> str:
    """haproxy.cfg of a PoP.

    Units: milliseconds for checks and connects, as declared by rtt_ms.
    Sources: HAProxy 3.0 configuration manual 5.2; PROXY protocol 2.2 (type 0xE0 is for own use).
    """
    return render_text(
        "haproxy.cfg",
        pop=pop,
        file_limit=file_limit(fleet),
        metrics=listen_address(hosts[pop], HAPROXY_EXPORTER_PORT),
        forwardings=[_forwarding(fleet, pop, n, s) for n, s in fleet.services.items()],
    )


def _forwarding(fleet: Fleet, pop: str, name: str, service: Service) -> Forwarding:
    pool = fleet.pools[service.pool]
    interval_ms = pool_interval_ms(fleet.services, service.pool)
    servers = tuple(
        _server(fleet, pop, (worker_name, worker), service, interval_ms)
        for worker_name, worker in sorted(pool.workers.items())
    )
    checked = checked_service(fleet.services, service.pool)
    return Forwarding(
        name=name,
        backend=backend_name(service, name),
        listeners=listeners(fleet, service),
        max_connections=service.max_connections,
        concurrent_per_client=service.limits.concurrent_per_client if service.limits else None,
        checked_in=backend_name(fleet.services[checked], checked),
        health=fleet.services[checked].health or Health(),
        connect_ms=max(server.connect_ms for server in servers),
        servers=servers,
    )


def listeners(fleet: Fleet, service: Service) -> tuple[tuple[str, int], ...]:
    """Addresses and port of a service, IPv4 first."""
    found = sorted(fleet.vips[service.vip].addresses, key=lambda a: (a.version, a.packed))
    return tuple((str(address), service.port) for address in found)


def _server(
    fleet: Fleet, pop: str, named: tuple[str, Worker], service: Service, interval_ms: int | None
) -> Server:
    name, worker = named
    times = timing(interval_ms, worker, pop)
    return Server(
        name=name,
        address=tunnel(fleet, pop, name).worker_v4,
        port=service.worker_port,
        weight=0 if worker.drained else worker.weight,
        inter_ms=times.inter_ms,
        downinter_ms=times.downinter_ms,
        connect_ms=times.connect_ms,
    )
