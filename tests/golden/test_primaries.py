"""What a primary and its name servers become, and what is refused in which words."""

from __future__ import annotations

import pytest

from loopback_iac.render import transfer_secret
from tests.golden import case as golden
from tests.golden import primaries


@pytest.mark.parametrize("name", primaries.names(rejected=True))
def test_rejected(name):
    case = primaries.load(name)
    golden.refused(case.folder, case.means, lambda: primaries.render(case))


@pytest.mark.parametrize("name", primaries.names(rejected=False))
def test_rendered(name):
    case = primaries.load(name)
    diff = golden.compare(case.folder, primaries.texts(case))
    assert not diff, f"\n{diff}"


@pytest.mark.parametrize("name", primaries.names(rejected=False))
def test_no_secret_stands_in_a_file(name):
    for files in primaries.render(primaries.load(name)).values():
        lines = [line for f in files.files.values() for line in f.text.splitlines()]
        secrets = [line for line in lines if line.lstrip().startswith("secret:")]
        assert all("@{secret:" in line for line in secrets)


def test_each_name_server_has_a_key_of_its_own():
    keys = {transfer_secret("the fleet's", server) for server in ("fra1", "par1")}
    assert len(keys) == 2
    assert {len(key) for key in keys} == {44}
    assert transfer_secret("another", "fra1") not in keys
