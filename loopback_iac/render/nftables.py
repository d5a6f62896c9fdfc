"""nftables: one table of our own. A PoP drops the unknown; a worker guards our ports only.

The SSH rule stands before `ct state established`: a connection that the new rules would refuse is
refused at once, so the agent's confirmation proves what it says.
"""

from collections.abc import Collection, Iterable, Mapping
from ipaddress import collapse_addresses

from loopback_iac.model import Fleet, Host
from loopback_iac.model.fields import Network
from loopback_iac.model.traffic import Service, ServiceLimits
from loopback_iac.render.egress import exits
from loopback_iac.render.exporters import EXPORTER_PORTS
from loopback_iac.render.haproxy import listeners
from loopback_iac.render.name_server import ZONES_FROM, names_at
from loopback_iac.render.primary import shared
from loopback_iac.render.site import Link, admin_sources, own, sessions, uplinks
from loopback_iac.render.text import render_text

# Clients remembered per service and family. The 65,537th is let through: a flood of forged sources
# is for the limit of the service and for SYN cookies, and must not shut real clients out.
CLIENTS = 65536
CLIENT_MEMORY_S = 60


def render_nftables_pop(
    fleet: Fleet,
    pop: str,
    hosts: Mapping[str, Host],
    links: tuple[Link, ...],
) -> str:
    """nftables.conf of a PoP: input and forward drop by default, output only from own addresses.

    Sources: RFC 4890 (ICMPv6), BCP 38 (source addresses), RFC 5881 and 5883 (BFD ports).
    """
    spoken = sessions(fleet, pop)
    return render_text(
        "nftables-pop.conf",
        exits=exits(fleet, links),
        pop=pop,
        ssh_port=hosts[pop].ssh_port,
        ports=worker_ports(fleet.services.values()),
        exporters=EXPORTER_PORTS,
        families=[
            {
                "number": number,
                "ip": "ip" if number == 4 else "ip6",
                "kind": "ipv4_addr" if number == 4 else "ipv6_addr",
                "admin": _merged(admin_sources(fleet, pop, hosts), number),
                "metrics": _merged(fleet.metrics_sources, number),
                "own": own(fleet, number),
                "listeners": _listeners(fleet, number),
                "names": [a for a in names_at(fleet, pop) if a.version == number],
            }
            for number in (4, 6)
        ],
        services=[_service(fleet, name) for name in fleet.services],
        clients=CLIENTS,
        client_memory_s=CLIENT_MEMORY_S,
        sessions=[
            {
                "ip": "ip" if s.family == 4 else "ip6",
                "local": s.local,
                "neighbor": s.neighbor,
                "interface": s.interface,
                "bfd_port": (3784 if s.upstream.multihop is None else 4784)
                if s.upstream.bfd
                else None,
            }
            for s in spoken
        ],
        links=links,
        managing=_managing(links),
        transfers=_transfers(fleet, pop, hosts),
        **_through_tunnels(fleet, pop),
    )


def worker_ports(services: Collection[Service]) -> list[int]:
    """Ports of workers that PoPs dial: where services are, and where readiness is told."""
    told = {s.health.ready_port for s in services if s.health and s.health.ready_port}
    return sorted({service.worker_port for service in services} | told)


def _transfers(fleet: Fleet, pop: str, hosts: Mapping[str, Host]) -> list[dict[str, object]]:
    """Where the hidden primary may tell the PoP's name server that a zone changed."""
    if fleet.name_server_at(pop) is None:
        return []
    ours, theirs = shared(hosts[pop], hosts[ZONES_FROM])
    return [
        {"ip": "ip" if own.version == 4 else "ip6", "own": own, "primary": primary}
        for own, primary in zip(ours, theirs, strict=True)
    ]


def _through_tunnels(fleet: Fleet, pop: str) -> dict[str, object]:
    """Tunnels to routers: what they take, and whether own addresses have no other way out.

    An own prefix that the provider originates here leaves by the hoster's routes.
    """
    tunnels = uplinks(fleet, pop)
    hosted = any(prefix.hosted_at(pop) for prefix in fleet.prefixes.values())
    others = {s.name for s in sessions(fleet, pop)} - {uplink.name for uplink in tunnels}
    return {
        "uplinks": tunnels,
        "segments": {
            family: min(uplink.tunnel.segment_bytes(family) for uplink in tunnels)
            for family in (4, 6)
            if tunnels
        },
        "only_uplinks": bool(tunnels) and not others and not hosted,
    }


def _managing(links: tuple[Link, ...]) -> list[tuple[str, int]]:
    """(tunnel, port) by which PoPs reach the SSH of workers that are managed through them."""
    return [(link.interface, link.worker_ssh_port) for link in links if link.manages]


def _merged(networks: Iterable[Network], family: int) -> list[Network]:
    """Networks of one family without overlaps, which nft refuses in a set of intervals."""
    mine = [n for n in networks if n.version == family]
    return list(collapse_addresses(mine))  # type: ignore[type-var]  # all of one family


def _listeners(fleet: Fleet, family: int) -> list[tuple[str, str]]:
    """(address . port as nft writes it, service), sorted by address and port."""
    found = sorted(
        (address, port, name)
        for name, service in fleet.services.items()
        for address, port in listeners(fleet, service)
        if (":" in address) == (family == 6)
    )
    return [(f"{address} . {port}", name) for address, port, name in found]


def _service(fleet: Fleet, name: str) -> dict[str, object]:
    """What the chain of one service counts and drops."""
    service = fleet.services[name]
    limits = service.limits or ServiceLimits()
    return {
        "name": name,
        "families": sorted({6 if ":" in a else 4 for a, _ in listeners(fleet, service)}),
        "per_client": limits.new_connections_per_client,
        "together": limits.new_connections,
    }


def render_nftables_worker(
    fleet: Fleet,
    worker: str,
    hosts: Mapping[str, Host],
    links: tuple[Link, ...],
) -> str:
    """nftables.conf of a worker: accept by default, our ports answer the tunnels' ends only.

    The chain stands before any address translation, because a cluster may translate the ingress
    port to a pod before an input chain would see it.
    """
    pool = fleet.pool_of(worker)
    ports = worker_ports(fleet.services_of(pool).values())
    restrict = fleet.pools[pool].workers[worker].restrict_ssh
    return render_text(
        "nftables-worker.conf",
        worker=worker,
        exits=exits(fleet, links),
        egress=fleet.may_leave_by(worker),
        ports=ports,
        links=links,
        ssh_port=hosts[worker].ssh_port if restrict else None,
        admin=[
            {"ip": "ip" if v == 4 else "ip6", "sources": found}
            for v in (4, 6)
            if (found := _merged(admin_sources(fleet, worker, hosts), v))
        ],
        managing=_managing(links),
    )
