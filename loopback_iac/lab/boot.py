"""Starting and ending hosts: an overlay on the image, booted by systemd-nspawn."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from loopback_iac.lab import cgroups
from loopback_iac.lab.namespaces import holds
from loopback_iac.lab.paths import cluster_root, write_private
from loopback_iac.lab.seeds import MIRROR_FOLDER, Seed, seed_digest, write_seed
from loopback_iac.lab.topology import MIRROR

if TYPE_CHECKING:
    from pathlib import Path

    from loopback_iac.lab.paths import InstancePaths

KEPT = ("containerd", "kubelet")
# Where a node has the binaries of the cluster.
CLUSTER = "/opt/loopback-lab"
# Its own mount namespace holds the overlay: it vanishes with the host, however the host ends.
_MOUNT_AND_BOOT = (
    'mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/up,workdir=$2/work" "$2/root"'
    ' && shift 2 && exec "$@"'
)


def prepare_disk(paths: InstancePaths, host: str, image: Path, seed: Seed) -> bool:
    """
    Make a host's disk, unless it stems from this seed and this image.

    Out: whether it was made anew; then a running host was ended first, its files are gone.
    """
    folder = paths.host(host)
    digest = seed_digest(seed, image)
    mark = folder / "seed"
    if mark.exists() and mark.read_text() == digest:
        return False
    cgroups.kill(paths, host)
    if folder.exists():
        shutil.rmtree(folder)
    for part in ("up", "work", "root"):
        (folder / part).mkdir(parents=True, mode=0o755)
    write_seed(seed, folder / "up", image)
    # the last thing: a disk without the mark was not finished
    write_private(mark, digest)
    return True


def remove_disk(paths: InstancePaths, host: str) -> None:
    """Take a host's files away; it no longer runs."""
    shutil.rmtree(paths.host(host), ignore_errors=True)


def runs(paths: InstancePaths, host: str) -> bool:
    """Whether a host has a PID 1, in the namespace that bears the host's name now."""
    running = cgroups.leader(paths, host)
    return running is not None and holds(paths, host, running)


def start(
    paths: InstancePaths,
    host: str,
    image: Path,
    *,
    containers: bool = False,
    weighed: bool = False,
) -> bool:
    """
    Boot a host whose disk and namespace exist.

    In: containers, whether it runs such: then it has cgroups of every kind, and a place for their
    layers, which cannot be put on the layers that its own disk is; weighed, whether its lab has
    hosts that do.
    Out: False when it was running. A reboot from inside ends like a power-off: the namespace would
    keep routes and tables that a machine forgets, so only the lab boots a host again.
    """
    if runs(paths, host):
        return False
    # left of a boot that was interrupted, or cut off in a namespace that somebody removed
    cgroups.kill(paths, host)
    cgroups.remove(paths, host)
    folder = paths.host(host)
    boot = ["env", "SYSTEMD_NSPAWN_API_VFS_WRITABLE=network", "systemd-nspawn", "--quiet", "--boot"]
    boot += [f"--directory={folder / 'root'}", f"--machine={paths.namespace(host)}"]
    boot += [f"--hostname={host}", "--register=no", "--keep-unit", "--console=pipe"]
    boot += [f"--network-namespace-path={paths.namespace_path(host)}", "--bind=/dev/net/tun"]
    # a host with this capability could set the machine's clock
    boot += ["--capability=all", "--drop-capability=CAP_SYS_TIME"]
    if host == MIRROR:
        paths.mirror.mkdir(exist_ok=True)
        boot += [f"--bind-ro={paths.mirror}:/{MIRROR_FOLDER}"]
    if containers:
        boot += _places(folder)
    private = ["unshare", "--mount", "--propagation", "private"]
    mount = ["sh", "-c", _MOUNT_AND_BOOT, "sh", str(image), str(folder)]
    more = cgroups.CONTAINERS if containers else cgroups.WEIGHED if weighed else ()
    placed = cgroups.ensure_cgroup(paths, host, more)
    with (folder / "console.log").open("ab") as console:
        subprocess.run(
            ["setsid", "--fork", *placed, *private, *mount, *boot],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            check=True,
        )
    return True


def _places(folder: Path) -> list[str]:
    """Directories of the machine for what containerd and the kubelet keep, and the binaries."""
    for name in KEPT:
        (folder / "kept" / name).mkdir(parents=True, exist_ok=True)
    cluster_root().mkdir(parents=True, exist_ok=True)
    return [
        *(f"--bind={folder / 'kept' / name}:/var/lib/{name}" for name in KEPT),
        f"--bind-ro={cluster_root()}:{CLUSTER}",
    ]


def console_tail(paths: InstancePaths, host: str, lines: int = 8) -> str:
    """The last words of a host's console: why it did not boot."""
    log = paths.host(host) / "console.log"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""
