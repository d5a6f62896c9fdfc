"""Debian's own Prometheus and promtool for tests, unpacked into the cache, never installed."""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
from pathlib import Path

from loopback_iac.lab.paths import cache_root

PACKAGE = "prometheus"
PROGRAMS = ("prometheus", "promtool")


def ensure_prometheus() -> Path:
    """The folder with both programs, fetched once by the machine's apt (19 MB)."""
    version = _candidate()
    made = cache_root() / f"{PACKAGE}-{version.replace(':', '_')}"
    cache_root().mkdir(parents=True, exist_ok=True)
    descriptor = os.open(cache_root(), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if not made.is_dir():
            _unpack(version, made)
    finally:
        os.close(descriptor)
    return made


def _candidate() -> str:
    for before in ([], ["apt-get", "update", "-qq"]):
        if before:  # a machine whose package lists were thrown away
            subprocess.run(before, check=True, capture_output=True)
        shown = _run("apt-cache", "show", "--no-all-versions", PACKAGE).splitlines()
        found = [line.split(": ")[1] for line in shown if line.startswith("Version: ")]
        if found:
            return found[0]
    raise AssertionError(f"apt on this machine knows no package {PACKAGE}")


def _unpack(version: str, made: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache_root(), prefix=".prometheus-") as folder:
        # as root: apt's own user may not write here, and says so as a warning
        options = ("-qq", "-o", "APT::Sandbox::User=root")
        subprocess.run(
            ["apt-get", *options, "download", f"{PACKAGE}={version}"], cwd=folder, check=True
        )
        (package,) = Path(folder).glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", str(package), f"{folder}/root"], check=True)
        (Path(folder) / "bin").mkdir()
        for program in PROGRAMS:
            (Path(folder) / "root/usr/bin" / program).rename(Path(folder) / "bin" / program)
        (Path(folder) / "bin").rename(made)


def _run(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout
