"""What stands behind the edge has to know of it: whose word on clients' addresses it may take."""

from loopback_iac.model.fleet import Fleet
from loopback_iac.model.timing import checked_service, noticed_after_ms
from loopback_iac.model.tunnel import tunnels


def pool_facts(fleet: Fleet) -> dict[str, dict[str, object]]:
    """By pool that serves something: what an ingress controller on its workers needs.

    Out: plain JSON values, known before anything is created. `workers` has, by worker, the
        addresses from which PoPs connect to it, of every key epoch that stands.
    Units: milliseconds.
    """
    used = sorted({service.pool for service in fleet.services.values()})
    return {pool: _facts(fleet, pool) for pool in used}


def _facts(fleet: Fleet, pool: str) -> dict[str, object]:
    services = fleet.services_of(pool)
    health = services[checked_service(fleet.services, pool)].health
    facts: dict[str, object] = {
        "fleet": fleet.name,
        "pool": pool,
        "pops": sorted(fleet.pops),
        "vips": {
            name: [str(address) for address in fleet.vips[name].addresses]
            for name in sorted({service.vip for service in services.values()})
        },
        "services": {
            name: {"vip": s.vip, "port": s.port, "worker_port": s.worker_port}
            for name, s in services.items()
        },
        # HAProxy dials workers over IPv4, whatever family the client speaks
        "workers": {
            worker: [
                str(t.pop_v4) for pop in sorted(fleet.pops) for t in tunnels(fleet, pop, worker)
            ]
            for worker in sorted(fleet.pools[pool].workers)
        },
        "noticed_after_ms": noticed_after_ms(fleet.services, fleet.pools[pool], pool, fleet.pops),
    }
    if health is not None and health.ready_port is not None:
        facts |= {"ready_port": health.ready_port, "ready_path": health.ready_path}
    return facts
