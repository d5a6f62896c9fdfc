"""Nodes of a cluster as far as a gateway's keeper sees them: namespaces, a LAN, a real API server.

The keepers are real processes of the agent; what Cilium's agent says of its health is a file that a
web server shows.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import yaml

from loopback_iac.kube.gateway import render_gateway_access
from loopback_iac.lab import cgroups
from loopback_iac.lab.cluster.binaries import binary
from loopback_iac.lab.cluster.control import API, STORE, ControlPlane
from loopback_iac.lab.namespaces import enter, remove_namespaces, run
from loopback_iac.lab.paths import InstancePaths
from tests.cluster.keepers import GROUP, LABEL, POLICY, USER, Keepers, until

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

LAN = "198.18.77."
LAN6 = "2001:db8:77::"
CONTROL = "control"
NODES = ("w1", "w2", "w3")
ADDRESSES = ("198.18.77.100", "2001:db8:77::100")
_CRD = "ciliumegressgatewaypolicies"


class Ground(Keepers):
    """One API server and some nodes on a LAN; every process and namespace ends with it."""

    def __init__(self, name: str, folder: Path, lease_ms: int) -> None:
        nodes = {node: f"{LAN}{at}" for at, node in enumerate(NODES, 2)}
        plane = ControlPlane(InstancePaths(name), f"{LAN}1", CONTROL)
        super().__init__(plane, folder, nodes, ADDRESSES)
        self.lease_ms = lease_ms

    def up(self) -> None:
        """Wire, start the API server, declare what gateways need."""
        self.down()
        self._wire()
        self.plane.prepare()
        self.plane.start(STORE)
        self.plane.start(API)
        self.plane.await_ready()
        self._declare()
        self.pack()
        for node in NODES:
            self.heal_agent(node)

    def down(self) -> None:
        """Everything goes; twice is as good as once."""
        self.end()
        cgroups.kill(self.paths)
        cgroups.remove(self.paths)
        remove_namespaces(self.paths)
        shutil.rmtree(self.paths.root, ignore_errors=True)

    def _wire(self) -> None:
        for at, host in enumerate((CONTROL, *NODES)):
            space = self.paths.namespace(host)
            run(["ip", "netns", "add", space])
            run(["ip", "-netns", space, "link", "set", "lo", "up"])
            if host == CONTROL:
                run(["ip", "-netns", space, "link", "add", "lan", "type", "bridge"])
                end = "lan"
            else:
                self._cable(space, host)
                end = "eth0"
            # an address of documentation on the bridge that has no neighbour to collide with
            run(["ip", "-netns", space, "addr", "add", f"{LAN}{at + 1}/24", "dev", end])
            v6 = [f"{LAN6}{at + 1}/64", "dev", end, "nodad"]
            run(["ip", "-netns", space, "addr", "add", *v6])
            run(["ip", "-netns", space, "link", "set", end, "up"])

    def _cable(self, space: str, host: str) -> None:
        control = self.paths.namespace(CONTROL)
        pair = ["type", "veth", "peer", "name", "eth0", "netns", space]
        run(["ip", "-netns", control, "link", "add", host, *pair])
        run(["ip", "-netns", control, "link", "set", host, "master", "lan", "up"])

    def cut(self, node: str, *, off: bool = True) -> None:
        """Take a node's cable out, or put it back."""
        space = self.paths.namespace(CONTROL)
        run(["ip", "-netns", space, "link", "set", node, "down" if off else "up"])

    # the API

    def kubectl(self, *words: str, text: str | None = None) -> str:
        """As administrator, in the network of the API server."""
        argv = [*enter(self.paths, CONTROL), str(binary("kubectl"))]
        argv += [f"--kubeconfig={self.plane.kubeconfig}", *words]
        done = subprocess.run(
            argv, check=False, input=text, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def may(self, verb: str, what: str) -> bool:
        """Whether the keepers' credential may do something."""
        kind, _, name = what.partition("/")
        group, _, resource = kind.partition(".")[::-1]
        asked = {"verb": verb, "resource": resource or group, "group": group if resource else ""}
        asked |= {"name": name} if name else {}
        asked |= {"namespace": "kube-system"} if "leases" in what else {}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": USER, "resourceAttributes": asked},
        }
        text = json.dumps(review)
        told = json.loads(self.kubectl("create", "-o", "json", "-f", "-", text=text))
        return bool(told["status"]["allowed"])

    def _declare(self) -> None:
        crd = binary("cilium-crds") / "v2" / f"{_CRD}.yaml"
        self.kubectl("apply", "--server-side", "-f", str(crd))
        self.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        made = [yaml.safe_dump(each) for each in render_gateway_access(self.gateways())]
        for node in NODES:
            labels = f"{{kubernetes.io/hostname: {node}}}"
            about = f"metadata: {{name: {node}, labels: {labels}}}"
            made.append(f"apiVersion: v1\nkind: Node\n{about}\n")
        self.kubectl("apply", "-f", "-", text="---\n".join(made))
        self.declare(["192.0.2.0/24"])

    def declare(self, destinations: list[str], address: str = ADDRESSES[0]) -> None:
        """The policy, as whoever declares it applies it; who is named in it is not theirs."""
        policy = {
            "apiVersion": "cilium.io/v2",
            "kind": "CiliumEgressGatewayPolicy",
            "metadata": {"name": POLICY},
            "spec": {
                "selectors": [{"podSelector": {"matchLabels": {"app": "web"}}}],
                "destinationCIDRs": destinations,
                "egressGateway": {
                    "nodeSelector": {"matchLabels": {LABEL: GROUP}},
                    "egressIP": address,
                },
            },
        }
        argv = ["apply", "--server-side", "--field-manager=program", "-f", "-"]
        self.kubectl(*argv, text=json.dumps(policy))

    # nodes

    def sick_agent(self, node: str) -> None:
        """Cilium's agent of a node says that it is not well."""
        (self.folder / node / "web" / "healthz").unlink()

    def heal_agent(self, node: str) -> None:
        """It is well."""
        web = self.folder / node / "web"
        web.mkdir(parents=True, exist_ok=True)
        (web / "healthz").write_text("ok\n")
        if f"{node}-web" not in self.processes:
            argv = [*enter(self.paths, node), sys.executable, "-m", "http.server", "9879"]
            argv += ["--bind", "127.0.0.1", "-d", str(web)]
            null = subprocess.DEVNULL
            self.processes[f"{node}-web"] = subprocess.Popen(argv, stdout=null, stderr=null)

    # what is seen

    def policy(self) -> dict[str, Any]:
        """The policy as it is."""
        told = self.kubectl("get", f"{_CRD}/{POLICY}", "-o", "json")
        return dict(json.loads(told))


