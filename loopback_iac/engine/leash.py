"""
Runs one child of the engine so that it cannot outlive it.

Started by path, in whichever Python the child needs, so it imports the standard library only:
`python -P -u leash.py path|module|exec TARGET [ARGS...]`. Standard input is the leash: its first
line is a JSON object of environment variables (so that configuration stands in no process list and
in no /proc/PID/environ), its end means that the engine is gone, however it went.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Callable  # noqa: TC003  # also read by Pythons that run without ruff


def main() -> None:
    """Take the leash, then become the target."""
    kind, target, *arguments = sys.argv[1:]
    leash = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.environ.update(_read_environment(leash))
    if kind == "exec":
        sys.exit(_run_executable(leash, [target, *arguments]))
    _watch(leash, lambda: os._exit(1))
    sys.argv = [target, *arguments]
    if kind == "module":
        runpy.run_module(target, run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(target, run_name="__main__")


def _read_environment(leash: int) -> dict[str, str]:
    line = b""
    while not line.endswith(b"\n"):
        chunk = os.read(leash, 65536)
        if not chunk:
            sys.exit(1)
        line += chunk
    return dict(json.loads(line))


def _watch(leash: int, on_end: Callable[[], object]) -> None:
    def wait() -> None:
        while os.read(leash, 1):
            pass
        on_end()

    threading.Thread(target=wait, daemon=True).start()


def _run_executable(leash: int, command: list[str]) -> int:
    with subprocess.Popen(command) as child:
        _watch(leash, child.kill)
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        return child.wait()


if __name__ == "__main__":
    main()
