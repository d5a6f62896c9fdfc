"""Many zones new at once, and a name server that is silent: the others are told in time."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from loopback_iac.lab.names.machine import Hosts, hosts
from tests.accept.agent_step import take_step
from tests.accept.network import wait_for
from tests.golden import primaries

if TYPE_CHECKING:
    import subprocess

ZONE = "example.net."
CATALOG = "catalog.invalid."
MANY = 60
AT_ONCE = 1000
ENOUGH = 4 * AT_ONCE  # several times what Knot's limit of processor time lets through
STRANGER = "198.18.250.99"


@pytest.fixture(scope="module")
def travel(image, tmp_path_factory):
    case = primaries.load("two-servers")
    with hosts(image, tmp_path_factory.mktemp("many"), case) as made:
        for machine in (made.primary, *made.servers.values()):
            machine.start()
        wait_for(lambda: made.primary.serial(ZONE) > 0)
        made.primary.knotc("zone-notify")
        made.wait_served(ZONE)
        yield made


def answered(address: str, source: str, count: int) -> int:
    """How many questions for a zone that nobody has are answered before the connection is cut."""
    name = b"\7unknown\7example\0" + struct.pack("!2H", 6, 1)
    one = struct.pack("!7H", 12 + len(name), 7, 0, 1, 0, 0, 0) + name
    with socket.socket() as line, contextlib.suppress(ConnectionError):
        line.settimeout(30)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.bind((source, 0))
        line.connect((address, 53))
        reader = line.makefile("rb")
        for done in range(0, count, AT_ONCE):
            line.sendall(one * AT_ONCE)
            for at in range(AT_ONCE):
                size = reader.read(2)
                if len(size) < 2 or len(reader.read(int.from_bytes(size))) < 12:
                    return done + at
        return count
    return 0


def test_the_primary_is_never_cut_off_and_a_stranger_is(travel):
    """A NOTIFY of a zone that is not in the catalog yet costs a name server as such a question."""
    server, primary = travel.servers["fra1"], travel.primary
    primary.space.ip(f"addr add {STRANGER}/32 dev fra1")
    server.space.ip(f"route add {STRANGER} dev up0")
    own = travel.case.hosts["primary"]["ipv4"]

    def ask(source: str, count: int) -> int:
        return primary.space.inside(lambda: answered(server.address, source, count))

    assert ask(own, ENOUGH) == ENOUGH
    assert ask(STRANGER, 50 * ENOUGH) < 50 * ENOUGH


def add_zones(travel: Hosts, word: str, broken: str = "") -> list[str]:
    """Declare many more zones; Knot has read its new configuration when this returns."""
    records = {"@": {"NS": ["ns1.example.net.", "ns2.example.org."]}, "www": {"A": "203.0.113.9"}}
    fresh = {f"{word}-{at}.example": {"records": records} for at in range(MANY)}
    declared = {**travel.case.primary, "zones": {**travel.case.primary["zones"], **fresh}}
    travel.primary.put(
        primaries.render(primaries.Case("many", declared, travel.case.hosts))["primary"]
    )
    if broken:
        travel.put(broken, "@ IN SOA")
    done = travel.primary.knotc("reload")
    assert done.returncode == 0, done.stderr
    return [f"{name}." for name in fresh]


def wait_as_the_agent(
    travel: Hosts, zones: list[str], **patience: float
) -> subprocess.CompletedProcess[str]:
    """Its own step, on the primary."""
    return take_step(travel.primary, "zones.await_zones", *zones, **patience)


def test_many_new_zones_reach_every_name_server(travel):
    seen = len(travel.primary.log)
    fresh = add_zones(travel, "new")
    # a Knot that a busy machine lets wait for seconds is no Knot that stalls
    done = wait_as_the_agent(travel, fresh, STALL_S=60.0, AWAIT_S=90.0)
    assert done.returncode == 0, done.stderr
    # each is loaded once: twice would hold up the list of them, which is told behind all
    assert all(travel.primary.serial(zone) > 0 for zone in fresh)
    assert "received command 'zone-reload'" not in travel.primary.log
    for zone in fresh:
        travel.wait_served(zone)
    # no NOTIFY to Knot was cut off; NSD may, while it takes in a zone: Knot tells it again
    knot = travel.servers["fra1"]
    told = [
        line
        for line in travel.primary.log[seen:].splitlines()
        if f"notify, outgoing, remote {knot.address}@" in line
    ]
    assert told
    assert not [line for line in told if "connection reset" in line]
    assert f"{travel.case.hosts['primary']['ipv4']} TCP limited" not in knot.log
    # NSD asks over few connections: Knot lets no more than ten wait to be accepted
    asked = r"\[new-\S+\] AXFR, outgoing, remote 198\.18\.2\.11@(\d+) T(?:CP|LS)\S* .*started"
    ports = re.findall(asked, travel.primary.log)
    assert len(ports) >= MANY
    assert len(set(ports)) < MANY / 2


def test_a_new_zone_that_does_not_come_is_named(travel):
    fresh = add_zones(travel, "next", broken="next-7.example.")
    done = wait_as_the_agent(travel, fresh)
    assert done.returncode == 1
    assert "knot did not load next-7.example.:" in done.stderr
    assert "next-8" not in done.stderr


def test_a_silent_name_server_holds_up_no_other(travel):
    silent, other = travel.servers["fra1"], travel.servers["par1"]
    own = travel.case.hosts["primary"]
    for route in (
        f"route replace blackhole {own['ipv4']}",
        f"-6 route replace {own['ipv6']} dev lo",
    ):
        silent.space.ip(route)
    text = travel.zone_text(ZONE)
    travel.put(ZONE, f"{text}silent 300 IN TXT first\n")
    assert travel.load(ZONE).returncode == 0
    wait_for(lambda: other.serial(ZONE) == travel.primary.serial(ZONE))
    # it was waited for, once; from now on it is passed over
    travel.put(ZONE, f"{text}silent 300 IN TXT second\n")
    assert travel.load(ZONE).returncode == 0
    wait_for(lambda: other.answer(f"silent.{ZONE}", "TXT") == ['"second"'])
    wait_for(lambda: "unreachable" in travel.primary.log)
    for zone in add_zones(travel, "more"):
        wait_for(lambda zone=zone: other.serial(zone) > 0)
    # Knot goes on telling the silent one of the catalog, seconds later
    found = re.search(r"notify: \+(\d+)s", travel.primary.knotc("zone-status", CATALOG).stdout)
    assert found
    assert int(found[1]) <= 15
    assert not silent.answer(f"silent.{ZONE}", "TXT")
