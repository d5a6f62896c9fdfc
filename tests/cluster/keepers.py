"""Keepers of an egress gateway as real processes of the agent, each in its node's network."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from loopback_iac import agent
from loopback_iac.lab.namespaces import enter, run
from loopback_iac.model.egress_gateway import EgressGateways, parse_egress_gateways
from loopback_iac.model.host import parse_host
from loopback_iac.render.gateway import render_gateway

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from loopback_iac.lab.cluster.control import ControlPlane

GROUP, LABEL, POLICY = "partners", "example.com/egress", "partners-v4"
USER = "loopback-egress-gateway"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm3O6QVKcmWbx9fGxPnNqJtPBkYpU1Gxq1SVN5jyjy{}"
# `python3 -c` knows its own path no better than this
_KEEPER = """\
import sys
sys.path.insert(0, sys.argv[1])
from loopback_agent.gateway import gateway
gateway(sys.argv[2], sys.argv[3])
"""


class Keepers:
    """Processes of one group; who made the namespaces ends them."""

    def __init__(
        self, plane: ControlPlane, folder: Path, nodes: Mapping[str, str], addresses: Sequence[str]
    ) -> None:
        """In: own addresses by node, the preferred first."""
        self.plane, self.paths, self.folder = plane, plane.paths, folder
        self.nodes, self.addresses = nodes, addresses
        self.lease_ms = 4000
        self.interface = "eth0"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def gateways(self) -> EgressGateways:
        """As a component would have parsed it."""
        tree = {
            "nodes": {node: {"host": True} for node in self.nodes},
            "groups": {
                GROUP: {
                    "addresses": list(self.addresses),
                    "nodes": list(self.nodes),
                    "policies": [POLICY],
                    "interface": self.interface,
                    "lease_ms": self.lease_ms,
                }
            },
            "cluster": {
                "server": self.plane.server,
                "ca_certificate": self.plane.pki.ca.read_text(),
                "credential": True,
            },
            "admin_sources": ["198.51.100.0/28"],
        }
        return parse_egress_gateways("edge", tree)

    def end(self) -> None:
        """SIGKILL to all."""
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.processes.clear()

    def pack(self) -> None:
        """Make the program."""
        (self.folder / "agent.pyz").write_bytes(agent.build())

    def start(self, node: str) -> None:
        """A new process of the keeper."""
        here = self.folder / node
        (here / "credentials").mkdir(parents=True, exist_ok=True)
        (here / "run").mkdir(exist_ok=True)
        (here / "run" / "status.json").unlink(missing_ok=True)  # of the process before
        certificate, key = self.plane.pki.client_files(USER)
        (here / "credentials" / "api").write_text(certificate.read_text() + key.read_text())
        (here / "gateway.json").write_text(self._file(node, "gateway.json"))
        self.guard(node)
        environment = {
            **os.environ,
            "RUNTIME_DIRECTORY": str(here / "run"),
            "CREDENTIALS_DIRECTORY": str(here / "credentials"),
        }
        words = [
            str(self.folder / "agent.pyz"),
            str(here / "gateway.json"),
            str(here / "wish.json"),
        ]
        # as its unit has it
        nice = ["nice", "-n", "-15"]
        argv = [*enter(self.paths, node), *nice, sys.executable, "-I", "-c", _KEEPER, *words]
        with (here / "log").open("ab") as log:
            self.processes[node] = subprocess.Popen(argv, stderr=log, env=environment)

    def guard(self, node: str) -> None:
        """Load a node's table, as its unit does before the keeper starts."""
        text = self._file(node, "nftables.conf")
        # Debian 12's nft does not know the word, and means this by it
        anew = text.replace("destroy table", "add table inet loopback\ndelete table", 1)
        run([*enter(self.paths, node), "nft", "-f", "-"], anew)

    def _file(self, node: str, name: str) -> str:
        hosts = {
            name: parse_host(name, {"ipv4": own, "host_key": KEY.format(c)})
            for (name, own), c in zip(self.nodes.items(), "cdefg", strict=False)
        }
        return render_gateway(self.gateways(), node, hosts).files[f"/etc/loopback/{name}"].text

    def signal(self, node: str, number: signal.Signals) -> None:
        """Send the keeper a signal; one that was killed is reaped."""
        process = self.processes[node]
        process.send_signal(number)
        if number == signal.SIGKILL:
            process.wait()

    def wish(self, node: str, wanted: str) -> None:
        """What `hand-over` writes on a node."""
        text = json.dumps({"group": GROUP, "node": wanted, "ident": os.urandom(4).hex()})
        (self.folder / node / "wish.json").write_text(text)

    def status(self, node: str) -> dict[str, object]:
        """How a node says it stands; empty before it does."""
        try:
            told = json.loads((self.folder / node / "run" / "status.json").read_text())
        except FileNotFoundError:
            return {}
        return dict(told[GROUP])

    def log(self, node: str) -> str:
        """What a keeper said."""
        return (self.folder / node / "log").read_text()

    def on(self, node: str) -> set[str]:
        """Addresses of the group on a node's card."""
        space = self.paths.namespace(node)
        links = json.loads(
            run(["ip", "-netns", space, "-j", "addr", "show", "dev", self.interface])
        )
        there = {str(each["local"]) for link in links for each in link["addr_info"]}
        return there.intersection(self.addresses)

    def await_holder(self, *nodes: str, within_s: float = 60) -> str:
        """Wait until one of these nodes says that it is settled; out: which."""
        end_s = time.monotonic() + within_s
        while time.monotonic() < end_s:
            for node in nodes:
                alive = node in self.processes and self.processes[node].poll() is None
                if alive and self.status(node).get("settled"):
                    return node
            time.sleep(0.02)
        raise AssertionError(f"none of {nodes} holds it after {within_s} s\n{self.logs()}")

    def logs(self) -> str:
        """What every keeper said."""
        return "\n".join(
            f"{node}:\n{self.log(node)}" for node in self.nodes if node in self.processes
        )


def until(true: Callable[[], bool], what: str, within_s: float = 30) -> None:
    """Wait for something."""
    end_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end_s, f"{what}: not within {within_s} s"
        time.sleep(0.02)
