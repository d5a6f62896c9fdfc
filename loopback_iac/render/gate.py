"""Data the agent reads: which gates to hold, what to look at, which routes to keep."""

from collections.abc import Mapping

from loopback_iac.model import Announcement, Fleet, Host
from loopback_iac.render.haproxy import backend_name, listeners
from loopback_iac.render.site import Link, sessions, uplinks
from loopback_iac.render.text import render_json

GATES = "/run/loopback/gate"
GSHUT = "(65535,0)"  # RFC 8326; upstreams lower its preference, the export filter prepends


def gate_path(announcement: Announcement) -> str:
    """Include file of one announcement."""
    return f"{GATES}/gate{announcement.prefix.family}-{announcement.name}.conf"


def _gate(announcement: Announcement) -> dict[str, object]:
    cidr = announcement.prefix.cidr
    named = {"names": [str(a) for a in announcement.names]} if announcement.names else {}
    return named | {
        "family": announcement.prefix.family,
        "gate": gate_path(announcement),
        "open": f"route {cidr} unreachable;\n",
        "deprefer": f"route {cidr} unreachable {{ bgp_community.add({GSHUT}); }};\n",
        "closed": "# withdrawn\n",
        "services": list(announcement.services),
        "mode": announcement.prefix.gate,
    }


def render_watch(
    fleet: Fleet, host: str, hosts: Mapping[str, Host], links: tuple[Link, ...]
) -> str:
    """watch.json: on a PoP announcements and services, on both roles the tunnels.

    Tunnels beside are those that carry no traffic while keys are rotated; upstream tunnels end at
    routers that BGP is spoken with.

    Units: seconds.
    """
    tree: dict[str, object] = {
        "drain_s": fleet.roll.drain_s,
        "format": 1,
        "host": host,
        "role": "pop" if host in fleet.pops else "worker",
        "tunnels": [link.interface for link in links],
    }
    traffic = fleet.tunnels.traffic_epoch
    if beside := [link.interface for link in links if link.tunnel.key_epoch != traffic]:
        tree["tunnels_beside"] = beside
    if host in fleet.pops:
        tree |= {
            "announcements": {a.name: _gate(a) for a in fleet.announcements_at(host)},
            "services": {
                name: {
                    "listeners": [list(listener) for listener in listeners(fleet, service)],
                    "backend": backend_name(service, name),
                    "workers": sorted(fleet.pools[service.pool].workers),
                    "limits": list(service.limits.declared) if service.limits else [],
                }
                for name, service in fleet.services.items()
            },
            "return_hold_s": fleet.roll.return_hold_s,
            "haproxy_socket": "/run/haproxy/loopback.sock",
            "bird_socket": "/run/bird/bird.ctl",
            "blackhole": _blackhole(fleet, host),
        }
        if routers := [uplink.interface for uplink in uplinks(fleet, host)]:
            tree["upstream_tunnels"] = routers
        if fleet.name_server_at(host) is not None:
            tree["name_service"] = _name_service(fleet, host, hosts[host])
    return render_json(tree)


def _name_service(fleet: Fleet, pop: str, host: Host) -> dict[str, object]:
    """Whose answers gate the prefixes of the name service, and who lists its zones."""
    assert fleet.name_service is not None  # noqa: S101  # nothing answers at the PoP without
    return {
        "catalog": fleet.name_service.catalog,
        "list_at": str(host.address),
        "unit": fleet.name_server_at(pop),
    }


def _blackhole(fleet: Fleet, pop: str) -> dict[str, object]:
    """What may be given up by hand: so many addresses, told to these sessions."""
    spoken = sessions(fleet, pop)
    taking = [s for s in spoken if s.upstream.communities_for("blackhole")]
    return {
        "budget": min((s.upstream.limits.blackholes for s in taking), default=0),
        "sessions": {s.symbol: s.family for s in taking},
        "refusing": sorted({s.name for s in spoken} - {s.name for s in taking}),
    }


def render_routes(fleet: Fleet, pop: str) -> str:
    """routes.json: own prefixes and VIPs; table, rules and metrics are the agent's.

    Out: hosted prefixes, which the PoP's provider originates, keep to the hoster's routes.
    """
    vips = {address for vip in fleet.vips.values() for address in vip.addresses}
    hosted = {p.cidr for p in fleet.prefixes.values() if p.hosted_at(pop)}
    tree: dict[str, object] = {
        "format": 1,
        "prefixes": [str(network) for network in fleet.networks if network not in hosted],
        "vips": [str(a) for a in sorted(vips, key=lambda a: (a.version, a.packed))],
    }
    if hosted:
        tree["hosted"] = [str(network) for network in fleet.networks if network in hosted]
    return render_json(tree)
