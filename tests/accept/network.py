"""Namespaces with real daemons in them: what the rendered text does, not only whether it parses."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
ENDS = Path(__file__).parent / "ends.py"


@dataclass
class Namespace:
    """A network namespace and the processes that were started in it."""

    name: str
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def ip(self, words: str) -> None:
        subprocess.run(["ip", "-n", self.name, *words.split()], check=True, capture_output=True)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["nsenter", f"--net=/run/netns/{self.name}", *words],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def start(self, *words: str, root: Path | None = None) -> subprocess.Popen[str]:
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
        """A daemon that stays in the foreground; the process is the daemon itself."""
        process = start_logged(log, "nsenter", f"--net=/run/netns/{self.name}", *words)
        self.processes.append(process)
        return process

    def inside(self, act: Callable[[], Any]) -> Any:
        """Call a function whose sockets are opened in this namespace."""

        def enter() -> Any:
            with Path(f"/run/netns/{self.name}").open() as file:
                # of this thread alone, and the thread ends with the call
                if LIBC.setns(file.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            return act()

        with ThreadPoolExecutor(1) as threads:
            return threads.submit(enter).result()

    def serve(self, name: str, address: str, port: int) -> subprocess.Popen[str]:
        """A worker's ingress: reads the PROXY header and answers with what it said."""
        process = self.start(sys.executable, str(ENDS), "serve", name, address, str(port))
        wait_for(lambda: f"{address}:{port}" in self.run("ss", "-Hlnt").stdout)
        return process

    def ask(self, address: str, port: int, source: str = "", count: int = 1) -> list[Any]:
        """Connect `count` times; each answer as the worker gave it, or the error's name."""
        words = [sys.executable, str(ENDS), "ask", address, str(port), source, str(count)]
        return json.loads(self.run(*words).stdout)

    def hold(self, address: str, port: int, source: str, count: int) -> list[Any]:
        """As `ask`, with each connection kept open until the last has its answer."""
        words = [sys.executable, str(ENDS), "hold", address, str(port), source, str(count)]
        return json.loads(self.run(*words).stdout)


def start_logged(log: Path, *words: str) -> subprocess.Popen[str]:
    """Start a program; what it says is added to a file."""
    with log.open("a") as stream:
        return subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, text=True
        )


def wait_for(happened: Callable[[], bool], deadline_s: float = 10.0) -> None:
    """Raises: AssertionError when it has not happened within the deadline."""
    end = time.monotonic() + deadline_s
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


@contextlib.contextmanager
def namespaces(*names: str) -> Iterator[list[Namespace]]:
    """Namespaces that are gone afterwards, with everything started in them."""
    made: list[Namespace] = []
    try:
        for name in names:
            full = f"accept-{os.getpid()}-{name}"
            subprocess.run(["ip", "netns", "add", full], check=True)
            made.append(Namespace(full))
            made[-1].ip("link set lo up")
            # link-local addresses would be of no use for their first second
            made[-1].run("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
        yield made
    finally:
        for namespace in made:
            for process in namespace.processes:
                process.kill()
                process.communicate()
            subprocess.run(["ip", "netns", "del", namespace.name], check=True)


def cable(left: Namespace, left_end: str, right: Namespace, right_end: str) -> None:
    """A link between two namespaces, both ends up."""
    subprocess.run(
        f"ip link add {left_end} netns {left.name} type veth"
        f" peer name {right_end} netns {right.name}".split(),
        check=True,
    )
    left.ip(f"link set dev {left_end} up")
    right.ip(f"link set dev {right_end} up")
