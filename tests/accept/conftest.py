"""A writable layer over the hosts' image; building the image once is part of the first run."""

from __future__ import annotations

import pytest

from loopback_iac.lab.names.image import writable_image
from tests.accept.served_zone import signed_fleet


@pytest.fixture(scope="session")
def image():
    with writable_image() as prepared:
        # the image waits for its configuration: units are masked, host keys not drawn
        for mask in (prepared.root / "etc/systemd/system").glob("*.service"):
            if mask.is_symlink():
                mask.unlink()
        prepared.run("ssh-keygen", "-A")
        yield prepared


@pytest.fixture(scope="session")
def signed_servers(image):
    with signed_fleet(image) as made:
        yield made


@pytest.fixture
def fleet(signed_servers):
    """A signer and two servers of its zone, as it signed it again after each test."""
    yield signed_servers
    signed_servers.as_signed()
