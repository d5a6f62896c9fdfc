"""The plain facts of a cluster's egress: what the component publishes and an inventory reads."""

from loopback_iac.kube.policy import Egress, EgressPolicy, Pool


def egress_facts(egress: Egress) -> dict[str, object]:
    """Facts as plain JSON values, known before anything is created.

    Out: maps sorted by name.
    """
    return {
        "format": 1,
        "cluster": egress.cluster,
        "backend": egress.backend,
        "gateways": {
            name: {"nodes": list(gateway.candidates or egress.nodes_of(name))}
            for name, gateway in sorted(egress.gateways.items())
        },
        "pools": {name: pool_facts(pool) for name, pool in sorted(egress.pools.items())},
        "policies": {name: _policy(each) for name, each in sorted(egress.policies.items())},
        "accepted": [each.model_dump(mode="json") for each in egress.accepted],
    }


def pool_facts(pool: Pool) -> dict[str, object]:
    """Whose addresses these are, since when that is known, and who has which."""
    return {
        "kind": pool.kind,
        "addresses": [str(network) for network in pool.addresses],
        "evidence": pool.evidence,
        "seen_on": pool.seen_on.isoformat(),
        "allocations": {
            tenant: [str(address) for address in held]
            for tenant, held in sorted(pool.allocations.items())
        },
    }


def _policy(policy: EgressPolicy) -> dict[str, object]:
    return {
        "tenant": policy.tenant,
        "owner": policy.owner,
        "because": policy.because,
        "destinations": [str(network) for network in policy.destinations],
        "gateways": {
            name: [str(address) for address in held]
            for name, held in sorted(policy.gateways.items())
        },
        "default_deny": policy.default_deny,
    }
