"""One agent of Cilium on the lab's machine, in a network namespace and file systems of its own."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopback_iac.lab import cgroups
from loopback_iac.lab.cluster.binaries import binary
from loopback_iac.lab.namespaces import enter, ip_batch, run
from loopback_iac.lab.paths import LabError, cache_root

if TYPE_CHECKING:
    from pathlib import Path

    from loopback_iac.lab.paths import InstancePaths

TOOLS = {"clang-19": "clang-19", "ccache": "ccache", "iptables": "iptables"}
_PATIENCE_S = 120.0
_STARTED_S = 2.0
# The agent compiles its programs at every start, and pods wait for it. It has the compiler write to
# standard output, which ccache does not keep.
_CLANG = """\
#!/bin/bash
[ "${*: -2}" = "-o -" ] || exec clang-19 "$@"
made=$(mktemp -p /run) && ccache clang-19 "${@:1:$#-2}" -o "$made" && cat "$made" && rm "$made"
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
        options = [f"--{key}={value}" for key, value in self.options(kubeconfig).items()]
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

    def options(self, kubeconfig: Path) -> dict[str, str]:
        """What it is told, by flag."""
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
            # as the values that `loopback egress render --values` makes
            "egress-gateway-reconciliation-trigger-interval": "100ms",
            "enable-l7-proxy": "false",
            "enable-health-checking": "false",
            "enable-endpoint-health-checking": "false",
            "enable-hubble": "true",
            "hubble-disable-tls": "true",
            "hubble-export-file-path": str(self.export),
            "hubble-export-file-max-backups": "5",
        }


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
