"""What the lab's upstreams take from a PoP, shown with a BIRD configured by hand."""

from __future__ import annotations

import time

import pytest

CONFIG = """
log stderr all;
router id 192.0.2.3;
protocol device {{}}
protocol bfd {{
  accept direct; strict bind on;
  interface "t*" {{ interval 300 ms; multiplier 10; }};
}}
protocol static {{
  ipv4;
  route 203.0.113.0/24 unreachable;
  route 203.0.113.128/25 unreachable;
  route 198.51.100.0/24 unreachable;
  route 203.0.113.66/32 unreachable {{ bgp_community.add((65535, 666)); }};
  route 203.0.113.67/32 unreachable;
}}
protocol bgp up {{
  local as 64500; neighbor 192.0.2.2 as 64496; source address 192.0.2.3; interface "t1";
  direct; strict bind on; ttl security on; authentication md5; password "{md5}";
  {role}
  hold time 9; keepalive time 3; connect delay time 1; connect retry time 1; error wait time 1, 1;
  bfd {{ interval 300 ms; multiplier 10; }};
  ipv4 {{ import all; export all; }};
}}
"""
CONTROL = "/run/probe.ctl"


@pytest.fixture
def neighbour(lab):
    """Starts a hand-made BIRD on par1, which talks to t1; nothing of it stays."""

    def start(md5, role):
        text = CONFIG.format(md5=md5, role=role)
        lab.exec("par1", ["sh", "-c", "umask 077; cat > /run/probe.conf"], text=text)
        done = lab.exec(
            "par1", ["sh", "-c", f"bird -c /run/probe.conf -s {CONTROL} > /run/probe.log 2>&1"]
        )
        assert done.returncode == 0, lab.exec("par1", ["cat", "/run/probe.log"]).stdout

    yield start
    lab.exec("par1", ["birdc", "-s", CONTROL, "down"])
    time.sleep(0.5)
    lab.exec("par1", ["sh", "-c", "rm -f /run/probe.*"])


def until(condition, within_s=60.0):
    """Wait for something that takes its time; its last answer."""
    deadline = time.monotonic() + within_s
    while not (answer := condition()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return answer


def established(lab, within_s):
    return until(lambda: lab.bgp()["t1"]["par1_4"], within_s)


def core_routes(lab):
    return lab.exec("core", ["birdc", "show", "route", "table", "master4"]).stdout


def bfd_states(lab):
    shown = lab.exec("t1", ["birdc", "show", "bfd", "sessions"]).stdout
    return [line.split()[2] for line in shown.splitlines() if line.startswith("192.0.2.3 ")]


def prefixes(lab, *words):
    shown = lab.exec("t1", ["birdc", "show", "route", *words]).stdout
    return {word for word in shown.split() if word.startswith(("203.", "198.")) and "/" in word}


def password(lab):
    return (lab.paths.keys / "md5-par1").read_text()


def test_only_the_fleets_prefix_and_blackholes_come_in(lab, neighbour):
    neighbour(password(lab), "local role customer;")
    assert established(lab, 60)
    until(lambda: len(prefixes(lab, "protocol", "par1_4")) == 2)
    assert prefixes(lab, "protocol", "par1_4") == {"203.0.113.0/24", "203.0.113.66/32"}
    until(lambda: len(prefixes(lab, "filtered", "protocol", "par1_4")) == 3)
    assert prefixes(lab, "filtered", "protocol", "par1_4") == {
        "203.0.113.128/25",
        "198.51.100.0/24",
        "203.0.113.67/32",
    }
    shown = ["ip", "route", "show", "203.0.113.66/32"]
    assert until(lambda: "blackhole" in lab.exec("t1", shown).stdout)
    # the others learn the prefix from there, and not the blackhole
    assert until(lambda: "203.0.113.0/24" in core_routes(lab))
    assert "203.0.113.66" not in core_routes(lab)
    # what the PoP gets is a default route, and BFD watches the link
    got = lab.exec("par1", ["birdc", "-s", CONTROL, "show", "route", "protocol", "up"]).stdout
    assert "0.0.0.0/0" in got
    assert until(lambda: bfd_states(lab) == ["Up"])


def test_a_neighbour_without_a_role_is_refused(lab, neighbour):
    neighbour(password(lab), "")
    assert not established(lab, 4)
    assert "ole" in lab.exec("t1", ["birdc", "show", "protocols", "all", "par1_4"]).stdout


def test_a_neighbour_with_another_password_is_not_heard(lab, neighbour):
    neighbour("wrong", "local role customer;")
    assert not established(lab, 4)
