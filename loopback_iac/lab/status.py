"""What a lab looks like now, read from the kernel and the routers, from no record of ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopback_iac.lab import cgroups
from loopback_iac.lab.entering import inside
from loopback_iac.lab.namespaces import namespaces_of, run
from loopback_iac.lab.topology import ROUTERS

if TYPE_CHECKING:
    from loopback_iac.lab.paths import InstancePaths
    from loopback_iac.lab.topology import Host, Topology


@dataclass(frozen=True)
class HostStatus:
    """One host: whether it runs, where it is, what it takes."""

    name: str
    role: str
    state: str
    pid: int | None
    addresses: tuple[str, ...]
    memory_mib: float


def probe_hosts(paths: InstancePaths, topology: Topology) -> list[HostStatus]:
    """
    Look at every host of a topology.

    Units: memory_mib is anonymous memory of all processes of the host, in MiB.
    """
    wired = set(namespaces_of(paths))
    return [_probe_host(paths, topology, host, wired) for host in topology.hosts]


def probe_sessions(paths: InstancePaths, router: str) -> dict[str, bool]:
    """
    BGP sessions of a running router.

    Out: session name -> whether it is established.
    Raises: LabError when bird does not answer.
    """
    said = run([*inside(paths, router), "birdc", "-r", "show", "protocols"], timeout_s=10)
    return parse_sessions(said)


def parse_sessions(text: str) -> dict[str, bool]:
    """
    Read `birdc show protocols`.

    Out: BGP session name -> whether its last column says Established.
    """
    found = {}
    for line in text.splitlines():
        columns = line.split()
        if len(columns) >= 2 and columns[1] == "BGP":
            found[columns[0]] = columns[-1] == "Established"
    return found


def probe_bgp(paths: InstancePaths, topology: Topology) -> dict[str, dict[str, bool]]:
    """Sessions of every router that runs, by router name."""
    return {
        router.name: probe_sessions(paths, router.name)
        for router in topology.having(*ROUTERS)
        if cgroups.leader(paths, router.name)
    }


def _probe_host(
    paths: InstancePaths, topology: Topology, host: Host, wired: set[str]
) -> HostStatus:
    pid = cgroups.leader(paths, host.name) if host.booted else None
    network = paths.namespace(host.name) in wired
    # a server may have been ordered without a card
    plugged = host.role not in ROUTERS and topology.links_of(host.name)
    end = topology.uplink(host.name) if plugged else None
    state = "running" if pid or (network and not host.booted) else "off" if network else "absent"
    return HostStatus(
        name=host.name,
        role=host.role.value,
        state=state,
        pid=pid,
        addresses=tuple(str(a.ip) for a in (end.v4, end.v6) if a) if end else (),
        memory_mib=round(cgroups.memory_bytes(paths, host.name) / 2**20, 1),
    )
