"""What the stand-ins refuse of zones and records, and the files that their name servers read."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from loopback_iac.lab.cloud.book import Book
from loopback_iac.lab.cloud.cloudflare import transfers
from loopback_iac.lab.cloud.hetzner.rrsets import check_rrset, find_zone
from loopback_iac.lab.cloud.hetzner.vendor import Hetzner
from loopback_iac.lab.cloud.ionos.vendor import Ionos
from loopback_iac.lab.cloud.ionos.zones import refuse_held
from loopback_iac.lab.cloud.kinds import ApiError
from loopback_iac.lab.cloud.zones import Held, NameServer, Source
from loopback_iac.lab.paths import InstancePaths, LabError

ZONE = Hetzner().connect(threading.Event())["hcloud:index/zone:Zone"]
RECORD = Ionos().connect(threading.Event())["ionoscloud:dns/record:Record"]
PRIMARY = {"address": "192.0.2.1", "tsigAlgorithm": "hmac-sha256", "tsigKey": "eHl6"}


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ({"mode": "primary", "ttl": 3600}, ""),
        ({"mode": "secondary", "primaryNameservers": [PRIMARY]}, ""),
        ({"mode": "hidden"}, 'must be one of: ["primary" "secondary"], got: "hidden"'),
        ({"mode": "primary", "primaryNameservers": [PRIMARY]}, "forbidden when mode is primary"),
        ({"mode": "secondary", "primaryNameservers": []}, "required when mode is secondary"),
        ({"mode": "primary", "ttl": 59}, "between 60 and 2147483647, got: 59"),
        (
            {
                "mode": "secondary",
                "primaryNameservers": [{**PRIMARY, "tsigAlgorithm": "hmac-sha512"}],
            },
            "hmac-sha512 is none of",
        ),
    ],
)
def test_zones_that_hetzners_provider_refuses(zone, said):
    found = " ".join(text for _, text in ZONE.check(zone))
    assert said in found
    assert bool(found) is bool(said)


@pytest.mark.parametrize(
    ("rrset", "said"),
    [
        ({"type": "A", "name": "www", "records": [{"value": "192.0.2.1"}]}, ""),
        ({"type": "TXT", "name": "@", "records": [{"value": r'"a \" b" "c"'}]}, ""),
        ({"type": "TXT", "name": "@", "records": [{"value": "bare"}]}, "strings in quotes"),
        ({"type": "SSHFP", "name": "@"}, 'got: "SSHFP"'),
        ({"type": "A", "name": "WWW"}, "not lower case"),
        ({"type": "A", "name": "www."}, "ends with a dot"),
        ({"type": "A", "name": "www", "records": []}, "at least 1 elements"),
        ({"type": "A", "name": "www", "records": [{"value": "a"}, {"value": "a"}]}, "distinct"),
    ],
)
def test_sets_that_hetzners_provider_refuses(rrset, said):
    found = " ".join(text for _, text in check_rrset(rrset))
    assert said in found
    assert bool(found) is bool(said)


def test_a_secondary_zone_takes_no_records():
    book = Book()
    book.of("zone")["7"] = {"name": "example.net", "mode": "secondary"}
    with pytest.raises(ApiError) as refused:
        find_zone(book, "example.net")
    assert refused.value.code == "incorrect_zone_mode"
    book.of("zone")["7"]["mode"] = "primary"
    assert find_zone(book, 7)[0] == "7"


def test_a_zone_is_held_once_at_ionos():
    book = Book()
    book.of("secondary_zone")["x"] = {"zoneName": "example.net"}
    refuse_held(book, "example.org")
    with pytest.raises(ApiError, match="already exists"):
        refuse_held(book, "example.net")


def test_ionos_provider_refuses_a_priority_beyond_16_bits():
    assert RECORD.check({"priority": 65_535}) == []
    assert "got 65536" in RECORD.check({"priority": 65_536})[0][1]


def test_two_keys_of_one_name_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("LOOPBACK_STATE", str(tmp_path))
    server = NameServer(InstancePaths("keys"), "hcloud", Path("/nowhere"))
    held = [
        Held(
            f"{name}.example", sources=(Source("192.0.2.1", 53, "hetzner", "hmac-sha256", secret),)
        )
        for name, secret in (("a", "eHl6"), ("b", "enl4"))
    ]
    with pytest.raises(LabError, match="one TSIG key of a name"):
        server.serve(held)


def test_two_creates_of_one_transfer_at_cloudflare_leave_one(monkeypatch):
    """Each is one call: between the look and what is written nobody else comes."""
    book, calls = Book(), []
    book.of("zone")["z"] = {"type": "secondary"}

    class Account:
        @contextmanager
        def call(self, verb, kind, name):
            calls.append((verb, kind, name))
            yield book

    monkeypatch.setattr(transfers, "serve_zones", lambda *_: None)
    transfer = transfers.Incomings(Account())
    wanted = {"zoneId": "z", "name": "first", "autoRefreshSeconds": 300, "peers": []}
    assert transfer.create(wanted) == ("z", {"soaSerial": 0})
    with pytest.raises(ApiError, match="already"):
        transfer.create({**wanted, "name": "second"})
    assert book.of("incoming")["z"]["name"] == "first"
    assert calls == [("create", "incoming", "first"), ("create", "incoming", "second")]