class Watch:
    """Whom the policy names, as the API server tells every change of it; see `named`.

    `named`: epoch and node, in the order in which they were written.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.named: list[tuple[int, str]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        until(lambda: bool(self.named), "the watch of the policy", 60)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        """It ends with the API server, and begins anew."""
        argv = [*enter(self._ground.paths, CONTROL), str(binary("kubectl"))]
        argv += [f"--kubeconfig={self._ground.plane.kubeconfig}", "get"]
        argv += [f"{_CRD}/{POLICY}"]
        argv += ["--watch", "--output-watch-events", "-o", f"jsonpath={_LINE}"]
        while not self._ended.is_set():
            out, null = subprocess.PIPE, subprocess.DEVNULL
            with subprocess.Popen(argv, stdout=out, stderr=null, text=True) as process:
                self._read(process)
            time.sleep(0.1)

    def _read(self, process: subprocess.Popen[str]) -> None:
        stop = threading.Thread(target=lambda: (self._ended.wait(), process.kill()))
        stop.daemon = True
        stop.start()
        for line in process.stdout or ():
            # one without an epoch was named by another group, or by hand
            epoch, _, node = line.rstrip("\n").partition(" ")
            found = (int(epoch or 0), node)
            if found not in self.named[-1:]:
                self.named.append(found)


# one line for each event: epoch and node
_EPOCH = "{.object.metadata.annotations.loopback-iac/egress-epoch\\." + GROUP + "}"
_CHOSEN = "{.object.spec.egressGateways[0].nodeSelector.matchLabels.kubernetes\\.io/hostname}"
_LINE = _EPOCH + " " + _CHOSEN + '{"\\n"}'
