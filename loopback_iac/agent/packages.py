"""Debian packages on a host that may be bare: fetched first, installed without starting anything,
held, and made whole again when an installation was cut off.

Three things keep a daemon from running before its configuration of ours stands: policy-rc.d denies
maintainer scripts to start anything, units are masked before their package comes (a host that
reboots in the middle starts nothing either), and only an apply takes the mask off.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from typing import TYPE_CHECKING, Any

from .files import read_on_disk, replace
from .programs import Outcome, active_units, must, run
from .refusal import RefusedError
from .state import LIBRARY, alone_with_packages, standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# An update of one of these touches flows; they are updated by the verb `update` in a drained
# window, never by unattended-upgrades.
DATA_PLANE_PACKAGES = frozenset(
    {"bird2", "haproxy", "wireguard-tools", "wireguard-go", "nftables", "chrony"}
)
# Units that Debian enables at installation and that would serve something by then. Not chrony: its
# own configuration only asks for the time, and a host may reboot between enroll and apply.
_SERVICES = {
    "bird2": ("bird",),
    "haproxy": ("haproxy",),
    "prometheus-node-exporter": ("prometheus-node-exporter",),
    "prometheus-bird-exporter": ("prometheus-bird-exporter",),
    "knot": ("knot",),
    "nsd": ("nsd",),
    # its own configuration keeps everything a second time; ours runs in a unit of ours
    "rsyslog": ("rsyslog",),
}
# Packages as fetched; those of the data plane are kept: the way back from an update.
ARCHIVES = f"{LIBRARY}/packages"
POLICY = "/usr/sbin/policy-rc.d"
_KEPT_POLICY = f"{POLICY}.loopback-kept"
_DENY = b"#!/bin/sh\n# loopback-agent: no daemon starts while packages are installed\nexit 101\n"
_FRONTEND_LOCK = "/var/lib/dpkg/lock-frontend"
_WAIT_S = 120.0
_OPTIONS = (
    "--yes",
    "--quiet",
    "--no-install-recommends",
    *("-o", "Dpkg::Options::=--force-confold"),
    *("-o", f"DPkg::Lock::Timeout={_WAIT_S:.0f}"),
    *("-o", f"Dir::Cache::archives={ARCHIVES}/"),
    # whatever the host's apt.conf says: nothing unsigned is installed by us
    *("-o", "APT::Get::AllowUnauthenticated=false"),
    *("-o", "Acquire::AllowInsecureRepositories=false"),
    *("-o", "Acquire::AllowDowngradeToInsecureRepositories=false"),
)
_QUIET = {"DEBIAN_FRONTEND": "noninteractive"}
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9.+-]+")
_NEEDS = re.compile(r"After this operation, ([\d.,]+) ([kMG]?)B of additional disk space")
# "dpkg: error processing archive X (--unpack):" and the reason on an indented line
_DPKG_ERROR = re.compile(r"dpkg: error.*(?:\n .*)*")
_UNIT_BYTES = {"": 1, "k": 1000, "M": 1000**2, "G": 1000**3}
_SPARE_BYTES = 8_000_000  # maintainer scripts, dpkg's own records, logs


def parse_packages(names: list[Any]) -> list[str]:
    """In: names from a request.

    Raises: RefusedError for what is no package name.
    """
    for name in names:
        if not isinstance(name, str) or not _PACKAGE.fullmatch(name):
            raise RefusedError(f"{name!r} is no Debian package name")
    return sorted(names)


def apt(*words: str, timeout_s: float = 900) -> Outcome:
    """Run apt-get with what all our calls have in common."""
    os.makedirs(ARCHIVES, mode=0o755, exist_ok=True)
    return run("apt-get", *words, *_OPTIONS, timeout_s=timeout_s, environment=_QUIET)


def update_index() -> Outcome:
    """Fetch what the mirrors offer; a fresh host's own apt may be at it, so its lock is waited for.

    Out: apt's outcome; errors of any mirror count, and what it said tells which.
    """
    end = time.monotonic() + _WAIT_S
    while True:
        done = apt("update", "-o", "APT::Update::Error-Mode=any", timeout_s=300)
        if "Could not get lock" not in done.err or time.monotonic() > end:
            return done
        time.sleep(1)


def install_packages(packages: list[str]) -> list[str]:
    """Install what is missing; no daemon starts, and what carries traffic is held.

    Out: the packages that were missing.
    Raises: RefusedError with apt's complaint; `unchanged` unless the installation itself failed.
    """
    with alone_with_packages():
        restore_policy()
        if _missing(packages) and read_half_installed():
            repair_packages()
        missing = _missing(packages)
        if missing:
            _fetch(missing)
            _install(missing)
        hold_packages(packages)
        prune_archives()
    return missing


def hold_packages(packages: Iterable[str]) -> None:
    """Keep apt's hands off packages of the data plane until `update` comes."""
    wanted = DATA_PLANE_PACKAGES & set(packages)
    if "wireguard-tools" in wanted and not _missing(["wireguard-go"]):
        wanted |= {"wireguard-go"}  # the tunnels of a kernel without WireGuard run in it
    held = sorted(wanted)
    if held:
        must("apt-mark", "hold", *held)


def read_half_installed() -> list[str]:
    """Packages that an installation left unpacked or half-configured, sorted."""
    listed = must("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n").splitlines()
    whole = ("installed", "config-files", "not-installed")
    return sorted(line.split()[0] for line in listed if line.split()[-1] not in whole)


