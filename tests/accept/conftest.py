"""A writable layer over the hosts' image; building the image once is part of the first run."""

from __future__ import annotations

import subprocess

import pytest

from loopback_iac.lab.image import ensure_image
from tests.accept.parsers import Image
from tests.accept.served_zone import signed_fleet


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    lower, _ = ensure_image()
    # overlay refuses an upper directory on some file systems, never on tmpfs
    ground = tmp_path_factory.mktemp("accept")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(ground)], check=True)
    try:
        for name in ("up", "wk", "root"):
            (ground / name).mkdir()
        root = ground / "root"
        layers = f"lowerdir={lower},upperdir={ground}/up,workdir={ground}/wk"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(root)], check=True)
        try:
            prepared = Image(root)
            # the image waits for its configuration: units are masked, host keys not drawn
            for mask in (root / "etc/systemd/system").glob("*.service"):
                if mask.is_symlink():
                    mask.unlink()
            prepared.run("ssh-keygen", "-A")
            prepared.write("/usr/local/sbin/loopback-agent", "#!/bin/sh\n", "0755")
            yield prepared
        finally:
            subprocess.run(["umount", str(root)], check=True)
    finally:
        subprocess.run(["umount", str(ground)], check=True)


@pytest.fixture(scope="session")
def signed_servers(image):
    with signed_fleet(image) as made:
        yield made


@pytest.fixture
def fleet(signed_servers):
    """A signer and two servers of its zone, as it signed it again after each test."""
    yield signed_servers
    signed_servers.as_signed()
