"""The lab as a stack: what an operator would write into the demonstration's stack file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from loopback_iac.engine.passphrase import Crypter
from loopback_iac.lab.paths import write_private
from loopback_iac.lab.topology import MACHINES, OPS, Role

if TYPE_CHECKING:
    from loopback_iac.lab.keys import Keys
    from loopback_iac.lab.paths import InstancePaths
    from loopback_iac.lab.topology import Topology

PROJECT = "loopback-edge"
LEGAL_OWNER = "Example Edge GmbH"
PROVIDER, OTHER_PROVIDER = "own-metal", "other-metal"
# Drills wait for both; the defaults of 30 and 10 s suit a fleet with users.
ROLL = {"drain_s": 1, "return_hold_s": 1}
# What workers that are nodes of a cluster serve: an ingress controller answers on both ports, and
# says at a third whether it is ready.
INGRESS: dict[str, dict[str, Any]] = {
    "https": {
        "vip": "www",
        "port": 443,
        "pool": "web",
        "worker_port": 8443,
        "health": {"ready_port": 8082},
    },
    "http": {"vip": "www", "port": 80, "pool": "web", "worker_port": 8080},
}
# What could be ordered: nobody does before one of them is a PoP or a worker.
FOR_SALE: dict[str, dict[str, Any]] = {
    "h1": {"kind": "hetzner", "location": "fsn1", "server_type": "cx23", "protection": False},
    "i1": {
        "kind": "ionos",
        "location": "de/txl",
        "cores": 2,
        "ram_mb": 2048,
        "ipv6": True,
        "protection": False,
    },
}


def ensure_stack_config(paths: InstancePaths, topology: Topology, keys: Keys) -> bool:
    """
    Write the stack file unless there is one.

    Out: whether it was written. An existing file is kept: an operator may have changed it.
    """
    if paths.stack_config.exists():
        return False
    crypter = Crypter.create(keys.passphrase)
    config: dict[str, Any] = {f"{PROJECT}:{k}": v for k, v in render_facts(topology, keys).items()}
    for name, secret in render_secrets(keys).items():
        config[f"{PROJECT}:{name}"] = {"secure": crypter.encrypt(secret)}
    for cloud, token in keys.tokens.items():
        config[f"{cloud}:token"] = {"secure": crypter.encrypt(token)}
    text = yaml.safe_dump({"encryptionsalt": crypter.salt, "config": config}, sort_keys=False)
    write_private(paths.stack_config, text, 0o644)
    return True


def render_facts(topology: Topology, keys: Keys) -> dict[str, Any]:
    """
    The plain part of the configuration.

    Out: machines (name -> how to reach it and where it stands, or what to order), links (PoP ->
    upstream -> the order form of the BGP session), pops and workers (name -> what the fleet says
    of it), services (of a fleet with a cluster), adminSources (the workstation), deployKey (its
    public half), roll (waits of a change).
    """
    ops = topology.uplink(OPS)
    return {
        "adminSources": [f"{a.ip}/{a.network.max_prefixlen}" for a in (ops.v4, ops.v6) if a],
        "roll": ROLL,
        "deployKey": keys.operator.public,
        "machines": {
            **{h.name: _machine(topology, keys, h.name) for h in topology.having(*MACHINES)},
            **(FOR_SALE if topology.having(Role.PROVIDER) else {}),
        },
        "links": {
            pop.name: {
                up.name: _session(topology, pop.name, up.name, up.asn)
                for up in topology.having(Role.UPSTREAM)
            }
            for pop in topology.having(Role.POP)
        },
        "pops": _numbered(topology, Role.POP),
        "workers": _numbered(topology, Role.WORKER),
        **({"services": INGRESS} if topology.having(Role.CONTROL) else {}),
    }


def render_secrets(keys: Keys) -> dict[str, str]:
    """Configuration names of secrets, and their plain values."""
    return {
        "sshPrivateKey": keys.operator.private,
        "fleetSecret": keys.fleet_secret,
        **{f"md5-{pop}": password for pop, password in keys.md5.items()},
    }


def _numbered(topology: Topology, role: Role) -> dict[str, dict[str, int]]:
    hosts = (host for host in topology.having(role) if not host.spare)
    return {host.name: {"node_id": n} for n, host in enumerate(hosts, 1)}


def _machine(topology: Topology, keys: Keys, name: str) -> dict[str, str]:
    host, end = topology.host(name), topology.uplink(name)
    return {
        "ipv4": str(end.v4.ip) if end.v4 else "",
        "ipv6": str(end.v6.ip) if end.v6 else "",
        "host_key": " ".join(keys.host_keys[name].public.split()[:2]),
        "instance_id": keys.machine_ids[name],
        "country": host.country,
        "site": host.site,
        "legal_owner": LEGAL_OWNER,
        "provider": OTHER_PROVIDER if host.spare else PROVIDER,
    }


def _session(topology: Topology, pop: str, upstream: str, asn: int) -> dict[str, Any]:
    link = topology.link(pop, upstream)
    ours, theirs = link.end(pop), link.end(upstream)
    return {
        "kind": "transit",
        "asn": asn,
        "interface": ours.interface,
        "local_v4": str(ours.v4.ip) if ours.v4 else "",
        "neighbor_v4": str(theirs.v4.ip) if theirs.v4 else "",
        "local_v6": str(ours.v6.ip) if ours.v6 else "",
        "neighbor_v6": str(theirs.v6.ip) if theirs.v6 else "",
        "role_strict": True,
        "communities": {"blackhole": {"source": "the lab's own routers", "use": "blackhole"}},
    }
