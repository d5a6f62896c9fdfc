"""What of a zone is sent to operators that are primaries, and what is refused in which words."""

from __future__ import annotations

import pytest

from tests.golden import case as golden
from tests.golden import published


@pytest.mark.parametrize("name", published.names(rejected=True))
def test_rejected(name):
    case = published.load(name)
    golden.refused(case.folder, case.means, lambda: published.texts(case))


@pytest.mark.parametrize("name", published.names(rejected=False))
def test_sent(name):
    case = published.load(name)
    diff = golden.compare(case.folder, published.texts(case))
    assert not diff, f"\n{diff}"


def test_no_operator_is_sent_its_own_soa_and_name_servers():
    found = published.texts(published.load("filled-by-api"))
    assert all(" type='SOA'" not in text for text in found.values())
    assert "hetzner" not in found["hetzner.txt"]
    assert "ui-dns" not in found["ionos.txt"]
    assert "ui-dns" in found["hetzner.txt"]
    assert "cloudflare" not in found["cloudflare.txt"].lower().replace("cloudflarerecord", "")
    assert "cloudflare" in found["ionos.txt"]
