"""The token for IONOS: refused before it is sent when no header can hold it, and never shown."""

from __future__ import annotations

import json

import pytest

from loopback_iac.remote import ionos_dns
from loopback_iac.remote.ionos_dns import IonosDnsError, SecondaryZones, parse_order

ENDPOINT = "http://127.0.0.1:9"


def order(token: object) -> str:
    return json.dumps(
        {"zone": "example.net.", "primaries": [], "token": token, "endpoint": ENDPOINT}
    )


def test_the_end_of_a_line_is_no_part_of_a_token():
    assert parse_order(order("hunter2\r\n")).token == "hunter2"


@pytest.mark.parametrize("token", ["hunter2\nhunter3", "hunter2 3", "hunter2\x00", "hünter2", " "])
def test_what_no_header_can_hold_is_refused_and_not_shown(token):
    with pytest.raises(ValueError, match="printable ASCII") as refused:
        parse_order(order(token))
    assert "nter2" not in str(refused.value)


def test_whatever_the_library_says_of_a_header_is_not_told(monkeypatch):
    monkeypatch.setattr(ionos_dns, "_AGAIN_S", 0.0)
    with pytest.raises(IonosDnsError, match="ValueError") as refused:
        SecondaryZones(ENDPOINT, "hunter2\nhunter3").delete("example.net")
    assert "hunter" not in str(refused.value)
