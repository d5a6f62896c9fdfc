"""One running lab: bring it up, ask it, hurt it, take it away."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loopback_iac.lab import boot, cgroups, faults, namespaces
from loopback_iac.lab.cloud.ground import Ground
from loopback_iac.lab.cloud.growth import grow
from loopback_iac.lab.cluster import sysctls
from loopback_iac.lab.entering import execute
from loopback_iac.lab.image import BARE, FULL, NODE, VARIANTS, ensure_image, image_path, pool_path
from loopback_iac.lab.keys import ensure_keys
from loopback_iac.lab.machine import check_machine
from loopback_iac.lab.mirror import publish
from loopback_iac.lab.paths import InstancePaths, LabError, write_private
from loopback_iac.lab.readiness import await_host, settled
from loopback_iac.lab.seeds import render_seed
from loopback_iac.lab.stackconfig import ensure_stack_config
from loopback_iac.lab.status import HostStatus, probe_bgp, probe_hosts
from loopback_iac.lab.topology import MACHINES, TOPOLOGIES, Topology

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Iterator

    from loopback_iac.lab.keys import Keys
    from loopback_iac.lab.seeds import Seed
    from loopback_iac.lab.topology import Host

# What is being done, how much of it is done, of how much.
Report = Callable[[str, int, int], None]
_PARALLEL = 6


def _silent(_step: str, _done: int, _total: int) -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class Changes:
    """What `up` had to do; nothing at all when the lab stood."""

    image_built: bool = False
    links_made: int = 0
    disks_made: tuple[str, ...] = ()
    hosts_started: tuple[str, ...] = ()
    config_written: bool = False

    def __bool__(self) -> bool:
        return self != Changes()


@dataclass(frozen=True)
class Lab:
    """A lab by name; its state is read from the kernel each time, so any process can use it."""

    paths: InstancePaths
    base: Topology

    @property
    def topology(self) -> Topology:
        """What was planned, with the servers that its clouds have now."""
        return grow(self.paths, self.base)

    def exec(
        self, host: str, argv: list[str], text: str | None = None, timeout_s: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """
        Run a command inside a host, or in the workstation's network (host `ops`).

        In: text for its stdin.
        Out: exit code, stdout, stderr.
        Raises: LabError when the host does not run; KeyError when there is none of that name.
        """
        self.topology.host(host)
        return execute(self.paths, host, argv, text, timeout_s)

    def status(self) -> list[HostStatus]:
        """Every host as it is now."""
        return probe_hosts(self.paths, self.topology)

    def bgp(self) -> dict[str, dict[str, bool]]:
        """Router -> session -> established, of routers that run."""
        return probe_bgp(self.paths, self.topology)

    def carrier(self, host: str, upstream: str, *, up: bool) -> None:
        """Fault: the link between a host and an upstream loses carrier, or gets it back."""
        faults.set_carrier(self.paths, self.topology, host, upstream, up=up)

    def silent(self, host: str, *, silent: bool) -> None:
        """Fault: everything on all links of a host is dropped, or passes again."""
        faults.set_silence(self.paths, self.topology, host, silent=silent)

    def lossy(self, host: str, *, one_in: int) -> None:
        """Fault: one of so many frames on all links of a host is dropped; 0: none any more."""
        faults.set_loss(self.paths, self.topology, host, one_in=one_in)

    def power_off(self, host: str) -> None:
        """
        Fault: power failure. Links lose carrier, then every process is killed at once.

        Out: the disk stays; kernel state (routes, rules, tables) is gone with the namespace.
        """
        topology = self.topology
        with locked(self.paths):
            # first the cables: a dying kernel must not answer with resets
            namespaces.remove_namespace(self.paths, topology, host)
            cgroups.kill(self.paths, host)

    def power_on(self, host: str) -> None:
        """Boot a host again from its disk, as after a power failure, and wait until it is there."""
        topology = self.topology
        with locked(self.paths):
            _forget_kernels(self.paths, topology)
            namespaces.wire(self.paths, topology)
            machine = topology.host(host)
            image = _recorded(self.paths).image_of(machine)
            weighed = topology.has_nodes
            boot.start(self.paths, host, image, containers=machine.node, weighed=weighed)
            await_host(self.paths, topology, machine, threading.Event())


def open_lab(name: str) -> Lab:
    """
    A lab that was brought up earlier, perhaps by another process.

    Raises: LabError when there is none of that name.
    """
    paths = InstancePaths(name)
    return Lab(paths, _planned(_recorded(paths).topology))


def open_ground(name: str) -> Ground:
    """
    A lab as its clouds see it: where their servers are put.

    Raises: LabError when there is none of that name.
    """
    paths = InstancePaths(name)
    record = _recorded(paths)
    return Ground(paths, _planned(record.topology), Path(record.image))


def bring_up(name: str, topology: str = "demo", report: Report = _silent) -> tuple[Lab, Changes]:
    """
    Make a lab what its topology says, from whatever is there: nothing, half of one, a whole one.

    In: topology, a name of TOPOLOGIES.
    Out: the lab, and what had to be done.
    Raises: LabError when another process is at it, or a host does not come up.
    """
    check_machine()
    paths, plan = InstancePaths(name), _planned(topology)
    built = False
    for variant in {VARIANTS[host.image] for host in plan.hosts}:
        if not image_path(variant).is_dir():
            report("image", 0, 1)
        built |= ensure_image(variant)[1]
    with locked(paths):
        report("keys and configuration", 0, 1)
        record = _adopt(paths, topology)
        keys = ensure_keys(paths, plan)
        if keys.mirror_public and not paths.mirror.exists():
            publish(paths, sorted(pool_path(BARE).iterdir()))
        written = ensure_stack_config(paths, plan, keys)
        booted = [host for host in plan.hosts if host.booted]
        if plan.has_nodes:
            sysctls.borrow(f"lab-{name}", sysctls.ROOM)
        deployed_to = {h.name for h in booted if h.role in MACHINES and paths.host(h.name).exists()}
        made = [
            host.name
            for host in booted
            if boot.prepare_disk(
                paths, host.name, record.image_of(host), _seed(paths, plan, host, keys)
            )
        ]
        if deployed_to & set(made):
            _set_state_aside(paths)
        report("network", 0, 1)
        _forget_kernels(paths, plan)
        wired = namespaces.wire(paths, plan) + _end_silences(paths, plan)
        started = _start(paths, plan, booted, record, report)
    return Lab(paths, plan), Changes(built, wired, tuple(made), tuple(started), written)


def take_down(name: str) -> bool:
    """
    Remove everything of a lab, whole or half-made: processes, networks, cgroups, files.

    Out: False when there was nothing.
    Raises: LabError when another process is at it.
    """
    paths = InstancePaths(name)
    if not leftovers(name):
        return False
    with locked(paths):
        cgroups.kill(paths)
        namespaces.remove_namespaces(paths)
        cgroups.remove(paths)
        if paths.root.exists():
            shutil.rmtree(paths.root)
        sysctls.give_back(f"lab-{name}")
        paths.lock.unlink()
    # the directories above belong to all instances; the last one takes them along
    with contextlib.suppress(OSError):
        paths.root.parent.rmdir()
        paths.root.parent.parent.rmdir()
    return True


def leftovers(name: str) -> list[str]:
    """Traces of a lab on this machine, in plain words; none after `take_down`."""
    paths = InstancePaths(name)
    found = [f"process {pid}" for pid in {*cgroups.pids(paths), *namespaces.pids_in(paths)}]
    found += [f"network namespace {name}" for name in namespaces.namespaces_of(paths)]
    found += [
        f"cgroup {root / paths.cgroup()}"
        for root in cgroups.hierarchies()
        if (root / paths.cgroup()).exists()
    ]
    mounts = Path("/proc/self/mounts").read_text().split()
    found += [f"mount {m}" for m in mounts if m.startswith(f"{paths.root}/")]
    if f"lab-{name}" in sysctls.borrowers():
        found.append("settings of the machine, raised for its nodes")
    return found + [f"file {p}" for p in (paths.root, paths.lock) if p.exists()]


@contextmanager
def locked(paths: InstancePaths) -> Iterator[None]:
    """
    Hold the instance's lock.

    Raises: LabError, naming the holder, when another process has it.
    """
    paths.lock.parent.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = os.open(paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode() or "unknown"
            os.close(descriptor)
            raise LabError(
                f"lab {paths.name!r}: process {holder} is changing it\n  fix: wait until it ends"
            ) from None
        # `down` removes the file while it holds the lock: what we locked may be nameless by now
        if paths.lock.exists() and os.path.samestat(os.fstat(descriptor), paths.lock.stat()):
            break
        os.close(descriptor)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _planned(topology: str) -> Topology:
    if topology not in TOPOLOGIES:
        raise LabError(f"topology: got {topology!r}; there are {', '.join(TOPOLOGIES)}")
    return TOPOLOGIES[topology]()


@dataclass(frozen=True)
class _Record:
    """What an instance was made from; disks are layers over these images."""

    topology: str
    image: str
    bare: str = ""
    node: str = ""

    def image_of(self, host: Host) -> Path:
        return Path({BARE.name: self.bare, NODE.name: self.node}.get(host.image, self.image))


def _adopt(paths: InstancePaths, topology: str) -> _Record:
    """Write down what the instance is made from; refuse to turn one topology into another."""
    if paths.record.exists() and (there := _recorded(paths).topology) != topology:
        raise LabError(
            f"lab {paths.name!r} has topology {there!r}, asked for {topology!r}\n"
            f"  fix: loopback lab down --name {paths.name}"
        )
    paths.root.mkdir(exist_ok=True, mode=0o755)
    record = _Record(topology, str(image_path(FULL)), str(image_path(BARE)), str(image_path(NODE)))
    write_private(paths.record, json.dumps(asdict(record)) + "\n", 0o644)
    return record


def _seed(paths: InstancePaths, plan: Topology, host: Host, keys: Keys) -> Seed:
    seed = render_seed(plan, host, keys)
    if host.node:
        from loopback_iac.lab.cluster.ground import control_plane  # noqa: PLC0415 - few labs have one
        from loopback_iac.lab.cluster.node import node_seed  # noqa: PLC0415 - as above

        seed |= node_seed(control_plane(paths, plan), plan, host.name)
    return seed


def _set_state_aside(paths: InstancePaths) -> None:
    """What the stack's state tells of was on disks that are gone; it is kept, but not believed."""
    if paths.stack_state.exists():
        taken = len(list(paths.root.glob(f"{paths.stack_state.name}.*")))
        paths.stack_state.rename(paths.stack_state.with_name(f"{paths.stack_state.name}.{taken}"))


