"""What of a stand-in cloud stands in the lab: cables, hosts, firewall, metadata service."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from loopback_iac.lab import boot, cgroups, namespaces
from loopback_iac.lab.cloud import metadata
from loopback_iac.lab.cloud.book import Shelf
from loopback_iac.lab.cloud.filters import render_filters
from loopback_iac.lab.cloud.growth import neighbourhood
from loopback_iac.lab.cloud.seed import render_server_seed
from loopback_iac.lab.keys import ensure_certificates
from loopback_iac.lab.paths import LabError
from loopback_iac.lab.seeds import render_workload
from loopback_iac.lab.topology import CLOUDS
from loopback_iac.lab.wiring import render_end

if TYPE_CHECKING:
    from pathlib import Path

    from loopback_iac.lab.cloud.book import Book, Machine
    from loopback_iac.lab.paths import InstancePaths
    from loopback_iac.lab.topology import Topology

# The label that an order of a worker bears: the customer's own software is on its disk, as an image
# of the customer's would bring it, for the library brings none.
ROLE, WORKER = "role", "worker"
_DEADLINE_S = 60.0
_AGAIN_S = 0.05
# Card at the router, and an address that was sent there.
Gone = list[tuple[str, str]]
_SHUTDOWN_S = 5.0


class Ground:
    """One lab under the clouds."""

    def __init__(self, paths: InstancePaths, base: Topology, image: Path) -> None:
        self.paths, self._base, self.image = paths, base, image

    def name_host(self, wanted: str, ident: str) -> str:
        """
        What a server is called in the lab: its own name, unless some host has that one.

        Out: at most 40 characters, as names of namespaces and machines are limited.
        """
        taken = {host.name for host in self._base.hosts}
        shelf = Shelf(self.paths)
        for cloud in ("hcloud", "ionoscloud"):
            taken |= shelf.read(cloud).machines.keys()
        plain = wanted.lower()[:40].strip("-.")
        return plain if plain and plain not in taken else f"{plain[:30]}-{ident[:8]}"

    def place(self, book: Book, machine: Machine) -> None:
        """Put a new server's disk and cables into the lab; `start` boots it."""
        machine.machine_id = secrets.token_hex(16)
        book.machines[machine.host] = machine
        seed = render_server_seed(machine)
        if machine.labels.get(ROLE) == WORKER:
            seed |= render_workload(ensure_certificates(self.paths)[1])
        boot.prepare_disk(self.paths, machine.host, self.image, seed)
        self.plug(book, machine)

    def plug(self, book: Book, machine: Machine) -> None:
        """Plug in the cables of a server that is off, and put the firewall before it."""
        near = neighbourhood(self._base, machine)
        if not boot.runs(self.paths, machine.host):
            # cables of an earlier start may have other addresses
            namespaces.remove_namespace(self.paths, near, machine.host)
        if not machine.dark:
            # without a host's own kernel behind it, an address would still answer
            namespaces.wire(self.paths, near)
        self.filter(book, machine.cloud)
        machine.on = True

    def start(self, machine: Machine) -> None:
        """
        Boot a server, and return when its own PID 1 runs: what a cloud calls running.

        Raises: LabError with the end of its console when it does not.
        """
        self._serve_metadata(machine.cloud)
        if machine.dark:
            return
        boot.start(self.paths, machine.host, self.image)
        deadline = time.monotonic() + _DEADLINE_S
        while cgroups.leader(self.paths, machine.host) is None:
            if time.monotonic() > deadline:
                said = boot.console_tail(self.paths, machine.host)
                raise LabError(f"{machine.host} does not boot\n{said}")
            time.sleep(_AGAIN_S)

    def shut_down(self, machine: Machine) -> None:
        """
        Ask a server to power off, and wait a little: a cloud then ends it all the same.

        Sources: systemd(1): SIGRTMIN+4 powers off; terraform-provider-hcloud makes 5 checks.
        """
        first = cgroups.leader(self.paths, machine.host)
        if first is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(first, signal.SIGRTMIN + 4)
        deadline = time.monotonic() + _SHUTDOWN_S
        while cgroups.leader(self.paths, machine.host) and time.monotonic() < deadline:
            time.sleep(_AGAIN_S)

    def switch_off(self, machine: Machine) -> None:
        """Power off at once: cables first, as `Lab.power_off`."""
        near = neighbourhood(self._base, machine)
        namespaces.remove_namespace(self.paths, near, machine.host)
        cgroups.kill(self.paths, machine.host)
        machine.on = False

    def remove(self, book: Book, machine: Machine) -> None:
        """Take a server with its disk out of the lab."""
        self.switch_off(machine)
        cgroups.remove(self.paths, machine.host)
        boot.remove_disk(self.paths, machine.host)
        del book.machines[machine.host]
        self.filter(book, machine.cloud)

    def filter(self, book: Book, cloud: str) -> None:
        """Make the cloud's firewall what its book says."""
        text = render_filters(book.machines.values())
        namespaces.run([*namespaces.enter(self.paths, cloud), "nft", "-f", "-"], text)

    def reroute(self, machine: Machine, gone: Gone, *, leased: bool = False) -> None:
        """
        Bring a running server's cables and routes in line with its ports.

        In: gone, addresses that are sent to it no longer; leased: the card loses them as well, as
        with a DHCP lease that ended.
        """
        if not machine.on or machine.dark:
            return
        near = neighbourhood(self._base, machine)
        namespaces.wire(self.paths, near)
        for link in near.links_of(machine.host):
            inside, outside = link.end(machine.host), link.other(machine.host)
            lost = [route for port, route in gone if port == outside.interface]
            router = self.paths.namespace(machine.cloud)
            for route in lost:
                # another server may have it already, and with it the route
                _try(router, f"route delete {route} dev {outside.interface}")
            namespaces.ip_batch(router, render_end(outside))
            for route in lost if leased else ():
                # the server may have taken it off by itself
                ended = f"address delete {route} dev {inside.interface}"
                _try(self.paths.namespace(machine.host), ended)
            if lost and leased:
                namespaces.ip_batch(self.paths.namespace(machine.host), render_end(inside))

    def unplug_ports(self, machine: Machine, ports: set[str]) -> None:
        """Take cables of a running server away; both ends of each vanish."""
        there = namespaces.seen_in(self.paths, machine.cloud).interfaces & ports
        lines = [f"link delete {port}" for port in sorted(there)]
        if lines:
            namespaces.ip_batch(self.paths.namespace(machine.cloud), lines)

    def _serve_metadata(self, cloud: str) -> None:
        """Have the cloud's metadata service answer; it ends with the lab."""
        name = self.paths.namespace(cloud)
        nets = next(known for known in CLOUDS if known.name == cloud)
        # addresses that no server has are silent, and do not go in a circle with the core
        lines = [f"route replace blackhole {net}" for net in (nets.v4, nets.v6)]
        namespaces.ip_batch(name, [f"address replace {metadata.ADDRESS}/32 dev lo", *lines])
        inside = namespaces.enter(self.paths, cloud)
        program = [sys.executable, "-I", metadata.__file__, str(Shelf(self.paths).file(cloud))]
        deadline = time.monotonic() + _DEADLINE_S
        while not self._listens(cloud):
            if time.monotonic() > deadline:
                raise LabError(f"the metadata service of {cloud} does not start")
            if not cgroups.pids(self.paths, cloud):
                # a second one finds the port taken and ends
                join = cgroups.ensure_cgroup(self.paths, cloud)
                subprocess.run(
                    ["setsid", "--fork", *join, *inside, *program],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    check=True,
                )
            time.sleep(_AGAIN_S)

    def _listens(self, cloud: str) -> bool:
        try:
            namespaces.connect(self.paths, cloud, metadata.ADDRESS, 80, 2).close()
        except OSError:
            return False
        return True


def _try(namespace: str, line: str) -> None:
    """What is gone already need not go."""
    with contextlib.suppress(LabError):
        namespaces.ip_batch(namespace, [line])
