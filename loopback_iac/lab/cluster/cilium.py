"""Real Cilium agents, each in a network namespace of its own: the ground egress is tried on.

    cp ---+           pods --- c1 ---+
          +--- bridge in cp ---------+--- outside
          |           pods --- c2 ---+

An agent has its own /run, /sys and BPF file system. A process that does nothing holds them, so that
what the agent put into the kernel outlives the agent, as on a real host.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loopback_iac.lab import cgroups
from loopback_iac.lab.cluster.binaries import binary
from loopback_iac.lab.cluster.control import API, STORE, ControlPlane
from loopback_iac.lab.cluster.sysctls import preserved
from loopback_iac.lab.namespaces import (
    enter,
    exists,
    ip_batch,
    machine_lock,
    remove_namespaces,
    run,
)
from loopback_iac.lab.paths import InstancePaths, LabError, cache_root
from loopback_iac.lab.topology import CONTROL_PLANE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

OUTSIDE = "outside"
# Nodes and what is outside share a segment; what pods ask for is behind the outside's own address.
API_ADDRESS, OUTSIDE_GATEWAY, SERVER = "172.31.0.254", "172.31.0.253", "198.51.100.1"
# Addresses that gateways carry: on the segment's wire, in nobody's subnet.
EGRESS = "192.0.2.0/24"
TOOLS = {"clang-19": "clang-19", "ccache": "ccache", "iptables": "iptables"}
_PATIENCE_S = 120.0
_STARTED_S = 2.0
_CRDS = ("CiliumEgressGatewayPolicy", "CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy")
# The agent compiles its programs at every start, and pods wait for it. It has the compiler write to
# standard output, which ccache does not keep.
_CLANG = """\
#!/bin/bash
[ "${*: -2}" = "-o -" ] || exec clang-19 "$@"
made=$(mktemp) && ccache clang-19 "${@:1:$#-2}" -o "$made" && cat "$made" && rm "$made"
"""
# The agent's file systems, then whoever holds them. Sources have the same path in each, for ccache.
_HOLD = """\
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mount -t sysfs sysfs /sys
mount -t bpf bpf /sys/fs/bpf
mkdir -p /run/cilium/cgroupv2 /run/bin /run/lib
cp -r "$2" /run/lib/bpf
chmod -R u+w /run/lib/bpf
cat > /run/bin/clang
chmod 755 /run/bin/clang
touch "$1"
exec sleep infinity
"""


@dataclass
class Agent:
    """One node of the ground: an agent, its namespace, its address on the segment."""

    paths: InstancePaths
    name: str
    number: int
    export: Path
    holder: int = 0

    @property
    def address(self) -> str:
        """The node's own."""
        return f"172.31.0.{self.number}"

    @property
    def pods(self) -> str:
        """Network of its pods."""
        return f"10.244.{self.number}.0/24"

    @property
    def folder(self) -> Path:
        """Its logs."""
        return self.paths.root / "cilium" / self.name

    @property
    def log(self) -> Path:
        """What the agent says."""
        return self.folder / "agent.log"

    def inside(self) -> list[str]:
        """Argv prefix: in the node's network and file systems."""
        environment = [
            "env",
            "PATH=/run/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
            f"CCACHE_DIR={cache_root() / 'cluster' / 'ccache'}",
        ]
        return ["nsenter", f"--target={self.holder}", "--mount", "--net", "--cgroup", *environment]

    def dbg(self, *words: str) -> str:
        """Ask the agent by `cilium-dbg`."""
        return run([*self.inside(), str(binary("cilium-dbg")), *words])

    def carry(self, address: str) -> None:
        """Put an address of a gateway on the node."""
        ip_batch(self.paths.namespace(self.name), [f"address replace {address}/32 dev eth0"])

    def drop(self, address: str) -> None:
        """Take it away again."""
        ip_batch(self.paths.namespace(self.name), [f"address delete {address}/32 dev eth0"])

    def addresses(self) -> list[str]:
        """What the node has on the segment, its own and those it carries."""
        listed = run(["ip", "-netns", self.paths.namespace(self.name), "-json", "address"])
        return [
            each["local"]
            for link in json.loads(listed)
            if link["ifname"] == "eth0"
            for each in link["addr_info"]
        ]

    def egress_map(self) -> list[dict[str, str]]:
        """What the datapath has: source, destination, egress address, gateway."""
        found: list[dict[str, str]] = json.loads(self.dbg("bpf", "egress", "list", "-o", "json"))
        return found

    def start(self, kubeconfig: Path) -> None:
        """Start the agent; `await_ready` tells when it works."""
        placed = cgroups.ensure_cgroup(self.paths, f"{self.name}/agent")
        options = [f"--{key}={value}" for key, value in self._options(kubeconfig).items()]
        inside = [*self.inside(), f"K8S_NODE_NAME={self.name}"]
        with self.log.open("ab") as log:
            subprocess.run(
                ["setsid", "--fork", *placed, *inside, str(binary("cilium-agent")), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=True,
            )

    def kill(self) -> None:
        """SIGKILL the agent; what it put into the kernel stays."""
        cgroups.kill(self.paths, f"{self.name}/agent")

    def await_ready(self) -> None:
        """
        Wait until the agent says that it works.

        Raises: LabError with its last errors.
        """
        begun = time.monotonic()
        while True:
            # it answers before it is ready, and not at all at first
            with contextlib.suppress(LabError):
                if self.dbg("status", "--brief").strip() == "OK":
                    return
            waited = time.monotonic() - begun
            # it is in its cgroup a moment after it was started
            died = waited > _STARTED_S and not self._pids("agent")
            if died or waited > _PATIENCE_S:
                lines = self.log.read_text(errors="replace").splitlines()
                bad = [line for line in lines if "level=error" in line or "level=fatal" in line]
                said = "\n  ".join((bad or lines)[-6:])
                raise LabError(f"cilium-agent of {self.name} does not come up\n  {said}")
            time.sleep(0.2)

    def hold(self) -> None:
        """Make the agent's file systems and whoever holds them."""
        ready = self.folder / "held"
        ready.unlink(missing_ok=True)
        placed = cgroups.ensure_cgroup(self.paths, f"{self.name}/holder")
        alone = ["unshare", "--mount", "--cgroup", "--propagation", "unchanged"]
        argv = [*placed, *enter(self.paths, self.name), *alone, "sh", "-c", _HOLD, "sh"]
        subprocess.run(
            ["setsid", "--fork", *argv, str(ready), str(binary("cilium-bpf"))],
            input=_CLANG,
            text=True,
            check=True,
        )
        begun = time.monotonic()
        while not ready.exists():
            if time.monotonic() - begun > _STARTED_S and not self._pids("holder"):
                raise LabError(f"{self.name}: its file systems were not mounted; see above")
            time.sleep(0.02)
        self.holder = self._pids("holder")[0]

    def _pids(self, part: str) -> list[int]:
        return cgroups.pids(self.paths, f"{self.name}/{part}")

    def _options(self, kubeconfig: Path) -> dict[str, str]:
        return {
            "k8s-kubeconfig-path": str(kubeconfig),
            "lib-dir": "/run/lib",
            "state-dir": "/run/cilium",
            "bpf-root": "/sys/fs/bpf",
            "cgroup-root": "/run/cilium/cgroupv2",
            "ipam": "kubernetes",
            "enable-ipv6": "false",
            "routing-mode": "tunnel",
            "tunnel-protocol": "vxlan",
            "devices": "eth0",
            "identity-allocation-mode": "crd",
            "kube-proxy-replacement": "true",
            "enable-bpf-masquerade": "true",
            "enable-ipv4-masquerade": "true",
            "enable-egress-gateway": "true",
            "enable-l7-proxy": "false",
            "enable-health-checking": "false",
            "enable-endpoint-health-checking": "false",
            "enable-hubble": "true",
            "hubble-disable-tls": "true",
            "hubble-export-file-path": str(self.export),
            "hubble-export-file-max-backups": "5",
        }


@dataclass
class Ground:
    """Control plane, agents and the outside of one instance; made by `ground`."""

    paths: InstancePaths
    plane: ControlPlane
    agents: dict[str, Agent] = field(default_factory=dict)

    def kubectl(self, *words: str, text: str | None = None) -> str:
        """
        Run kubectl as administrator.

        Raises: LabError with its complaint.
        """
        argv = [*enter(self.paths, CONTROL_PLANE), str(binary("kubectl"))]
        return run([*argv, f"--kubeconfig={self.plane.kubeconfig}", *words], text, timeout_s=120)

    def apply(self, *objects: object) -> None:
        """Server-side apply, strict about fields that nobody knows."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        argv = ["apply", "--server-side", "--force-conflicts", "--validate=strict"]
        self.kubectl(*argv, "-f", "-", text=json.dumps(listed))

    def up(self) -> None:
        """Start everything in an order that needs no retries."""
        self._wire()
        self.plane.prepare()
        for part in (STORE, API):
            self.plane.start(part)
        for agent in self.agents.values():
            agent.folder.mkdir(parents=True, exist_ok=True)
            agent.hold()
        self.plane.await_ready()
        for version in ("v2", "v2alpha1"):
            folder = binary("cilium-crds") / version
            self.kubectl("apply", "--server-side", "-f", str(folder))
        conditions = [f"crd/{kind.lower().removesuffix('y')}ies.cilium.io" for kind in _CRDS]
        self.kubectl("wait", "--for=condition=Established", "--timeout=60s", *conditions)
        for agent in self.agents.values():
            # created, not applied: a status counts at creation only
            self.kubectl("create", "-f", "-", text=json.dumps(_node(agent)))
        for agent in self.agents.values():
            agent.start(self._kubeconfig())
        for agent in self.agents.values():
            agent.await_ready()

    def restart(self, name: str) -> None:
        """Start a killed agent again and wait for it."""
        self.agents[name].start(self._kubeconfig())
        self.agents[name].await_ready()

    def learn(self, address: str) -> None:
        """Have the outside forget which node has an address, as an announcement would."""
        # no entry is no error: whoever was never asked for is not known
        with contextlib.suppress(LabError):
            ip_batch(self.paths.namespace(OUTSIDE), [f"neighbour delete {address} dev eth0"])

    def _kubeconfig(self) -> Path:
        return self.plane.pki.kubeconfig("cilium", ("system:masters",))

    def _wire(self) -> None:
        for host in (CONTROL_PLANE, OUTSIDE, *self.agents):
            with machine_lock():
                self.paths.namespace_path(host).parent.mkdir(exist_ok=True)
                if not exists(self.paths, host):
                    run(["ip", "netns", "add", self.paths.namespace(host)])
            ip_batch(self.paths.namespace(host), ["link set lo up"])
        centre = self.paths.namespace(CONTROL_PLANE)
        ip_batch(
            centre,
            [
                "link add br0 type bridge",
                "link set br0 up",
                f"address add {API_ADDRESS}/24 dev br0",
            ],
        )
        for host in (OUTSIDE, *self.agents):
            peer = self.paths.namespace(host)
            ip_batch(
                centre,
                [
                    f"link add {host} type veth peer name eth0 netns {peer}",
                    f"link set {host} master br0 up",
                ],
            )
            own = self.agents[host].address if host in self.agents else OUTSIDE_GATEWAY
            ip_batch(peer, [f"address add {own}/24 dev eth0", "link set eth0 up"])
        for agent in self.agents.values():
            ip_batch(self.paths.namespace(agent.name), [f"route add default via {OUTSIDE_GATEWAY}"])
        ip_batch(
            self.paths.namespace(OUTSIDE),
            [f"address add {SERVER}/32 dev lo", f"route add {EGRESS} dev eth0"],
        )


def check_tools() -> None:
    """
    Refuse a machine that cannot carry an agent.

    Raises: LabError naming the packages.
    """
    packages = sorted(package for tool, package in TOOLS.items() if not shutil.which(tool))
    if packages:
        raise LabError(
            f"this machine lacks {', '.join(packages)}: Cilium's agent compiles its programs here"
            f"\n  fix: apt-get install {' '.join(packages)}"
        )


@contextlib.contextmanager
def ground(name: str, agents: Sequence[str], exports: Path) -> Iterator[Ground]:
    """
    Bring agents up, and take everything away at the end.

    In: name, of the instance; agents, names of the nodes; exports, a directory where each agent's
    Hubble leaves its records, one folder per node.
    Raises: LabError when something does not come up.
    """
    check_tools()
    paths = InstancePaths(name)
    made = Ground(paths, ControlPlane(paths, API_ADDRESS))
    for number, agent in enumerate(agents, 1):
        export = exports / agent / "flows.log"
        export.parent.mkdir(parents=True, exist_ok=True)
        made.agents[agent] = Agent(paths, agent, number, export)
    with preserved():
        remove(paths)
        try:
            made.up()
            yield made
        finally:
            remove(paths)


def remove(paths: InstancePaths) -> None:
    """Take away whatever is left of a ground; nothing is as good as all."""
    cgroups.kill(paths)
    remove_namespaces(paths)
    cgroups.remove(paths)
    shutil.rmtree(paths.root, ignore_errors=True)


def _node(agent: Agent) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": agent.name, "labels": {"kubernetes.io/hostname": agent.name}},
        "spec": {"podCIDR": agent.pods, "podCIDRs": [agent.pods]},
        "status": {"addresses": [{"type": "InternalIP", "address": agent.address}]},
    }
