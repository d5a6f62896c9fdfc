"""Where a drill takes place: a lab, one of its clients, and the PoP that serves this client."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from loopback_iac.lab import cgroups
from loopback_iac.lab.drill.measure import Clock, Records, parse_records
from loopback_iac.lab.drill.witness import (
    Standing,
    parse_bfd_sessions,
    parse_bfd_since,
    parse_sessions,
    parse_worker_downs,
)
from loopback_iac.lab.entering import workstation
from loopback_iac.lab.keys import SITE_NAME
from loopback_iac.lab.namespaces import enter, run
from loopback_iac.lab.paths import LabError
from loopback_iac.lab.topology import ANYCAST4, ANYCAST6, Role

if TYPE_CHECKING:
    from types import TracebackType

    from loopback_iac.lab.drill.witness import BfdSession, Session
    from loopback_iac.lab.instance import Lab

AGENT = "/usr/local/sbin/loopback-agent"
VIPS = ((4, str(ANYCAST4[10])), (6, str(ANYCAST6[0x10])))
PORT = 443
FAMILIES = (4, 6)
PREFIXES = (ip_network(str(ANYCAST4)), ip_network(str(ANYCAST6)))


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard the load asks.

    250 connections a second keep two cores about half busy over wireguard-go, with the whole fleet
    on them; 500 fill them, and then the machine is measured instead of the fleet.
    """

    rate: int = 250
    sample_every: int = 5
    streams: int = 10
    timeout_ms: int = 3000
    long_lines: int = 0  # a stream ends after so many, and the next one begins; 0: it goes on


@dataclass(frozen=True)
class Ground:
    """A lab seen from one client."""

    lab: Lab
    client: str

    @property
    def upstream(self) -> str:
        """The router the client hangs on."""
        links = self.lab.topology.links_of(self.client)
        return links[0].other(self.client).host

    @property
    def pop(self) -> str:
        """The PoP that this router prefers."""
        for pop in self.lab.topology.having(Role.POP):
            if pop.near == self.upstream:
                return pop.name
        raise LabError(f"no PoP is near {self.upstream}, so {self.client} has no PoP to lose")

    def on(self, host: str, *argv: str, timeout_s: float = 20) -> str:
        """Run a command inside a host.

        Out: its stdout.
        Raises: LabError with its complaint.
        """
        try:
            done = self.lab.exec(host, list(argv), timeout_s=timeout_s)
        except subprocess.TimeoutExpired as cause:
            raise LabError(f"{host}: `{' '.join(argv)}` gave no answer: {cause}") from None
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            raise LabError(f"{host}: `{' '.join(argv)}` failed ({done.returncode}): {said}")
        return done.stdout

    def agent_argv(self, host: str, *words: str) -> list[str]:
        """Argv that asks a host's agent over SSH from the workstation, as an operator would."""
        end, paths = self.lab.topology.uplink(host), self.lab.paths
        address = end.v4.ip if end.v4 else end.v6.ip if end.v6 else host
        options = (
            *("BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes"),
            *("ConnectTimeout=5", f"UserKnownHostsFile={paths.known_hosts}"),
        )
        ssh = ["ssh", "-F", "none", "-i", str(paths.operator_key)]
        ssh += [word for option in options for word in ("-o", option)]
        return [*workstation(paths), *ssh, f"root@{address}", AGENT, *words]

    def agent(self, host: str, *words: str, timeout_s: float = 60) -> str:
        """Ask a host's agent.

        Out: its stdout.
        Raises: LabError with its complaint.
        """
        try:
            return run(self.agent_argv(host, *words), timeout_s=timeout_s)
        except subprocess.TimeoutExpired:
            told = f"{host}: `loopback-agent {' '.join(words)}` did not end in {timeout_s:g} s"
            raise LabError(told) from None

    def route_towards(self, family: int) -> str | None:
        """The neighbor whose interface the upstream router's kernel sends the prefix to."""
        prefix = next(p for p in PREFIXES if p.version == family)
        argv = ["ip", f"-{family}", "-json", "route", "show", "exact", str(prefix)]
        listed = json.loads(run([*enter(self.lab.paths, self.upstream), *argv]) or "[]")
        found: str | None = listed[0].get("dev") if listed else None
        return found

    def sessions(self) -> dict[str, list[Session]]:
        """BGP sessions of the upstream router by PoP."""
        listed = parse_sessions(self.on(self.upstream, "birdc", "show", "protocols", "all"))
        return {
            pop.name: [s for s in listed if s.neighbor in self._link_addresses(pop.name)]
            for pop in self.lab.topology.having(Role.POP)
        }

    def routes_from(self, pop: str, family: int) -> str:
        """What the upstream router holds of a PoP's announcements, with every attribute."""
        names = [s.protocol for s in self.sessions()[pop] if s.family == family]
        argv = ("birdc", "show", "route", "all", "protocol")
        return "".join(self.on(self.upstream, *argv, name) for name in names)

    def bfd(self, pop: str) -> list[BfdSession]:
        """BFD sessions of the upstream router with a PoP."""
        text = self.on(self.upstream, "birdc", "show", "bfd", "sessions")
        ours = self._link_addresses(pop)
        return [s for s in parse_bfd_sessions(text) if s.neighbor in ours]

    def standing(self) -> Standing:
        """What may fall, as it stands now; a host that is off has nothing that stands."""
        pops, routers = (self.lab.topology.having(r) for r in (Role.POP, Role.UPSTREAM))
        return Standing(
            {
                f"{pop.name} {name}": count
                for pop in pops
                for name, count in parse_worker_downs(self.haproxy(pop.name)).items()
            },
            {
                f"{router.name} {neighbor}": since
                for router in routers
                for neighbor, since in parse_bfd_since(
                    self.on(router.name, "birdc", "show", "bfd", "sessions")
                ).items()
            },
        )

    def haproxy(
        self, pop: str, words: str = "show stat -1 4 -1", door: str = "loopback.sock"
    ) -> str:
        """What a PoP's HAProxy answers at its socket; empty when it does not run."""
        leader = cgroups.leader(self.lab.paths, pop)
        said = b""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as talk:
            talk.settimeout(2)
            talk.connect(f"/proc/{leader}/root/run/haproxy/{door}")
            talk.sendall(f"{words}\n".encode())
            while piece := talk.recv(1 << 16):
                said += piece
        return said.decode()

    def processes(self, host: str, unit: str) -> list[int]:
        """Processes of a unit inside a host, by the machine's own numbers.

        Raises: LabError when there is none.
        """
        found = cgroups.pids(self.lab.paths, host, f"payload/system.slice/{unit}")
        if not found:
            raise LabError(f"{host}: {unit} has no process, so there is none to kill")
        return found

    def named(self, host: str, name: str) -> list[int]:
        """Processes of a host by the name of their program, by the machine's own numbers.

        Raises: LabError when there is none.
        """
        pids = cgroups.pids(self.lab.paths, host)
        found = [pid for pid in pids if _program_of(pid) == name]
        if not found:
            raise LabError(f"{host}: no process is called {name}")
        return found

    def _link_addresses(self, pop: str) -> set[str]:
        end = self.lab.topology.link(pop, self.upstream).end(pop)
        return {str(a.ip) for a in (end.v4, end.v6) if a}

    def plan(self, pace: Pace, seconds: float) -> dict[str, Any]:
        """A plan for the load generator."""
        return {
            "targets": VIPS,
            "port": PORT,
            "server_name": SITE_NAME,
            "ca_pem": self.lab.paths.ca_certificate.read_text(),
            "rate": pace.rate,
            "seconds": seconds,
            "sample_every": pace.sample_every,
            "streams": pace.streams,
            "timeout_ms": pace.timeout_ms,
            "long_lines": pace.long_lines,
        }


