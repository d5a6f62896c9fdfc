"""The Debian 13 roots hosts boot from: built once, kept in the cache, shared by all.

Three of them: the full one has every daemon of the lab, so that hosts come up in seconds; the bare
one has what a hoster delivers, and the rest has to be installed from the lab's own mirror; a node
of a cluster has containerd and runc beside the full one's.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loopback_iac.lab import sources
from loopback_iac.lab.machine import check_machine
from loopback_iac.lab.paths import LabError, cache_root

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "iproute2",
    "nftables",
    "curl",
    "ca-certificates",
    "iputils-ping",
    "procps",
    "bird2",
    "haproxy",
    "knot",
    "knot-dnsutils",
    "nsd",
    "unbound",
    "chrony",
    "wireguard-tools",
    "wireguard-go",
    "cloud-init",
    "prometheus-node-exporter",
    "prometheus-bird-exporter",
    "python3",
    "python3-cryptography",
    "python3-dnspython",
    "stayrtr",
    "rsyslog",
    "rsyslog-openssl",
    "rsyslog-relp",
    "unattended-upgrades",
    "iperf3",
    "wrk",
)
# What a hoster's installer leaves: a system that boots, SSH and Python. wireguard-go stands for the
# kernel module that a real host brings along.
BARE_PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "python3",
    "wireguard-go",
)
# Installed, and started by nobody until somebody configured it: a real host gets them that way.
WAITING = [
    "bird.service",
    "haproxy.service",
    "knot.service",
    "nsd.service",
    "unbound.service",
    "chrony.service",
    "nftables.service",
    "stayrtr.service",
    "prometheus-node-exporter.service",
    "prometheus-bird-exporter.service",
    "rsyslog.service",
    "ssh.service",
]
# No hardware, no way out, the machine's kernel, host keys that are given: nothing to do for these.
MASKED = [
    "systemd-modules-load.service",
    "console-getty.service",
    "getty@.service",
    "getty.target",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "unattended-upgrades.service",
    "dpkg-db-backup.timer",
    "fstrim.timer",
    "e2scrub_all.timer",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-journal-flush.service",
    "sshd-keygen.service",
]


@dataclass(frozen=True)
class Variant:
    """One kind of root.

    `waiting`: units that nothing starts; `roles`: what hosts of this kind are to become.
    """

    name: str
    packages: tuple[str, ...]
    waiting: tuple[str, ...]
    roles: tuple[str, ...] = ()

    @property
    def pool(self) -> tuple[str, ...]:
        """Packages that the lab's mirror offers to such hosts, with everything they need."""
        from loopback_iac.render import packages_of  # noqa: PLC0415 - slow, and rarely asked

        return packages_of(*self.roles)


FULL = Variant("image", PACKAGES, tuple(WAITING))
# no preset and nothing disabled but sshd, which the seed starts: that no daemon runs before its
# configuration is the agent's to see to
BARE = Variant(
    "bare",
    BARE_PACKAGES,
    ("ssh.service",),
    ("pop", "worker"),
)
# A worker that is a node of a Kubernetes cluster: containers, and how they get their network.
NODE = Variant(
    "node",
    (*PACKAGES, "containerd", "runc", "containernetworking-plugins"),
    (*WAITING, "containerd.service"),
)
VARIANTS = {variant.name: variant for variant in (FULL, BARE, NODE)}
# A host may not set the machine's clock (it has no CAP_SYS_TIME), so chronyd measures and serves
# time without steering it, and its unit must not be skipped for the missing capability.
_CHRONY = """\
[Unit]
ConditionCapability=
[Service]
ExecStart=
ExecStart=!/usr/sbin/chronyd -x $DAEMON_OPTS
"""
# Logs of a host that lives for minutes stay in memory and small.
_JOURNAL = "[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\n"
PRESET = "usr/lib/systemd/system-preset/00-loopback-lab.preset"
FILES = {
    "etc/systemd/system/chrony.service.d/loopback-lab.conf": _CHRONY,
    "etc/systemd/journald.conf.d/loopback-lab.conf": _JOURNAL,
    "etc/hostname": "",
    "etc/resolv.conf": "",
    "etc/apt/sources.list": "",
}
# The machine's mirrors (a URI may hold a password), its proxy, keys everybody would share.
REMOVED = (
    "etc/apt/apt.conf.d/99mmdebstrap",
    "etc/machine-id",
    "var/lib/dbus/machine-id",
)


def image_key(variant: Variant = FULL) -> str:
    """Digest of what goes into an image: its packages and the two modules that build it."""
    listed = " ".join((variant.name, *variant.packages, "/", *variant.pool))
    digest = hashlib.sha256(listed.encode())
    for module in (__file__, sources.__file__):
        digest.update(Path(module).read_bytes())
    return digest.hexdigest()[:16]


def image_path(variant: Variant = FULL) -> Path:
    """Where the image of this version stands or would stand."""
    return cache_root() / f"{variant.name}-{image_key(variant)}"


