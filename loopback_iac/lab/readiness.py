"""Waiting until hosts can be worked with: a real login, an answering cache, sessions that stand."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from loopback_iac.lab import cgroups
from loopback_iac.lab.boot import console_tail
from loopback_iac.lab.entering import execute
from loopback_iac.lab.machine import inotify_shortage
from loopback_iac.lab.namespaces import connect
from loopback_iac.lab.paths import LabError
from loopback_iac.lab.routing import RTR_PORT
from loopback_iac.lab.status import probe_sessions
from loopback_iac.lab.topology import MACHINES, OPS, ROUTERS, Role

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from loopback_iac.lab.paths import InstancePaths
    from loopback_iac.lab.topology import Host, Topology

BOOT_DEADLINE_S = 90.0
_AGAIN_S = 0.1


def await_host(
    paths: InstancePaths, topology: Topology, host: Host, give_up: threading.Event
) -> None:
    """
    Return when a host does what the lab needs of it.

    In: give_up, set by whoever no longer wants to wait.
    Raises: LabError with the end of its console when it does not within 90 s.
    """
    deadline = time.monotonic() + BOOT_DEADLINE_S
    ready = _readiness(paths, topology, host)
    said = "no PID 1"
    while time.monotonic() < deadline:
        if cgroups.leader(paths, host.name):
            try:
                if ready() and settled(paths, host.name):
                    return
                said = "not yet ready"
            except (OSError, LabError) as error:
                said = str(error) or type(error).__name__
        if give_up.wait(_AGAIN_S):
            return
    raise LabError(
        f"{host.name} was not ready after {BOOT_DEADLINE_S:.0f} s: {said}\n"
        f"{console_tail(paths, host.name)}{inotify_shortage()}"
    )


def _readiness(paths: InstancePaths, topology: Topology, host: Host) -> Callable[[], bool]:
    if host.role in MACHINES:
        return lambda: login(paths, topology, host.name)
    if host.role is Role.SERVICE:
        return lambda: _listens(paths, topology, host.name)
    if host.role in ROUTERS:
        return lambda: _routes(paths, topology, host)
    return lambda: True


def settled(paths: InstancePaths, host: str) -> bool:
    """Whether everything its boot starts was started."""
    return not execute(
        paths, host, ["systemctl", "--quiet", "is-active", "multi-user.target"], None, 10
    ).returncode


def login(paths: InstancePaths, topology: Topology, host: str) -> bool:
    """
    Log in from the workstation with the operator's key and the pinned host key.

    Out: whether a command ran there.
    Raises: OSError, LabError when it cannot.
    """
    import asyncssh  # noqa: PLC0415 -- 0.3 s that only a boot has to pay

    end = topology.uplink(host)
    # never a mere banner: sshd 10 shuts out who connects and does not authenticate
    with contextlib.closing(connect(paths, OPS, str(end.v4.ip if end.v4 else ""), 22, 5)) as line:
        line.setblocking(False)  # noqa: FBT003 -- the name of the function says it

        async def ask() -> bool:
            async with asyncssh.connect(
                host,
                sock=line,
                username="root",
                known_hosts=str(paths.known_hosts),
                client_keys=[str(paths.operator_key)],
                config=None,
                agent_path=None,
                login_timeout=20,
            ) as connection:
                # a deployed host runs nothing but its agent for this key, which then refuses
                return (await connection.run("hostname")).exit_status is not None

        try:
            return asyncio.run(ask())
        except asyncssh.Error as error:
            raise LabError(f"login to {host}: {error}") from error


def _listens(paths: InstancePaths, topology: Topology, host: str) -> bool:
    end = topology.uplink(host)
    connect(paths, OPS, str(end.v4.ip if end.v4 else ""), RTR_PORT, 2).close()
    return True


def _routes(paths: InstancePaths, topology: Topology, host: Host) -> bool:
    """Whether a router's sessions with the other routers of the lab are up."""
    routers = {r.name for r in topology.having(*ROUTERS)}
    sessions = probe_sessions(paths, host.name)
    ours = [up for name, up in sessions.items() if name.rpartition("_")[0] in routers]
    return bool(ours) and all(ours)
