"""A parent zone on a real Knot, which takes DS records by dynamic update."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from loopback_iac.lab.names.machine import DS_SECRET, Machine
from tests.accept.network import Namespace, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopback_iac.lab.names.image import Image

ADDRESS = "192.0.2.200"
KEY = "loopback-ds"
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
held 3600 NS ns.elsewhere.test.
long 3600 NS ns.elsewhere.test.
long 7200 {DS}
"""


@contextlib.contextmanager
def parent_in(space: Namespace, image: Image, ground: Path, zone: str = ZONE) -> Iterator[Machine]:
    """The parent in a namespace; gone afterwards."""
    space.ip(f"address add {ADDRESS}/32 dev lo")
    machine = Machine("parent", space, ground, image, ADDRESS)
    machine.prepare()
    (machine.ground / "etc/knot/knot.conf").write_text(CONFIGURATION)
    (machine.ground / "var/lib/knot/example.zone").write_text(zone)
    machine.start()
    wait_for(lambda: machine.serial("example.") > 0)
    try:
        yield machine
    finally:
        machine.stop()