def _program_of(pid: int) -> str:
    with contextlib.suppress(OSError):  # it may have ended
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


class LoadProcess:
    """The load generator running in the client's network while the block runs."""

    def __init__(self, ground: Ground, pace: Pace, seconds: float) -> None:
        """In: seconds, when it ends by itself; `finish` ends it before."""
        self._argv = [*enter(ground.lab.paths, ground.client), sys.executable]
        self._argv += ["-m", "loopback_iac.lab.drill.load"]
        self._plan = ground.plan(pace, seconds)
        self._running: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Start it and wait until the first connection is due.

        Raises: LabError when it does not start.
        """
        environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        self._running = subprocess.Popen(
            self._argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,  # an interrupt at the terminal is the drill's to handle
        )
        if self._running.stdin is not None and self._running.stdout is not None:
            self._running.stdin.write(json.dumps(self._plan))
            self._running.stdin.close()
            self._running.stdin = None
            if self._running.stdout.readline():
                return self
        self._running.kill()
        raise LabError(f"the load generator did not start (exit {self._running.wait(5)})")

    def wait(self) -> Records:
        """Records once the load has ended by itself."""
        return self._collect()

    def finish(self) -> Records:
        """End the load now.

        Out: its records.
        """
        if self._running is not None:
            self._running.send_signal(signal.SIGTERM)
        return self._collect()

    def _collect(self) -> Records:
        if self._running is None:
            raise LabError("the load generator was not started")
        text, _ = self._running.communicate(timeout=self._plan["seconds"] + 60)
        if self._running.returncode:
            raise LabError(f"the load generator failed (exit {self._running.returncode})")
        return parse_records(json.loads(text))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave no generator behind."""
        if self._running is not None:
            if self._running.poll() is None:
                self._running.kill()
                self._running.wait(10)
            if self._running.stdout is not None:
                self._running.stdout.close()


def read_clock() -> Clock:
    """Both clocks of this machine, now."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return Clock(time.monotonic_ns(), time.time_ns(), boot)
