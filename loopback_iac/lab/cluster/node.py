"""A worker of the lab as a node of its cluster: containerd, the kubelet, a bridge for the pods."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopback_iac.lab.boot import CLUSTER
from loopback_iac.lab.cluster.binaries import binary
from loopback_iac.lab.cluster.control import API_SERVICE
from loopback_iac.lab.cluster.images import pause_image
from loopback_iac.lab.paths import LabError, cluster_root
from loopback_iac.lab.seeds import SeedFile, enabled
from loopback_iac.lab.templating import read, render
from loopback_iac.lab.topology import CORE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from loopback_iac.lab.cluster.control import ControlPlane
    from loopback_iac.lab.cluster.images import ContainerImage
    from loopback_iac.lab.instance import Lab
    from loopback_iac.lab.seeds import Seed
    from loopback_iac.lab.topology import Topology

_UNITS = "etc/systemd/system"
_PATIENCE_S = 60.0
_DAEMONS = ("node-ground", "containerd", "kubelet")
_ENABLED = {
    **enabled("node-ground.service", f"/{_UNITS}"),
    **enabled("kubelet.service", f"/{_UNITS}"),
    **enabled("containerd.service"),
}


def node_seed(plane: ControlPlane, topology: Topology, name: str) -> Seed:
    """
    What makes a worker's disk a node's: its own identity, and the daemons that use it.

    Raises: LabError when the kubelet is not built.
    """
    plane.prepare()
    pki, address = plane.pki, node_address(topology, name)
    kubeconfig = pki.kubeconfig(f"system:node:{name}", ("system:nodes",))
    certificate, key = pki.server_files(f"kubelet-{name}", [name, address])
    values = {
        "kubelet": inside(binary("kubelet")),
        "name": name,
        "address": address,
        "api": f"{plane.address}:{plane.port}",
        "service": API_SERVICE,
        "pause": pause_image().reference,
    }
    return {
        "etc/kubernetes/kubeconfig": SeedFile(kubeconfig.read_text(), 0o600),
        "etc/kubernetes/ca.pem": SeedFile(pki.ca.read_text()),
        "etc/kubernetes/kubelet.crt": SeedFile(certificate.read_text()),
        "etc/kubernetes/kubelet.key": SeedFile(key.read_text(), 0o600),
        "etc/kubernetes/kubelet.yaml": SeedFile(read("node-kubelet.yaml")),
        "etc/containerd/config.toml": SeedFile(render("node-containerd.toml.j2", **values)),
        "etc/loopback-lab/pods.conflist": SeedFile(read("node-pods.conflist")),
        "etc/loopback-lab/api.nft": SeedFile(render("node-api.nft.j2", **values)),
        "etc/loopback-lab/node-ground.sh": SeedFile(read("node-ground.sh")),
        f"{_UNITS}/kubelet.service": SeedFile(render("node-kubelet.service.j2", **values)),
        f"{_UNITS}/node-ground.service": SeedFile(read("node-ground.service")),
        **({} if topology.host(name).spare else _ENABLED),
    }


def node_address(topology: Topology, name: str) -> str:
    """
    Where the API server and other nodes find a node.

    Raises: LabError when it has no IPv4 address.
    """
    end = topology.uplink(name)
    if end.v4 is None:
        raise LabError(f"{name} has no IPv4 address: a node of the lab needs one")
    return str(end.v4.ip)


def inside(path: Path) -> str:
    """What a node calls a file of the cluster's cache."""
    return f"{CLUSTER}/{path.relative_to(cluster_root())}"


@dataclass(frozen=True)
class Node:
    """One worker of a running lab whose topology has nodes."""

    lab: Lab
    plane: ControlPlane
    name: str

    def join(self, images: Iterable[ContainerImage]) -> None:
        """
        Have a machine that is delivered become a node, and wait until it is one.

        Raises: LabError with what does not start.
        """
        # images first: a kubelet without them asks a registry, and waits for it
        self._run(self.name, ["systemctl", "enable", "--now", *_DAEMONS[:-1]])
        self.load([pause_image(), *images])
        self._run(self.name, ["systemctl", "enable", "--now", _DAEMONS[-1]])
        self.await_ready()

    def leave(self) -> None:
        """
        Have a node that was drained and deleted not come back when it boots again.

        Raises: LabError with the complaint of systemd.
        """
        self._run(self.name, ["systemctl", "disable", *_DAEMONS])

    def load(self, images: Iterable[ContainerImage]) -> None:
        """
        Put images into the node's store, for none is ever pulled; those that are there stay.

        Raises: LabError with the complaint of containerd.
        """
        known = set(self._ctr("images", "ls", "-q").split())
        for image in images:
            if image.reference not in known:
                self._ctr("images", "import", "--no-unpack", inside(image.archive()))

    def await_ready(self, timeout_s: float = _PATIENCE_S) -> None:
        """
        Wait until the API says Ready, and let the lab's core know where its pods are.

        Raises: LabError with the kubelet's last words.
        """
        deadline = time.monotonic() + timeout_s
        while not (pods := self._ready()):
            if time.monotonic() > deadline:
                words = ["journalctl", "--no-pager", "-n", "8", "-o", "cat", "-u", "kubelet"]
                said = self._run(self.name, words)
                raise LabError(f"node {self.name} is not ready after {timeout_s:.0f} s\n{said}")
            time.sleep(0.1)
        address = node_address(self.lab.topology, self.name)
        # a hoster's routers would know, or an overlay would carry it
        self._run(CORE, ["ip", "route", "replace", pods, "via", address])

    def _ready(self) -> str:
        """The network of its pods once it is ready, else nothing."""
        try:
            node: dict[str, Any] = self.plane.get(f"/api/v1/nodes/{self.name}")
        except (OSError, LabError):
            return ""
        conditions = {c["type"]: c["status"] for c in node["status"].get("conditions", ())}
        return str(node["spec"].get("podCIDR", "")) if conditions.get("Ready") == "True" else ""

    def _ctr(self, *words: str) -> str:
        return self._run(self.name, ["ctr", "--namespace=k8s.io", *words])

    def _run(self, host: str, argv: list[str]) -> str:
        done = self.lab.exec(host, argv, timeout_s=120)
        if done.returncode:
            complaint = (done.stderr or done.stdout).strip()
            raise LabError(f"{host}: `{' '.join(argv)}` failed: {complaint}")
        return done.stdout
