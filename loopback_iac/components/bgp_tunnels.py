"""What the operator of a router needs to end a PoP's BGP tunnel."""

from collections.abc import Mapping
from typing import Any

import pulumi

from loopback_iac.components.converge import EdgePop
from loopback_iac.components.host_args import HostRef
from loopback_iac.components.hosts import public_facts
from loopback_iac.model import Fleet
from loopback_iac.render import Uplink, uplinks


def describe_bgp_tunnels(
    fleet: Fleet, pops: Mapping[str, EdgePop], late: Mapping[str, pulumi.Input[HostRef]]
) -> pulumi.Output[Mapping[str, Any]]:
    """By PoP and upstream, as the router sees it: its peer in WireGuard and in BGP.

    Out: empty for a fleet without such tunnels; the public key is known once the host is enrolled.
    """
    found = {
        pop: {u.name: _one(fleet, pops[pop], u, late[pop]) for u in tunnels}
        for pop in sorted(fleet.pops)
        if (tunnels := uplinks(fleet, pop))
    }
    return pulumi.Output.all(**{pop: pulumi.Output.all(**ends) for pop, ends in found.items()})


def _one(
    fleet: Fleet, pop: EdgePop, uplink: Uplink, host: pulumi.Input[HostRef]
) -> pulumi.Output[dict[str, Any]]:
    tunnel = uplink.tunnel
    families = {session.family for session in uplink.sessions}
    allowed = [str(n) for n in fleet.networks_at(pop.host_name) if n.version in families]
    allowed += [f"{s.local}/{s.local.max_prefixlen}" for s in uplink.sessions]
    plain: dict[str, Any] = {
        "allowed_ips": allowed,
        "asn": fleet.asn,
        "neighbors": [str(session.local) for session in uplink.sessions],
        "mtu_bytes": tunnel.mtu_bytes,
        "bfd_interval_ms": uplink.sessions[0].upstream.bfd_ms,
    }

    def joined(got: Mapping[str, Any]) -> dict[str, Any]:
        address = str(got["facts"][f"ipv{tunnel.endpoint.version}"])
        shown = f"[{address}]" if tunnel.endpoint.version == 6 else address
        endpoint = f"{shown}:{tunnel.listen_port}"
        return {**plain, "public_key": got["key"], "endpoint": endpoint}

    key = pop.public_key(tunnel.key_epoch)
    return pulumi.Output.all(facts=public_facts(host), key=key).apply(joined)
