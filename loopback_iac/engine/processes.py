"""Children of the engine: started on a leash, ended with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from loopback_iac.engine.errors import EngineError

_LEASH = Path(__file__).with_name("leash.py")
_LOOPBACK = "127.0.0.1"
START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 5.0
_POLL_S = 0.01
# sdk/python/lib/pulumi/runtime/_grpc_settings.py; the default of 4 MiB refuses real payloads.
MESSAGE_BYTES = 400 * 1024 * 1024
GRPC_OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.enable_http_proxy", 0),
]


@dataclass(frozen=True, slots=True)
class Command:
    """What a child runs: kind is path, module or exec (see leash.py)."""

    python: Path
    kind: str
    target: str
    arguments: tuple[str, ...] = ()


class Child:
    """A running child; its output is kept for the message when it fails."""

    def __init__(self, command: Command, work_dir: Path, environment: dict[str, str]) -> None:
        argv = [str(command.python), "-P", "-u", str(_LEASH)]
        argv += [command.kind, command.target, *command.arguments]
        # No preexec_fn: with gRPC's threads in this process it crashes children now and then.
        self._process = subprocess.Popen(
            argv,
            cwd=work_dir,
            env=_child_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C reaches us alone; we decide what ends when
        )
        self._tail: deque[str] = deque(maxlen=60)
        self._reaping = threading.Lock()
        self._readers: list[threading.Thread] = []
        if self._process.stdin is None:
            raise EngineError("a child started without its leash")
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(environment).encode() + b"\n")
            self._process.stdin.flush()

    def read_port(self, what: str) -> int:
        """
        Wait for the port a plugin prints as its first line, then drain its output.

        Raises: EngineError with the plugin's own words when none comes within START_TIMEOUT_S.
        """
        self._drain(self._process.stderr)
        answer: list[str] = []
        stdout = self._process.stdout

        def read() -> None:
            if stdout is not None:
                answer.append(stdout.readline().decode(errors="replace").strip())

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        reader.join(START_TIMEOUT_S)
        if not answer or not answer[0].isdigit():
            self.end()
            got = repr(answer[0]) if answer and answer[0] else "nothing"
            words = f"could not start {what}: got {got} instead of a port number\n{self.tail()}"
            raise EngineError(words.rstrip())
        self._drain(stdout)
        return int(answer[0])

    def drain(self) -> None:
        """Keep the child's output from filling its pipes."""
        self._drain(self._process.stdout)
        self._drain(self._process.stderr)

    def _drain(self, stream: IO[bytes] | None) -> None:
        def read() -> None:
            for line in stream or ():
                self._tail.append(line.decode(errors="replace").rstrip("\n"))

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        self._readers.append(thread)

    def tail(self) -> str:
        """The last lines the child printed."""
        return "\n".join(self._tail)

    def wait(self, timeout_s: float | None = None) -> int | None:
        """The exit code, or None when it is still running after `timeout_s`."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._has_ended():
            if deadline is not None and time.monotonic() > deadline:
                return None
            time.sleep(_POLL_S)
        code = self._reap()
        for reader in self._readers:
            reader.join(END_TIMEOUT_S)
        return code

    def end(self) -> None:
        """End the child and everything in its group: politely, then not."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._signal_group(number)
            if self.wait(END_TIMEOUT_S) is not None:
                break
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()

    def _has_ended(self) -> bool:
        """Look without reaping: a zombie keeps its number from being given to a stranger."""
        with self._reaping:
            if self._process.returncode is not None:
                return True
            options = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, self._process.pid, options) is not None

    def _reap(self) -> int:
        with self._reaping:
            if self._process.returncode is None:
                self._signal_group_unguarded(signal.SIGKILL)  # what the leader left behind
            return self._process.wait()

    def _signal_group(self, number: signal.Signals) -> None:
        with self._reaping:
            if self._process.returncode is None:
                self._signal_group_unguarded(number)

    def _signal_group_unguarded(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def _child_environment() -> dict[str, str]:
    """Our own environment, minus the passphrase, plus what gRPC needs to stay quiet and local."""
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("PULUMI_CONFIG_PASSPHRASE")
    }
    environment["PYTHONUNBUFFERED"] = "1"
    environment.setdefault("GRPC_VERBOSITY", "NONE")
    exempt = environment.get("no_proxy", "")
    environment["no_proxy"] = ",".join(filter(None, [exempt, _LOOPBACK, "localhost"]))
    return environment
