"""Network namespaces of the lab: made, wired, entered, removed. Nothing is done outside of them."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from loopback_iac.lab.paths import NAMESPACES, InstancePaths, LabError
from loopback_iac.lab.wiring import (
    Seen,
    missing_links,
    parse_seen,
    render_end,
    render_link,
    render_namespace,
    render_sysctls,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loopback_iac.lab.topology import Host, Link, Topology

# sched.h
_CLONE_NEWNET = 0x40000000
T = TypeVar("T")


def run(argv: list[str], text: str | None = None, timeout_s: float = 30) -> str:
    """
    Run a tool to its end.

    In: text for its stdin.
    Out: its stdout.
    Raises: LabError with its complaint.
    """
    done = subprocess.run(
        argv, input=text, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    if done.returncode:
        shown = " ".join(argv[:6])
        raise LabError(f"`{shown}` failed ({done.returncode}): {done.stderr.strip()}")
    return done.stdout


@contextmanager
def machine_lock() -> Iterator[None]:
    """Held while something that instances share is made or removed: /run/netns, cgroup parents."""
    # a directory can be locked, so no file of ours is left behind
    descriptor = os.open("/run", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def ip_batch(namespace: str, lines: list[str]) -> None:
    """
    Run `ip` lines inside a namespace, stopping at the first that fails.

    Raises: LabError with the line's complaint.
    """
    run(["ip", "-netns", namespace, "-batch", "-"], "\n".join(lines) + "\n")


def exists(paths: InstancePaths, host: str) -> bool:
    """Whether a host's name has a namespace behind it; `ip netns add` makes the name first."""
    path = paths.namespace_path(host)
    return path.exists() and path.stat().st_dev != NAMESPACES.stat().st_dev


def seen_in(paths: InstancePaths, host: str) -> Seen:
    """What a host's namespace holds; empty when there is none."""
    if not exists(paths, host):
        return Seen()
    listed = run(["ip", "-netns", paths.namespace(host), "-json", "link", "show"])
    return parse_seen(json.loads(listed or "[]"))


def ensure_namespace(paths: InstancePaths, topology: Topology, host: Host, seen: Seen) -> None:
    """Make a host's namespace with its settings and bridges, unless it is complete."""
    bridges = {net.name for net in topology.nets_of(host.name)}
    if {"lo", *bridges} <= seen.wired:
        return
    name = paths.namespace(host.name)
    if "lo" not in seen.interfaces:
        with machine_lock():
            # a name without a namespace behind it: an `ip netns add` that was killed half-way
            paths.namespace_path(host.name).unlink(missing_ok=True)
            run(["ip", "netns", "add", name])
    settings = [f"{key}={value}" for key, value in render_sysctls(host).items()]
    run([*enter(paths, host.name), "sysctl", "-q", "-w", *settings])
    ip_batch(name, render_namespace(topology, host, seen.interfaces))


def wire(paths: InstancePaths, topology: Topology) -> int:
    """
    Make every namespace and link that is missing.

    Out: how many links were made or finished; 0 when all was there.
    """
    seen = {host.name: seen_in(paths, host.name) for host in topology.hosts}
    for host in topology.hosts:
        ensure_namespace(paths, topology, host, seen[host.name])
    missing = missing_links(topology, seen)
    for link in missing:
        wire_link(paths, link, seen)
    return len(missing)


def wire_link(paths: InstancePaths, link: Link, seen: dict[str, Seen]) -> None:
    """Make one link, or finish it when its ends are there and unfinished."""
    ends = (link.left, link.right)
    there = [end for end in ends if end.interface in seen[end.host].interfaces]
    if len(there) < len(ends):
        for end in there:
            # its other end is in a namespace that nobody can name any more
            try:
                ip_batch(paths.namespace(end.host), [f"link delete {end.interface}"])
            except LabError:
                # a dying namespace may have taken it meanwhile
                if end.interface in seen_in(paths, end.host).interfaces:
                    raise
        left, right = (paths.namespace(end.host) for end in ends)
        ip_batch(left, [render_link(link, right)])
    for end in ends:
        ip_batch(paths.namespace(end.host), render_end(end))


def remove_namespace(paths: InstancePaths, topology: Topology, host: str) -> None:
    """Take a host's links and namespace away; the other ends vanish with them."""
    seen = seen_in(paths, host)
    name = paths.namespace(host)
    ours = [link.end(host).interface for link in topology.links_of(host)]
    # deleting a link is done when the command returns; a dying namespace takes its time
    lines = [f"link delete {interface}" for interface in ours if interface in seen.interfaces]
    if lines:
        ip_batch(name, lines)
    if paths.namespace_path(host).exists():
        run(["ip", "netns", "delete", name])


