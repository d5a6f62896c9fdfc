"""What of a stand-in cloud stands in the lab: cables, hosts, firewall, metadata service."""

from __future__ import annotations

import secrets
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
from loopback_iac.lab.paths import LabError
from loopback_iac.lab.topology import CLOUDS
from loopback_iac.lab.wiring import render_end

if TYPE_CHECKING:
    from pathlib import Path

    from loopback_iac.lab.cloud.book import Book, Machine
    from loopback_iac.lab.paths import InstancePaths
    from loopback_iac.lab.topology import Topology

_DEADLINE_S = 60.0
_AGAIN_S = 0.05


class Ground:
    """One lab under the clouds."""

    def __init__(self, paths: InstancePaths, base: Topology, image: Path) -> None:
        self.paths, self._base, self._image = paths, base, image

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
        boot.prepare_disk(self.paths, machine.host, self._image, render_server_seed(machine))
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
        boot.start(self.paths, machine.host, self._image)
        deadline = time.monotonic() + _DEADLINE_S
        while cgroups.leader(self.paths, machine.host) is None:
            if time.monotonic() > deadline:
                said = boot.console_tail(self.paths, machine.host)
                raise LabError(f"{machine.host} does not boot\n{said}")
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

    def reroute(self, machine: Machine, gone: list[str]) -> None:
        """Send the addresses of a running server to it, and those that are gone no longer."""
        if not machine.on:
            return
        near = neighbourhood(self._base, machine)
        for link in near.links_of(machine.host):
            outside = link.other(machine.host)
            if outside.interface == machine.ports[0].outside:
                lines = [f"route delete {route} dev {outside.interface}" for route in gone]
                namespaces.ip_batch(
                    self.paths.namespace(machine.cloud), [*lines, *render_end(outside)]
                )

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
