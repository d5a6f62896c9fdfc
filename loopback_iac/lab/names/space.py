"""Network namespaces of one run on this machine, and what is started in them; gone at its end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from loopback_iac.lab.namespaces import call_inside, machine_lock
from loopback_iac.lab.paths import NAMESPACES, LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PREFIX = "lbnames"  # of namespaces; a process number follows
LOOK_EVERY_S = 0.02
PATIENCE_S = 60.0  # with what comes; a busy machine is late, not wrong
T = TypeVar("T")


@dataclass
class Namespace:
    """A network namespace and the processes that were started in it."""

    name: str
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def ip(self, words: str) -> None:
        """Run `ip` on it.

        Raises: CalledProcessError when it fails.
        """
        subprocess.run(["ip", "-n", self.name, *words.split()], check=True, capture_output=True)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program in it to its end."""
        return subprocess.run(
            ["nsenter", f"--net=/run/netns/{self.name}", *words],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self, *words: str, root: Path | None = None) -> subprocess.Popen[str]:
        """Start a program that is talked to over its stdin and stdout."""
        inside = ["chroot", str(root), *words] if root else list(words)
        process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.name}", *inside],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.processes.append(process)
        return process

    def start_daemon(self, log: Path, *words: str) -> subprocess.Popen[str]:
        """Start a daemon that stays in the foreground; the process is the daemon itself."""
        process = start_logged(log, "nsenter", f"--net=/run/netns/{self.name}", *words)
        self.processes.append(process)
        return process

    def inside(self, act: Callable[[], T]) -> T:
        """Call a function whose sockets are opened in this namespace."""
        return call_inside(NAMESPACES / self.name, act)


def start_logged(log: Path, *words: str) -> subprocess.Popen[str]:
    """Start a program; what it says is added to a file."""
    with log.open("a") as stream:
        return subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, text=True
        )


def exchange(process: subprocess.Popen[str], line: str) -> str:
    """Say one line to a program that answers each with a line.

    Raises: LabError when it is gone.
    """
    if process.stdin is not None and process.stdout is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(line + "\n")
            process.stdin.flush()
            if told := process.stdout.readline():
                return told
    raise LabError(f"{process.args!r} gives no answer (exit {process.poll()})")


def wait_for(happened: Callable[[], bool], deadline_s: float = PATIENCE_S) -> None:
    """Look until something has happened.

    Raises: LabError when it has not within the deadline.
    """
    end = time.monotonic() + deadline_s
    while not happened():
        if time.monotonic() >= end:
            raise LabError(f"it did not happen within {deadline_s:g} s")
        time.sleep(LOOK_EVERY_S)


@contextlib.contextmanager
def namespaces(*names: str) -> Iterator[list[Namespace]]:
    """Namespaces that are gone afterwards, with everything started in them."""
    made: list[Namespace] = []
    try:
        for name in names:
            full = f"{PREFIX}-{os.getpid()}-{name}"
            # a lab's last host takes /run/netns away with it
            with machine_lock():
                subprocess.run(["ip", "netns", "add", full], check=True)
            made.append(Namespace(full))
            made[-1].ip("link set lo up")
            # link-local addresses would be of no use for their first second
            made[-1].run("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
        yield made
    finally:
        for namespace in made:
            _end(namespace)
            subprocess.run(["ip", "netns", "del", namespace.name], check=True)


def sweep_namespaces() -> None:
    """Remove what a run left that was killed: namespaces that bear the number of no process."""
    for path in sorted(NAMESPACES.glob(f"{PREFIX}-*-*")) if NAMESPACES.is_dir() else ():
        if not is_running(path.name.split("-")[1]):
            _end(Namespace(path.name))
            subprocess.run(["ip", "netns", "del", path.name], check=True)


def is_running(pid: str) -> bool:
    """Whether there is a process of that number; what is no number counts as one that runs."""
    return not pid.isdigit() or Path(f"/proc/{pid}").exists()


def _end(namespace: Namespace) -> None:
    """End everything in a namespace: also children that outlive the daemon that was killed."""
    for process in namespace.processes:
        process.kill()
        process.communicate()

    def none_left() -> bool:
        listed = subprocess.run(
            ["ip", "netns", "pids", namespace.name], capture_output=True, text=True, check=True
        ).stdout.split()
        for pid in listed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        return not listed

    wait_for(none_left)


def cable(left: Namespace, left_end: str, right: Namespace, right_end: str) -> None:
    """Make a link between two namespaces, both ends up."""
    subprocess.run(
        f"ip link add {left_end} netns {left.name} type veth"
        f" peer name {right_end} netns {right.name}".split(),
        check=True,
    )
    left.ip(f"link set dev {left_end} up")
    right.ip(f"link set dev {right_end} up")
