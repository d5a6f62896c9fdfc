"""A DS goes before its zone does: a real Knot as the parent, and the very commands of DnsZone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.accept.dns_hosts import DS_SECRET, Machine
from tests.accept.network import namespaces, wait_for

ADDRESS = "192.0.2.200"
KEY = "loopback-ds"
LOOPBACK = str(Path(sys.executable).parent / "loopback")
DS = "DS 12345 13 2 " + "AB" * 32
CONFIGURATION = f"""\
server:
    listen: {ADDRESS}@53
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
key:
  - id: {KEY}
    algorithm: hmac-sha256
    secret: {DS_SECRET}
acl:
  - id: ds
    key: {KEY}
    action: update
    update-type: [DS]
zone:
  - domain: example.
    storage: /var/lib/knot
    file: example.zone
    acl: ds
"""
ZONE = f"""\
$ORIGIN example.
@ 3600 SOA ns hostmaster 1 3600 900 604800 3600
@ 3600 NS ns
ns 3600 A {ADDRESS}
short 3600 NS ns.elsewhere.test.
short 1 {DS}
long 3600 NS ns.elsewhere.test.
long 7200 {DS}
plain 3600 NS ns.elsewhere.test.
"""


@pytest.fixture(scope="module")
def parent(image, tmp_path_factory):
    with namespaces("parent") as made:
        made[0].ip(f"address add {ADDRESS}/32 dev lo")
        machine = Machine("parent", made[0], tmp_path_factory.mktemp("parent"), image, ADDRESS)
        machine.prepare()
        (machine.ground / "etc/knot/knot.conf").write_text(CONFIGURATION)
        (machine.ground / "var/lib/knot/example.zone").write_text(ZONE)
        machine.start()
        wait_for(lambda: machine.serial("example.") > 0, 30)
        yield machine
        machine.stop()


def call(parent: Machine, verb: str, zone: str, **more: object) -> subprocess.CompletedProcess[str]:
    """A Command's call, on a host that sees the parent."""
    order = {"zone": zone, "signed": True, "addresses": [ADDRESS], "key_name": "", "secret": ""}
    return subprocess.run(
        ["nsenter", f"--net=/run/netns/{parent.space.name}", LOOPBACK, "dns", verb],
        input=json.dumps({**order, **more}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_zone_without_signatures_may_have_no_ds(parent):
    refused = call(parent, "ds-look", "short.example.", signed=False)
    assert refused.returncode == 1
    assert "no validating resolver" in " ".join(refused.stderr.split())
    assert call(parent, "ds-look", "plain.example.", signed=False).returncode == 0


def test_without_a_key_somebody_has_to_take_it_out(parent):
    refused = call(parent, "ds-out", "short.example.")
    assert refused.returncode == 1
    assert "take the DS out at the registrar" in " ".join(refused.stderr.split())
    assert parent.answer("short.example.", "DS") != []


def test_with_its_key_the_ds_is_out_and_caches_are_waited_for(parent):
    key = {"key_name": KEY, "secret": DS_SECRET}
    done = call(parent, "ds-out", "short.example.", **key)
    assert done.returncode == 0, done.stderr
    assert "1 s have passed" in done.stdout
    assert parent.answer("short.example.", "DS") == []
    # what caches keep for hours is not waited for, and said
    longer = call(parent, "ds-out", "long.example.", **key)
    assert longer.returncode == 1
    assert "run it again in 7200 s" in " ".join(longer.stderr.split())
    assert parent.answer("long.example.", "DS") == []


def test_a_parent_that_does_not_answer_stops_it(parent):
    silent = call(parent, "ds-out", "short.example.", addresses=[ADDRESS, "192.0.2.201"])
    assert silent.returncode == 1
    assert "192.0.2.201 does not say" in " ".join(silent.stderr.split())


def test_what_is_no_order_is_not_shown(parent):
    told = call(parent, "ds-out", "short.example.", token="hunter2")
    assert told.returncode == 2
    assert "hunter2" not in told.stderr + told.stdout
