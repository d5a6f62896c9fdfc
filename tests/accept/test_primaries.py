"""What primaries and name servers get goes through Knot, NSD and nft of the hosts' image."""

from __future__ import annotations

import dataclasses

import pytest

from loopback_iac.render import File
from tests.accept.parsers import check_name_server
from tests.golden import primaries


@pytest.mark.parametrize("name", primaries.names(rejected=False))
def test_every_daemon_takes_its_files(image, name):
    for host, files in primaries.render(primaries.load(name)).items():
        assert check_name_server(image, files) == [], host


@pytest.mark.parametrize(
    ("host", "path", "right", "wrong"),
    [
        ("primary", "/etc/knot/knot.conf", "ecdsap256sha256", "rsa1"),
        ("primary", "/etc/loopback/zones/example.net.zone", "IN MX 10", "IN MX ten"),
        ("fra1", "/etc/knot/knot.conf", "catalog-role: interpret", "catalog-role: read"),
        ("par1", "/etc/nsd/nsd.conf", "catalog: consumer", "catalog: eater"),
    ],
)
def test_each_would_have_refused_a_broken_one(image, host, path, right, wrong):
    files = primaries.render(primaries.load("two-servers"))[host]
    broken = File(files.files[path].text.replace(right, wrong))
    assert check_name_server(image, dataclasses.replace(files, files={**files.files, path: broken}))
