"""Starting the host's own programs: fixed PATH and locale, always a deadline, never a shell."""

from __future__ import annotations

import os
import subprocess
import time
from typing import NamedTuple

from .refusal import RefusedError

# systemd.unit(5), the unit search path
TRANSIENT = "/run/systemd/transient"
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
    "SYSTEMD_PAGER": "",
}


class Outcome(NamedTuple):
    """What a program left behind."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The program's own words: stderr, else stdout."""
        return (self.err.strip() or self.out.strip())[-2000:]


def run(
    *argv: str, stdin: str = "", timeout_s: float = 30, environment: dict[str, str] | None = None
) -> Outcome:
    """Run one program to its end.

    In:  argv; text for its stdin; a deadline.
    Out: exit code and both streams, whatever the code.
    Units: timeout_s in seconds.
    Raises: RefusedError when the program is missing or the deadline passes.
    """
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            cwd="/",
            env=ENVIRONMENT | (environment or {}),
        )
    except FileNotFoundError as missing:
        raise RefusedError(
            f"{argv[0]} is not on this host",
            fix="enroll the host again: it installs what is missing",
        ) from missing
    except subprocess.TimeoutExpired as late:
        raise RefusedError(f"`{' '.join(argv)}` did not end within {timeout_s:g} s") from late
    return Outcome(done.returncode, done.stdout, done.stderr)


def must(*argv: str, stdin: str = "", timeout_s: float = 30) -> str:
    """Run one program that has to succeed.

    Out: its stdout.
    Raises: RefusedError with the program's own complaint.
    """
    outcome = run(*argv, stdin=stdin, timeout_s=timeout_s)
    if outcome.code:
        raise RefusedError(f"`{' '.join(argv)}` failed ({outcome.code}): {outcome.complaint}")
    return outcome.out


def unit_properties(unit: str, *names: str) -> dict[str, str]:
    """Properties of a systemd unit.

    Out: name -> value; an unknown unit has LoadState not-found.
    """
    out = must("systemctl", "show", unit, "-p", ",".join(names), timeout_s=10)
    return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)


def transient_units() -> list[str]:
    """Files of transient units that systemd knows; without asking it, which takes milliseconds."""
    try:
        return os.listdir(TRANSIENT)
    except FileNotFoundError:  # until the first
        return []


def active_units(*units: str) -> set[str]:
    """Those of `units` that systemd calls active."""
    if not units:
        return set()
    answers = run("systemctl", "is-active", *units, timeout_s=10).out.splitlines()
    return {unit for unit, answer in zip(units, answers, strict=False) if answer == "active"}


def boot_id() -> str:
    """The kernel's identity of this boot; a namespace host shares it with its machine, so init's
    start is added.
    """
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
        kernel = stream.read().strip()
    with open("/proc/1/stat", encoding="utf-8", errors="replace") as stream:
        started = stream.read().rsplit(")", 1)[1].split()[19]
    return f"{kernel}-{started}"


def boottime_s() -> float:
    """Seconds since boot, counting suspend: a clock nobody can set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def memory_kib() -> dict[str, int]:
    """Memory of this host, in kibibytes: `total` and `available`."""
    wanted = {"MemTotal": "total", "MemAvailable": "available"}
    with open("/proc/meminfo", encoding="ascii") as stream:
        rows = dict(line.split(":", 1) for line in stream)
    return {short: int(rows[name].split()[0]) for name, short in wanted.items()}