def remove_namespaces(paths: InstancePaths) -> int:
    """
    Remove every namespace of the instance, known topology or not.

    Out: how many there were.
    """
    found = namespaces_of(paths)
    for name in found:
        done = subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)
        if done.returncode:
            # made but never mounted, when its maker was killed in between
            (NAMESPACES / name).unlink(missing_ok=True)
    with machine_lock():
        _remove_empty_root()
    return len(found)


def namespaces_of(paths: InstancePaths) -> list[str]:
    """Names of the instance's namespaces that exist now."""
    if not NAMESPACES.is_dir():
        return []
    return sorted(p.name for p in NAMESPACES.iterdir() if p.name.startswith(paths.namespace_prefix))


def _remove_empty_root() -> None:
    """`ip netns add` makes /run/netns and mounts it on itself; take that away with the last one."""
    if not NAMESPACES.is_dir() or any(NAMESPACES.iterdir()):
        return
    subprocess.run(["umount", str(NAMESPACES)], capture_output=True, check=False)
    # somebody else may use it just now
    with contextlib.suppress(OSError):
        NAMESPACES.rmdir()


def holds(paths: InstancePaths, host: str, pid: int) -> bool:
    """Whether a process is in a host's namespace, and not in an earlier one of the same name."""
    try:
        there = Path(f"/proc/{pid}/ns/net").stat()
        return os.path.samestat(there, paths.namespace_path(host).stat())
    except FileNotFoundError:
        return False


def pids_in(paths: InstancePaths) -> list[int]:
    """Processes in any namespace of the instance, whoever started them there."""
    wanted = set()
    for name in namespaces_of(paths):
        there = (NAMESPACES / name).stat()
        wanted.add((there.st_dev, there.st_ino))
    found = []
    for folder in Path("/proc").glob("[0-9]*") if wanted else ():
        # processes end while we look
        with contextlib.suppress(OSError):
            there = (folder / "ns/net").stat()
            if (there.st_dev, there.st_ino) in wanted:
                found.append(int(folder.name))
    return found


def enter(paths: InstancePaths, host: str) -> list[str]:
    """Argv prefix that runs a command in a host's network, with the machine's files."""
    return ["nsenter", f"--net={paths.namespace_path(host)}", "--"]


def workstation_environment(paths: InstancePaths) -> dict[str, str]:
    """
    What a command on the workstation finds set.

    Out: this process's environment without proxies (the lab has no way to them), with `loopback` on
    PATH and everything it asks for: so a plain `loopback up` there deploys to this lab.
    """
    kept = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    path = (str(Path(sys.executable).parent), str(paths.cluster_tools), os.environ.get("PATH", ""))
    return kept | {
        "PATH": ":".join(path),
        "KUBECONFIG": str(paths.kubeconfig),
        "LOOPBACK_LAB": paths.name,
        "LOOPBACK_STACK": paths.name,
        "LOOPBACK_CONFIG_FILE": str(paths.stack_config),
        "LOOPBACK_STATE_DIR": str(paths.stack_state),
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(paths.passphrase),
    }


def connect(
    paths: InstancePaths, host: str, address: str, port: int, timeout_s: float
) -> socket.socket:
    """
    Open a TCP connection out of a host's namespace, usable from this process.

    In: address, IPv4 or IPv6.
    Raises: OSError as connect(2) does.
    """
    return call_inside(
        paths.namespace_path(host), lambda: socket.create_connection((address, port), timeout_s)
    )


def listen(paths: InstancePaths, host: str, address: str, port: int) -> socket.socket:
    """
    Listen for TCP in a host's namespace, from this process.

    Raises: OSError as bind(2) does.
    """
    return call_inside(paths.namespace_path(host), lambda: socket.create_server((address, port)))


def hear_arp(paths: InstancePaths, host: str) -> socket.socket:
    """
    Receive every ARP frame that comes into a host's namespace, on all its interfaces.

    Raises: OSError as socket(2) does.
    """
    arp = 0x0806  # linux/if_ether.h
    kind = socket.SOCK_RAW

    def make() -> socket.socket:
        return socket.socket(socket.AF_PACKET, kind, socket.htons(arp))

    return call_inside(paths.namespace_path(host), make)


def call_inside(namespace: Path, act: Callable[[], T]) -> T:
    """
    Call a function in a network namespace; sockets that it makes stay there.

    Raises: what it raises; OSError as setns(2) does.
    """

    def enter_and_act() -> T:
        _move_thread(namespace)
        return act()

    # of one thread alone, and it ends with the call
    with ThreadPoolExecutor(1, f"inside-{namespace.name}") as threads:
        return threads.submit(enter_and_act).result()


def _move_thread(namespace: Path) -> None:
    """setns(2): this thread alone. Python has it from 3.12 on."""
    libc = ctypes.CDLL(None, use_errno=True)
    with namespace.open() as target:
        if libc.setns(target.fileno(), _CLONE_NEWNET):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(namespace))
