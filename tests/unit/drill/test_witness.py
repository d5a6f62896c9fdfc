"""What routers print, read back: texts as the daemons of the lab print them, and a live monitor."""

from __future__ import annotations

import time
from ipaddress import ip_network
from pathlib import Path

import pytest

from loopback_iac.lab.drill.witness import (
    RouteWatch,
    Standing,
    count_falls,
    parse_bfd_sessions,
    parse_bfd_since,
    parse_bgp_since,
    parse_route_changes,
    parse_sessions,
    route_at,
)
from loopback_iac.lab.paths import LabError

PROTOCOLS = """BIRD 2.17.5 ready.
Name       Proto      Table      State  Since         Info
device1    Device     ---        up     23:00:00.000
fra1_4     BGP        ---        start  23:01:00.000  Idle          BFD session down
  BGP state:          Idle
    Neighbor address: 192.0.2.1
    Neighbor AS:      64500
    Error wait:       1.1/2
    Last error:       BFD session down
  Channel ipv4
    State:          DOWN
par1_6     BGP        ---        up     23:00:00.000  Established
  BGP state:          Established
    Neighbor address: 2001:db8:ff:1::1%par1
    Neighbor AS:      64500
  Channel ipv6
    State:          UP
"""
BFD = """BIRD 2.17.5 ready.
bfd1:
IP address                Interface  State      Since         Interval  Timeout
192.0.2.1                 fra1       Down       2026-11-20 23:22:14.540    1.000    0.000
2001:db8:ff:1::1          par1       Up         23:00:00.000    0.050    0.150
"""


def test_sessions_are_read_with_the_reason_of_their_fall():
    down, up = parse_sessions(PROTOCOLS)
    assert (down.protocol, down.neighbor, down.family) == ("fra1_4", "192.0.2.1", 4)
    assert not down.established
    assert down.last_error == "BFD session down"
    assert (up.neighbor, up.family, up.established, up.last_error) == (
        "2001:db8:ff:1::1", 6, True, "",
    )  # fmt: skip


def test_bfd_sessions_are_read():
    down, up = parse_bfd_sessions(BFD)
    assert (down.neighbor, down.up) == ("192.0.2.1", False)
    assert (up.up, up.interval_s, up.timeout_s) == (True, 0.05, 0.15)


UP = "192.0.2.1    fra1    {}     2026-11-20 20:15:48.{}    0.300    0.900\n"


def test_a_session_that_a_router_tells_a_moment_later_did_not_fall():
    """Of 150 prints of a BFD session that stood, two told its time 1 and 2 ms later."""

    def stood(state, ms):
        return Standing({}, parse_bfd_since(UP.format(state, ms)))

    assert count_falls(stood("Up", "998"), stood("Up", "999")).bfd == ()
    assert count_falls(stood("Up", "998"), stood("Up", "796")).bfd == ("192.0.2.1",)
    assert count_falls(stood("Up", "998"), stood("Down", "998")).bfd == ("192.0.2.1",)
    assert count_falls(stood("Up", "998"), Standing({}, {})).bfd == ("192.0.2.1",)


@pytest.mark.parametrize(("parse", "text"), [(parse_bfd_since, BFD), (parse_bgp_since, PROTOCOLS)])
def test_a_session_of_unknown_age_is_never_left_out(parse, text):
    """Judged by nothing, it could not fall."""
    with pytest.raises(LabError, match=r"since when: .*23:0"):
        parse(text)


def test_since_when_a_bgp_session_stands_is_read():
    row = "fra1_4     BGP        ---        up     2026-11-20 23:01:00.250  Established\n"
    device = "device1    Device     ---        up     2026-11-20 23:00:00.000\n"
    (name,) = found = parse_bgp_since(device + row)
    assert (name, found[name].state, round(found[name].at_s % 60, 3)) == ("fra1_4", "up", 0.25)


def test_nothing_is_read_from_a_daemon_that_is_not_there():
    assert parse_sessions("Unable to connect to server control socket") == ()
    assert parse_bfd_sessions("") == ()
    assert parse_route_changes("garbage\n[x] y\n", {"203.0.113.0/24": 4}) == ()


def test_route_changes_are_seen_live_with_the_time_of_this_machine(wire):
    prefixes = [ip_network("192.0.2.0/24"), ip_network("2001:db8:99::/48")]
    change = (
        ("route", "add", "192.0.2.0/24", "via", "198.51.100.1"),
        ("-6", "route", "add", "2001:db8:99::/48", "via", "2001:db8:c1::1"),
        ("route", "add", "198.18.0.0/15", "via", "198.51.100.1"),
        ("route", "replace", "192.0.2.0/24", "dev", "lo"),
        ("route", "del", "192.0.2.0/24"),
        ("-6", "route", "del", "2001:db8:99::/48"),
        ("route", "del", "198.18.0.0/15"),
    )
    with RouteWatch(Path("/run/netns") / wire.client, prefixes) as watch:
        begun = time.time_ns()
        for words in change:
            wire.inside(wire.client, "ip", *words)
        time.sleep(1)
        ended = time.time_ns()
    four = [c.towards for c in watch.changes if c.family == 4]
    six = [c.towards for c in watch.changes if c.family == 6]
    assert (four, six) == (["wire0", "lo", None], ["wire0", None])
    assert all(begun <= c.realtime_ns <= ended for c in watch.changes)
    assert route_at(watch.changes, 4, begun) is None
    assert route_at(watch.changes, 4, ended).towards is None
