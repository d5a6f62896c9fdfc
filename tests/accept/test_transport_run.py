"""Transfers over TLS: what stands on the wire, and whom name servers take for their primary."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from loopback_iac.lab.names.machine import SECRET, Hosts, hosts
from loopback_iac.render.transport import CERTIFICATE, KEY, PIN, transport_values
from tests.accept.network import wait_for
from tests.golden import primaries

if TYPE_CHECKING:
    from pathlib import Path

ZONE = "example.net."
ALL_FRAMES = 3  # ETH_P_ALL
ROOM_BYTES = 1 << 24
ANOTHER = "another secret"  # of this test


@pytest.fixture
def travel(image, tmp_path_factory):
    with hosts(image, tmp_path_factory.mktemp("dns"), primaries.load("two-servers")) as made:
        for machine in (made.primary, *made.servers.values()):
            machine.start()
        wait_for(lambda: made.primary.serial(ZONE) > 0)
        made.primary.knotc("zone-notify")
        made.wait_served(ZONE)
        yield made


def listen(travel: Hosts) -> socket.socket:
    """Everything that comes to the primary, or leaves it."""

    def opened() -> socket.socket:
        line = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_FRAMES))
        line.setsockopt(socket.SOL_SOCKET, 33, ROOM_BYTES)  # SO_RCVBUFFORCE
        line.settimeout(0)
        return line

    return travel.primary.space.inside(opened)


def heard(line: socket.socket) -> list[bytes]:
    found = []
    with line:
        while True:
            try:
                found.append(line.recv(1 << 16))
            except BlockingIOError:
                return found


def change(travel: Hosts, label: str) -> None:
    travel.put(ZONE, f"{travel.zone_text(ZONE)}{label} 300 IN TXT {label}\n")
    assert travel.load(ZONE).returncode == 0


def test_nothing_of_a_zone_is_readable_on_its_way(travel):
    line = listen(travel)
    change(travel, "first-hidden")
    travel.wait_served(ZONE)
    # as the whole zone as well, not as a difference alone
    for server in travel.servers.values():
        assert server.answer(f"first-hidden.{ZONE}", "TXT") == ['"first-hidden"']
    travel.servers["fra1"].knotc("-b", "zone-retransfer", ZONE)
    frames = heard(line)
    text = b"".join(frames)
    assert b"first-hidden" not in text
    assert b"\x03www" not in text
    # it was not deaf: NOTIFY names the zone
    assert b"\x07example\x03net" in text
    assert sum(len(frame) for frame in frames) > 5000


def put_key(folder: Path, secret: str, before: str) -> None:
    """The files of one host, as they are with another secret."""
    old, new = (
        {**transport_values(s, "primary"), **transport_values(s, "knot")} for s in (before, secret)
    )
    for path in (folder / "etc").rglob("*"):
        if path.is_file() and "zones" not in path.parts:
            text = path.read_text()
            for mark in (KEY, CERTIFICATE, PIN):
                text = text.replace(old[mark], new[mark])
            path.write_text(text)


def test_who_is_not_the_primary_is_believed_nothing_and_zones_stay(travel):
    """Also the middle of a replaced secret: the primary has the new one, name servers not yet."""
    before = travel.primary.serial(ZONE)
    travel.primary.stop()
    put_key(travel.primary.ground, ANOTHER, SECRET)
    travel.primary.start()
    wait_for(lambda: travel.primary.serial(ZONE) > 0)
    change(travel, "unseen")
    knot, nsd = travel.servers["fra1"], travel.servers["par1"]
    travel.primary.knotc("zone-notify", ZONE)
    wait_for(lambda: "unknown certificate key" in knot.log)
    wait_for(lambda: "certificate verify failed" in nsd.log)
    for server in (knot, nsd):
        assert server.serial(ZONE) == before
        assert server.answer(f"www.{ZONE}", "A") == ["203.0.113.10"]
        server.stop()
        put_key(server.ground, ANOTHER, SECRET)
        server.start()
    # as its unit asks after a start
    wait_for(lambda: knot.knotc("zone-refresh").returncode == 0)
    travel.wait_served(ZONE)
    for server in (knot, nsd):
        assert server.answer(f"unseen.{ZONE}", "TXT") == ['"unseen"']


ASK = {
    "fra1": ("knotc", "zone-refresh", ZONE),
    "par1": ("nsd-control", "-c", "/etc/nsd/nsd.conf", "transfer", ZONE),
}


@pytest.mark.parametrize("name", ASK, ids=["knot", "nsd"])
def test_a_primary_that_was_lost_in_a_handshake_is_asked_again_in_seconds(travel, name):
    """The connection stands, and nobody answers it; NSD by itself forgets the NOTIFY after it."""
    server, own = travel.servers[name], travel.case.hosts["primary"]["ipv4"]
    travel.primary.stop(kill=True)
    with travel.primary.space.inside(lambda: socket.create_server((own, 853))) as mute:
        mute.settimeout(60)
        assert server.run(*ASK[name]).returncode == 0
        held, (asker, _) = mute.accept()
    with held:
        assert asker == server.address
        travel.put(ZONE, f"{travel.zone_text(ZONE)}late 300 IN TXT late\n")
        travel.primary.start()
        wait_for(lambda: travel.primary.answer(f"late.{ZONE}", "TXT") == ['"late"'])
        travel.primary.knotc("zone-notify", ZONE)
        # NSD: 10 s until it gives up, 20 s until it asks again
        wait_for(lambda: server.answer(f"late.{ZONE}", "TXT") == ['"late"'], 180)
