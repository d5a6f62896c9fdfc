"""A writable layer over the hosts' image, for daemons that run without a host of their own."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loopback_iac.agent import build
from loopback_iac.lab.image import ensure_image
from loopback_iac.lab.names.space import is_running

if TYPE_CHECKING:
    from collections.abc import Iterator


PREFIX = "loopback-names-"


@dataclass(frozen=True)
class Image:
    """A writable root over the hosts' image."""

    root: Path

    def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run in the root, alone on its network, with a /proc of its own."""
        root = shlex.quote(str(self.root))
        inside = f"mount -t proc proc {root}/proc && exec chroot {root} {shlex.join(words)}"
        return subprocess.run(
            ["unshare", "--net", "--mount", "--fork", "sh", "-c", inside],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def write(self, path: str, text: str, mode: str = "0644") -> None:
        """Write a file, with the directories that it lies in."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(int(mode, 8))

    def empty(self, path: str) -> None:
        """Make a directory anew."""
        target = self.root / path.lstrip("/")
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)


@contextlib.contextmanager
def writable_image() -> Iterator[Image]:
    """The image and our agent under a layer that is gone afterwards; built where it is not there.

    Raises: LabError when it cannot be built.
    """
    lower, _ = ensure_image()
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-") as name:
        ground = Path(name)
        # overlay refuses an upper directory on some file systems, never on tmpfs
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", name], check=True)
        try:
            with overlaid(lower, ground) as root:
                agent = root / "usr/local/sbin/loopback-agent"
                agent.write_bytes(build())
                agent.chmod(0o755)
                yield Image(root)
        finally:
            subprocess.run(["umount", name], check=True)


def sweep_images() -> None:
    """Remove what a run left that was killed; its namespaces must be gone."""
    for ground in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        if not is_running(ground.name.removeprefix(PREFIX).split("-")[0]):
            for mounted in (ground / "root", ground):
                if mounted.is_mount():
                    subprocess.run(["umount", "--lazy", str(mounted)], check=True)
            shutil.rmtree(ground)


@contextlib.contextmanager
def overlaid(lower: Path, ground: Path) -> Iterator[Path]:
    """In: what lies below, and a directory on a tmpfs for what is written."""
    for name in ("up", "wk", "root"):
        (ground / name).mkdir()
    root = ground / "root"
    layers = f"lowerdir={lower},upperdir={ground}/up,workdir={ground}/wk"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(root)], check=True)
    try:
        yield root
    finally:
        subprocess.run(["umount", str(root)], check=True)
