"""The cluster of a lab: its control plane beside the fleet, its nodes on the fleet's workers."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopback_iac.lab.cluster.binaries import binary
from loopback_iac.lab.cluster.control import ControlPlane
from loopback_iac.lab.cluster.images import pause_image
from loopback_iac.lab.cluster.node import Node
from loopback_iac.lab.namespaces import enter
from loopback_iac.lab.paths import LabError
from loopback_iac.lab.topology import CONTROL_PLANE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loopback_iac.lab.cluster.images import ContainerImage
    from loopback_iac.lab.instance import Lab
    from loopback_iac.lab.paths import InstancePaths
    from loopback_iac.lab.topology import Topology


@dataclass(frozen=True)
class Cluster:
    """The cluster of one running lab."""

    lab: Lab
    plane: ControlPlane

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The workers that are nodes from the start."""
        hosts = self.lab.topology.hosts
        return tuple(self.node(h.name) for h in hosts if h.node and not h.spare)

    def node(self, name: str) -> Node:
        """A machine that is a node, or can become one."""
        return Node(self.lab, self.plane, name)

    def up(self, images: Iterable[ContainerImage] = ()) -> None:
        """
        Start what does not run, load images, wait until every node is Ready.

        Raises: LabError naming what does not come up.
        """
        wanted = [pause_image(), *images]
        for image in wanted:
            image.archive()
        self.plane.up()
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda node: node.load(wanted), self.nodes))
            list(pool.map(lambda node: node.await_ready(), self.nodes))

    def kubectl(self, *words: str, text: str | None = None, timeout_s: float = 120) -> str:
        """
        Run kubectl as administrator, in the network of the control plane.

        Raises: LabError with its complaint.
        """
        argv = [*enter(self.lab.paths, CONTROL_PLANE), str(binary("kubectl"))]
        done = subprocess.run(
            [*argv, f"--kubeconfig={self.plane.kubeconfig}", *words],
            input=text,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if done.returncode:
            raise LabError(f"kubectl {' '.join(words)}: {done.stderr.strip() or done.stdout}")
        return done.stdout


def control_plane(paths: InstancePaths, topology: Topology) -> ControlPlane:
    """
    The control plane that a topology has a place for.

    Raises: LabError when it has none.
    """
    if not any(host.name == CONTROL_PLANE for host in topology.hosts):
        raise LabError(
            f"lab {paths.name!r} has topology {topology.name!r}, which has no control plane\n"
            f"  fix: loopback lab up --cluster, with a --name of its own"
        )
    end = topology.uplink(CONTROL_PLANE)
    if end.v4 is None:
        raise LabError(f"{CONTROL_PLANE} has no IPv4 address")
    return ControlPlane(paths, str(end.v4.ip))


def open_cluster(lab: Lab) -> Cluster:
    """
    The cluster of a lab that was brought up.

    Raises: LabError when its topology has none.
    """
    return Cluster(lab, control_plane(lab.paths, lab.topology))
