"""Faults, each undone without a trace: carrier loss, silence, lost packets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from loopback_iac.lab.namespaces import enter, ip_batch, run
from loopback_iac.lab.topology import ROUTERS
from loopback_iac.lab.wiring import render_addresses

if TYPE_CHECKING:
    from loopback_iac.lab.paths import InstancePaths
    from loopback_iac.lab.topology import Topology


def set_carrier(
    paths: InstancePaths, topology: Topology, host: str, upstream: str, *, up: bool
) -> None:
    """
    Take the light off a link at the upstream's side, or give it back.

    Out: the host sees its interface lose carrier; its own settings stay.
    """
    end = topology.link(host, upstream).end(upstream)
    lines = [f"link set {end.interface} {'up' if up else 'down'}"]
    if up:
        # `down` took the IPv6 addresses of the upstream's end away
        lines += render_addresses(end)
    ip_batch(paths.namespace(upstream), lines)


def set_silence(paths: InstancePaths, topology: Topology, host: str, *, silent: bool) -> None:
    """
    Drop every frame on all links of a host, both directions, every protocol; carrier stays.

    Out: a table at each neighbour's side; the host itself is not touched and sees nothing.
    """
    _set_drops(paths, topology, host, "drop" if silent else "")


def set_loss(paths: InstancePaths, topology: Topology, host: str, *, one_in: int) -> None:
    """
    Drop one of so many frames on all links of a host, by chance, both directions.

    In: one_in, 0 for none; it takes the place of a silence.
    """
    _set_drops(paths, topology, host, f"numgen random mod {one_in} 0 drop" if one_in else "")


def _set_drops(paths: InstancePaths, topology: Topology, host: str, rule: str) -> None:
    # at once, not one after the other: a silence has one beginning
    with ThreadPoolExecutor() as pool:
        done = [
            pool.submit(
                run,
                [*enter(paths, neighbour), "nft", "-f", "-"],
                render_drops(host, interfaces, rule),
            )
            for neighbour, interfaces in _neighbours(topology, host).items()
        ]
        for each in done:
            each.result()


def render_drops(host: str, interfaces: list[str], rule: str) -> str:
    """
    One nftables transaction for a neighbour's namespace; repeating it changes nothing.

    In: rule, for every frame of the host; empty takes the table away.
    """
    table = _table(host)
    # `destroy` needs nft 1.0.7: adding first makes the deletion succeed on older ones
    text = f"add table netdev {table}\ndelete table netdev {table}\n"
    if not rule:
        return text
    devices = ", ".join(f'"{name}"' for name in interfaces)
    chains = "".join(
        f"  chain {hook} {{\n    type filter hook {hook} devices = {{ {devices} }} priority -500;\n"
        f"    {rule}\n  }}\n"
        for hook in ("ingress", "egress")
    )
    return f"{text}table netdev {table} {{\n{chains}}}\n"


def silenced(paths: InstancePaths, topology: Topology) -> set[str]:
    """Hosts with a silence or a loss in force somewhere."""
    named = {_table(host.name): host.name for host in topology.hosts}
    found = set()
    for router in topology.having(*ROUTERS):
        listed = run([*enter(paths, router.name), "nft", "list", "tables", "netdev"])
        found |= {named[name] for name in listed.split() if name in named}
    return found


def _neighbours(topology: Topology, host: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for link in topology.links_of(host):
        there = link.other(host)
        found.setdefault(there.host, []).append(there.interface)
    return found


def _table(host: str) -> str:
    return f"silence_{host.replace('-', '_')}"