def _recorded(paths: InstancePaths) -> _Record:
    if not paths.record.exists():
        raise LabError(
            f"there is no lab {paths.name!r}\n  fix: loopback lab up --name {paths.name}"
        )
    return _Record(**json.loads(paths.record.read_text()))


def _forget_kernels(paths: InstancePaths, topology: Topology) -> None:
    """A host that does not run has no routes, rules or tables: whatever is left goes."""
    for host in topology.hosts:
        if host.booted and not boot.runs(paths, host.name):
            cgroups.kill(paths, host.name)
            namespaces.remove_namespace(paths, topology, host.name)


def _end_silences(paths: InstancePaths, topology: Topology) -> int:
    """A silence left by a drill that was killed would look like a broken lab."""
    silent = faults.silenced(paths, topology)
    for host in silent:
        faults.set_silence(paths, topology, host, silent=False)
    return len(silent)


def _start(
    paths: InstancePaths, topology: Topology, hosts: Iterable[Host], record: _Record, report: Report
) -> list[str]:
    """
    Boot what does not run, in parallel; wait for it and for what still boots since an earlier `up`.

    Out: names of the hosts that were started now.
    Raises: LabError of the first host that does not come up; the others are not waited for.
    """
    hosts = list(hosts)
    started = [
        host
        for host in hosts
        if boot.start(
            paths,
            host.name,
            record.image_of(host),
            containers=host.node,
            weighed=topology.has_nodes,
        )
    ]
    give_up = threading.Event()
    with ThreadPoolExecutor(_PARALLEL) as pool:
        done = pool.map(lambda host: host in started or not settled(paths, host.name), hosts)
        awaited = [host for host, wait in zip(hosts, done, strict=True) if wait]
        if awaited:
            report("hosts", 0, len(awaited))
        try:
            waits = [pool.submit(await_host, paths, topology, host, give_up) for host in awaited]
            for count, wait in enumerate(as_completed(waits), 1):
                wait.result()
                report("hosts", count, len(awaited))
        finally:
            give_up.set()
    return [host.name for host in started]
