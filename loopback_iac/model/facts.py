"""The plain, policy-relevant facts of a fleet: what components publish and controls read."""

from datetime import date

from loopback_iac.model.bgp import Upstream
from loopback_iac.model.fields import Value
from loopback_iac.model.fleet import Announcement, Fleet, Pop
from loopback_iac.model.name_server import TLS
from loopback_iac.model.origin import Origin
from loopback_iac.model.timing import checks_per_s


def fleet_facts(fleet: Fleet) -> dict[str, object]:
    """Facts as plain JSON values, known before anything is created; no secret and no late value.

    Out: maps sorted by name; a waived protection shows its reason.
    """
    return {
        "format": 1,
        "asn": fleet.asn,
        "admin_sources": [str(network) for network in fleet.admin_sources],
        "metrics_sources": [str(network) for network in fleet.metrics_sources],
        "prefixes": {a.name: _prefix(fleet, a) for a in fleet.announcements},
        "vips": {name: [str(a) for a in vip.addresses] for name, vip in fleet.vips.items()},
        "pops": {name: _pop(fleet, name, pop) for name, pop in fleet.pops.items()},
        "pools": {
            name: {
                "workers": {
                    worker: {"drained": w.drained, "weight": w.weight, "rtt_ms": w.rtt_ms}
                    for worker, w in sorted(pool.workers.items())
                }
            }
            for name, pool in fleet.pools.items()
        },
        "services": {
            name: {
                "vip": s.vip,
                "port": s.port,
                "pool": s.pool,
                "tls_opened_at_pop": False,
                "limits": [*s.limits.declared] if s.limits else [],
            }
            for name, s in fleet.services.items()
        },
        "blackholes": [
            {
                "address": str(hole.address),
                "pops": sorted(hole.pops if hole.pops is not None else fleet.pops),
                "reason": hole.reason,
            }
            for hole in fleet.blackholes
        ],
        "rpki": _rpki(fleet),
        "tunnels": {"key_epochs": [*fleet.tunnels.key_epochs]},
        "roll": {"drain_s": fleet.roll.drain_s, "return_hold_s": fleet.roll.return_hold_s},
        **_name_service(fleet),
    }


def _name_service(fleet: Fleet) -> dict[str, object]:
    """What answers at which PoP; nothing where no PoP is a name server."""
    if fleet.name_service is None:
        return {}
    servers = {pop: software for pop in fleet.pops if (software := fleet.name_server_at(pop))}
    facts = {
        "vip": fleet.name_service.vip,
        "servers": servers,
        "prefixes": [a.name for a in fleet.announcements if a.names],
        "transfers": {"tsig": "hmac-sha256", "tls": fleet.name_service.transport == TLS},
    }
    return {"name_service": facts}


def _prefix(fleet: Fleet, announcement: Announcement) -> dict[str, object]:
    """Of the short form, which declares no origin, nothing is said about one."""
    prefix = announcement.prefix
    facts: dict[str, object] = {
        "cidr": str(prefix.cidr),
        "gate": prefix.gate,
        "services": [*announcement.services],
    }
    if prefix.origins:
        facts |= {
            "origin": prefix.origin,
            "holder": prefix.holder,
            "origins": {n: _origin(fleet, o) for n, o in sorted(prefix.origins.items())},
        }
    return facts


def _origin(fleet: Fleet, origin: Origin) -> dict[str, object]:
    return {
        "asn": origin.asn,
        "asn_source": origin.asn_source,
        "announced_by": origin.announced_by,
        "pops": sorted(pop for pop in fleet.pops if origin.holds_at(pop)),
        "state": origin.state,
        "roa": _plain(origin.roa),
        "route_object": _plain(origin.route_object),
        "letter": _plain(origin.letter),
        "requested_on": _plain(origin.requested_on),
        "accepted_on": {name: _plain(day) for name, day in sorted(origin.accepted_on.items())},
        "announced_on": _plain(origin.announced_on),
    }


def _plain(value: Value | date | None) -> object:
    """As JSON has it: a day as text, what was not declared as null."""
    if isinstance(value, Value):
        return value.model_dump(mode="json")
    return None if value is None else value.isoformat()


def _pop(fleet: Fleet, name: str, pop: Pop) -> dict[str, object]:
    return {
        "node_id": pop.node_id,
        "checks_per_s": round(checks_per_s(fleet.pools, fleet.services, name)),
        "upstreams": {up_name: _upstream(up) for up_name, up in sorted(pop.upstreams.items())},
    }


def _upstream(up: Upstream) -> dict[str, object]:
    facts: dict[str, object] = {
        "kind": up.kind,
        "asn": up.asn,
        "families": [family for family, _, _ in up.sessions],
        "md5": up.md5,
        "md5_waived_because": up.md5_waived_because,
        "ttl_security": up.ttl_security,
        "multihop_because": up.multihop_because,
        "bfd": up.bfd,
        "bfd_waived_because": up.bfd_waived_because,
        "blackhole": bool(up.communities_for("blackhole")),
        "blackhole_waived_because": up.blackhole_waived_because,
        "role": "customer" if up.carrier else None,
        "role_strict": up.role_strict,
        "hold_time_s": up.hold_time_s,
        "routes": up.routes,
    }
    if up.tunnel is not None:
        facts["tunnel"] = {
            "endpoint": str(up.tunnel.endpoint),
            "router": up.tunnel.router,
            "key_epoch": up.tunnel.key_epoch,
            "mtu_bytes": up.tunnel.mtu_bytes,
        }
    return facts


def _rpki(fleet: Fleet) -> dict[str, object]:
    imports_full = any(
        u.routes == "full" for p in fleet.pops.values() for u in p.upstreams.values()
    )
    if not imports_full:
        reason = "every upstream sends a default route only, which has no origin to validate"
        return {"applies": False, "not_applicable_because": reason, "caches": []}
    caches = [f"{cache.address} port {cache.port}" for cache in fleet.rpki]
    return {"applies": True, "not_applicable_because": None, "caches": caches}