def repair_packages() -> None:
    """Finish what an installation that was cut off left behind; nothing starts.

    Raises: RefusedError with the complaint of dpkg or apt.
    """
    broken = read_half_installed()
    with quiet_scripts():
        _mask(broken)
        with _frontend_locked():
            configured = run(
                *("dpkg", "--configure", "--pending", "--force-confold"),
                timeout_s=900,
                environment=_QUIET | {"DPKG_FRONTEND_LOCKED": "true"},
            )
        mended = apt("install", "--fix-broken")
    left = read_half_installed()
    if left or mended.code:
        raise RefusedError(
            f"{', '.join(left or broken)} half-installed since an earlier installation was cut"
            f" off: {read_complaint(mended) or configured.complaint}",
            fix="mend the cause (`dpkg --audit`, `df`), then again",
            host=f"{standing()}; nothing was started or stopped",
        )


def _missing(packages: list[str]) -> list[str]:
    if not packages:
        return []
    asked = run("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *packages).out
    there = {line.split()[0] for line in asked.splitlines() if line.endswith(" installed")}
    return [name for name in packages if name not in there]


def _fetch(missing: list[str]) -> None:
    """Everything that may fail for want of a repository, a signature or room comes first."""
    updated = update_index()
    fetched = apt("install", "--download-only", *missing)
    if fetched.code:
        raise RefusedError(
            f"apt could not fetch {', '.join(missing)}: {fetched.complaint}"
            + (f"\n    (apt-get update: {updated.complaint})" if updated.err.strip() else ""),
            fix="check the host's apt sources, then enroll again",
        )
    check_room(fetched.out)


def check_room(told: str) -> None:
    """In: what apt-get said of the installation to come.

    Raises: RefusedError when the disk would be full by it; apt itself does not look.
    """
    found = _NEEDS.search(told)
    if not found:
        return
    needs = float(found.group(1).replace(",", "")) * _UNIT_BYTES[found.group(2)] + _SPARE_BYTES
    space = os.statvfs("/usr")
    free = space.f_bavail * space.f_frsize
    if needs > free:
        run("apt-get", "clean", "-o", f"Dir::Cache::archives={ARCHIVES}/")
        raise RefusedError(
            f"the packages need {needs / 1e6:.0f} MB below /usr, {free / 1e6:.0f} MB are free",
            fix="free space there, then again",
        )


def _install(missing: list[str]) -> None:
    with quiet_scripts():
        _mask(missing)
        done = apt("install", *missing)
    if done.code:
        half = read_half_installed()
        raise RefusedError(
            f"apt could not install {', '.join(missing)}: {read_complaint(done)}",
            fix="mend the cause (`df`, `dpkg --audit`), then enroll again: it finishes what is half"
            " done",
            host=f"serving as before; half-installed: {', '.join(half) or 'nothing'},"
            " and none of it runs",
        )


def read_complaint(done: Outcome) -> str:
    """The words of dpkg, which apt passes on to stdout, before apt's own."""
    said = [" ".join(found.split()) for found in _DPKG_ERROR.findall(done.out)]
    return "; ".join(dict.fromkeys([*said, *done.err.strip().splitlines()]))[-2000:]


def _mask(packages: Iterable[str]) -> None:
    units = [unit for name in packages for unit in _SERVICES.get(name, ())]
    # what runs has its configuration: it is being updated or mended, not installed
    idle = sorted(set(units) - active_units(*units))
    if idle:
        must("systemctl", "mask", "--quiet", *idle)


@contextlib.contextmanager
def quiet_scripts() -> Iterator[None]:
    """Maintainer scripts start and stop nothing meanwhile; the host's own policy is put back."""
    found = read_on_disk(POLICY)
    if found is not None:
        os.rename(POLICY, _KEPT_POLICY)
    replace(POLICY, _DENY, 0o755)
    try:
        yield
    finally:
        restore_policy()


def restore_policy() -> None:
    """Take our policy-rc.d away, also one that a killed installation left."""
    found = read_on_disk(POLICY)
    if found is not None and found.content == _DENY:
        os.unlink(POLICY)
    if os.path.exists(_KEPT_POLICY) and not os.path.exists(POLICY):
        os.rename(_KEPT_POLICY, POLICY)


@contextlib.contextmanager
def _frontend_locked() -> Iterator[None]:
    """Wait for an apt that still runs; dpkg alone would refuse at once."""
    descriptor = os.open(_FRONTEND_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    end = time.monotonic() + _WAIT_S
    try:
        while True:
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as busy:
                if time.monotonic() > end:
                    raise RefusedError(
                        f"another program holds {_FRONTEND_LOCK} for {_WAIT_S:.0f} s",
                        fix="wait for it to end, then again",
                    ) from busy
            time.sleep(0.2)
        yield
    finally:
        os.close(descriptor)


def archive_name(package: str, version: str, architecture: str) -> str:
    """What apt calls a fetched package."""
    return f"{package}_{version.replace(':', '%3a')}_{architecture}.deb"


def prune_archives() -> None:
    """Keep the installed version of data-plane packages, remove what else was fetched."""
    shown = run("dpkg-query", "-W", "-f", "${Package} ${Version} ${Architecture}\n",
                *sorted(DATA_PLANE_PACKAGES)).out  # fmt: skip
    keep = {archive_name(*line.split()) for line in shown.splitlines() if len(line.split()) == 3}
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(ARCHIVES):
            if name.endswith(".deb") and name not in keep:
                os.unlink(f"{ARCHIVES}/{name}")