def pool_path(variant: Variant) -> Path:
    """Where the packages stand that hosts of this image may install."""
    return cache_root() / f"pool-{image_key(variant)}"


def ensure_image(variant: Variant = FULL) -> tuple[Path, bool]:
    """
    Build the image unless it is cached.

    Out: its root directory, and whether it was built now.
    Raises: LabError with the last lines of the build's complaint.
    """
    made = image_path(variant)
    if made.is_dir():
        return made, False
    check_machine()
    cache_root().mkdir(parents=True, exist_ok=True)
    with _cache_lock():
        if made.is_dir():
            return made, False
        for left in [*cache_root().glob("*-*.building"), *cache_root().glob(".apt-*")]:
            # its builder is dead: we hold the lock
            shutil.rmtree(left)
        building = made.with_suffix(".building")
        pool = pool_path(variant)
        _bootstrap(variant, building, pool.with_suffix(".building"))
        _finish(variant, building)
        if variant.pool:
            shutil.rmtree(pool, ignore_errors=True)
            pool.with_suffix(".building").rename(pool)
        building.rename(made)
    return made, True


def machine_mirrors() -> list[str]:
    """`deb` lines of the machine's own Debian mirrors, for the hosts' suite."""
    found: list[sources.Source] = []
    for path in (Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))):
        if path.suffix == ".list" and path.is_file():
            found += sources.parse_classic(path.read_text())
        elif path.suffix == ".sources":
            found += sources.parse_deb822(path.read_text())
    release = platform.freedesktop_os_release()
    codename = release.get("VERSION_CODENAME", "") if release.get("ID") == "debian" else ""
    return sources.render_mirrors(found, codename)


@contextmanager
def _cache_lock() -> Iterator[None]:
    descriptor = os.open(cache_root(), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


# mmdebstrap runs it with its own apt configuration at hand; "$1" is the root.
_FETCH = """\
set -e; mkdir -p "$LOOPBACK_POOL"; rm -f "$1"/var/cache/apt/archives/*.deb
env APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get -qq --yes --no-install-recommends \\
  --download-only install $LOOPBACK_PACKAGES
cp "$1"/var/cache/apt/archives/*.deb "$LOOPBACK_POOL"
"""


def _bootstrap(variant: Variant, root: Path, pool: Path) -> None:
    """Run mmdebstrap in its own process and mount namespace: killed, it leaves no mount behind."""
    # PR_SET_PDEATHSIG via setpriv: when this process is killed, so is the build
    alone = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork"]
    alone += ["--kill-child=KILL", "--mount-proc"]
    with tempfile.TemporaryDirectory(dir=cache_root(), prefix=".apt-") as folder:
        # a file, because a proxy's URL may hold a password and argv is public
        options = Path(folder, "apt.conf")
        options.touch(0o600)
        options.write_text(_machine_apt_options())
        mirrors = Path(folder, "sources.list")
        mirrors.touch(0o600)
        mirrors.write_text("\n".join(machine_mirrors()) + "\n")
        build = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase"]
        build += [f"--aptopt={options}", f"--include={','.join(variant.packages)}"]
        if variant.pool:
            build += [f"--customize-hook={_FETCH}"]
        wanted = {"LOOPBACK_POOL": str(pool), "LOOPBACK_PACKAGES": " ".join(variant.pool)}
        done = subprocess.run(
            [*alone, *build, sources.SUITE, str(root), str(mirrors)],
            stdin=subprocess.DEVNULL,
            env=os.environ | wanted,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
    if done.returncode:
        for left in (root, pool):
            shutil.rmtree(left, ignore_errors=True)
        said = "\n".join(done.stderr.strip().splitlines()[-8:])
        raise LabError(f"building the Debian {sources.SUITE} image failed:\n{said}")


def _machine_apt_options() -> str:
    """Proxy and validity settings of the machine's apt, needed for the download only."""
    wanted = (
        "Acquire::http",
        "Acquire::https",
        "Acquire::Check-Valid-Until",
        "Acquire::Check-Date",
    )
    done = subprocess.run(
        ["apt-config", "dump", *wanted], capture_output=True, text=True, check=True
    )
    return done.stdout


def _finish(variant: Variant, root: Path) -> None:
    """Take away what is the machine's, put in what is every host's."""
    for name in REMOVED:
        (root / name).unlink(missing_ok=True)
    for made in (
        *(root / "etc/ssh").glob("ssh_host_*"),
        *(root / "etc/apt/sources.list.d").iterdir(),
    ):
        made.unlink()
    files = dict(FILES)
    if variant is not BARE:
        files[PRESET] = "".join(f"disable {unit}\n" for unit in variant.waiting)
    for name, text in files.items():
        path = root / name
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for verb, units in (("disable", variant.waiting), ("mask", MASKED)):
        subprocess.run(
            ["systemctl", f"--root={root}", "--quiet", verb, *units],
            capture_output=True,
            check=True,
        )
