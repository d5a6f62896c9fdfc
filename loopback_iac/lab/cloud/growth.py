"""Servers of the stand-in clouds as hosts and links of the lab's topology."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface, IPv6Interface
from typing import TYPE_CHECKING

from loopback_iac.lab.cloud.book import Shelf
from loopback_iac.lab.topology import CLOUDS, End, Host, Link, Net, Role, Topology

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loopback_iac.lab.cloud.book import Machine, Port
    from loopback_iac.lab.paths import InstancePaths


def grow(paths: InstancePaths, base: Topology) -> Topology:
    """
    A lab's topology with the servers that its clouds have now.

    Out: the base itself when there are none.
    """
    shelf = Shelf(paths)
    if not shelf.folder.is_dir():
        return base
    there = {host.name for host in base.hosts}
    machines = [
        machine
        for cloud in CLOUDS
        if cloud.name in there
        for machine in shelf.read(cloud.name).machines.values()
    ]
    return add_machines(base, machines) if machines else base


def add_machines(base: Topology, machines: Iterable[Machine]) -> Topology:
    """A topology with these servers in it."""
    hosts, links = list(base.hosts), list(base.links)
    nets = {net.name: net for net in base.nets}
    for machine in machines:
        hosts.append(Host(machine.host, Role.SERVER))
        for port in machine.ports:
            links.append(_link(machine, port))
            if port.bridge:
                nets[port.bridge] = Net(port.bridge, host=machine.cloud)
    return replace(base, hosts=tuple(hosts), nets=tuple(nets.values()), links=tuple(links))


def neighbourhood(base: Topology, machine: Machine) -> Topology:
    """A server and its cloud's router alone: what has to be wired for it."""
    router = replace(base, hosts=(base.host(machine.cloud),), nets=(), links=())
    return add_machines(router, [machine])


def _link(machine: Machine, port: Port) -> Link:
    outside = End(
        machine.cloud,
        port.outside,
        _v4(port.router4),
        _v6(port.router6),
        bridge=port.bridge,
        routes=tuple(port.routes),
    )
    inside = End(
        machine.host,
        port.interface,
        _v4(port.v4),
        _v6(port.v6),
        port.gateway4,
        port.gateway6,
        mac=port.mac,
    )
    return Link(outside, inside)


def _v4(text: str) -> IPv4Interface | None:
    return IPv4Interface(text) if text else None


def _v6(text: str) -> IPv6Interface | None:
    return IPv6Interface(text) if text else None
