"""A real BIRD with the rendered text against a carrier's BIRD: what it learns, what it lets out."""

from __future__ import annotations

import json
import re

import pytest

from tests.accept.network import cable, namespaces, wait_for
from tests.accept.parsers import GATES, STAGE, stage
from tests.golden import case as golden

CARRIER = """
log stderr all;
router id 192.0.2.0;
protocol device {{ }}
protocol bfd {{ }}
protocol static sent4 {{
  ipv4;
  route 0.0.0.0/0 unreachable;
  route 1.0.0.0/24 unreachable;                    # fine
  route 1.1.0.0/25 unreachable;                    # longer than /24
  route 10.1.0.0/16 unreachable;                   # bogon
  route 203.0.113.0/25 unreachable;                # part of the fleet's own prefix
  route 5.0.0.0/16 unreachable {{ bgp_path.prepend(64512); }};   # private AS number on the way
  route 6.0.0.0/16 unreachable {{ bgp_path.prepend(23456); }};
  route 7.0.0.0/16 unreachable {{ bgp_community.add((65535, 0)); }};  # going away (RFC 8326)
  route 8.0.0.0/16 unreachable {{ bgp_large_community.add((64500, 1, 99)); }};  # forged location
}}
protocol static sent6 {{
  ipv6;
  route ::/0 unreachable;
  route 2a00::/32 unreachable;
  route 2001:db8:200::/48 unreachable;             # documentation
  route fd00::/48 unreachable;                     # not global
}}
template bgp pop {{
  local role provider; require roles on; direct; ttl security on; strict bind on;
  authentication md5; password "{password}"; hold time 90;
  bfd {{ interval 300 ms; multiplier 50; }};
}}
protocol bgp pop4 from pop {{
  local 192.0.2.0 as 64496; neighbor 192.0.2.1 as 64500;
  ipv4 {{ import all; export where source = RTS_STATIC; }};
}}
protocol bgp pop6 from pop {{
  local 2001:db8:ff:: as 64496; neighbor 2001:db8:ff::1 as 64500;
  ipv6 {{ import all; export where source = RTS_STATIC; }};
}}
"""
PASSWORD = "0123456789abcdef"
# how long a neighbour may be silent is not asked here, and a busy machine is, now and then
PATIENT = {
    "bfd { interval 50 ms; multiplier 3; };": "bfd { interval 300 ms; multiplier 50; };",
    "hold time 9;\n  keepalive time 3;": "hold time 90;\n  keepalive time 30;",
}


class Session:
    """fra1 of one golden fleet and its carrier t1."""

    def __init__(self, image, name, pop, carrier, password=PASSWORD):
        self.image, self.pop, self.carrier = image, pop, carrier
        files = golden.render(golden.load(name))["fra1"]
        stage(image, files)
        self.announcements = json.loads(files.files["/etc/loopback/watch.json"].text)[
            "announcements"
        ]
        for end, space, v4, v6 in (
            ("up0", pop, "192.0.2.1/31", "2001:db8:ff::1/127"),
            ("t", carrier, "192.0.2.0/31", "2001:db8:ff::/127"),
        ):
            space.ip(f"addr add {v4} dev {end}")
            space.ip(f"addr add {v6} dev {end} nodad")
        text = files.files["/etc/bird/bird.conf"].text
        for quick, patient in PATIENT.items():
            assert quick in text
            text = text.replace(quick, patient)
        image.write(f"{STAGE}/fra1.conf", re.sub(r"@\{secret:[^}]*\}", password, text))
        image.write(f"{STAGE}/t1.conf", CARRIER.format(password=PASSWORD))
        image.empty(GATES)
        for who, space in (("fra1", pop), ("t1", carrier)):
            files_of = ("-s", f"/run/{who}.ctl", "-P", f"/run/{who}.pid")
            space.start("bird", "-f", "-c", f"{STAGE}/{who}.conf", *files_of, root=image.root)
        wait_for(lambda: "fra1.ctl" in {p.name for p in (image.root / "run").iterdir()})

    def ask(self, who, command):
        return self.pop.run(
            "chroot", str(self.image.root), "birdc", "-r" if command.startswith("show") else "-v",
            "-s", f"/run/{who}.ctl", *command.split(),
        ).stdout  # fmt: skip

    def routes(self, who, where):
        """network -> everything BIRD tells about its route."""
        told = self.ask(who, f"show route all {where}")
        found, network = {}, ""
        for line in told.splitlines():
            if line and not line.startswith(("\t", " ", "Table", "BIRD", "Access")):
                network = line.split()[0]
            if network:
                found[network] = found.get(network, "") + line + "\n"
        return found

    def gate(self, position):
        for announcement in self.announcements.values():
            self.image.write(announcement["gate"], announcement[position])
        self.ask("fra1", "configure")

    def established(self):
        told = self.ask("fra1", "show protocols")
        return len(re.findall(r"^up_t1_[46] .*Established", told, re.MULTILINE)) == 2


@pytest.fixture
def spaces():
    with namespaces("pop", "t1") as made:
        cable(made[0], "up0", made[1], "t")
        yield made


def test_only_the_open_gate_announces(image, spaces):
    session = Session(image, "two-pops", *spaces)
    wait_for(session.established)
    ours = {"203.0.113.0/24", "2001:db8:100::/48"}

    def heard():
        return {
            **session.routes("t1", "protocol pop4"),
            **session.routes("t1", "protocol pop6"),
        }

    assert heard() == {}  # no gate file: withdrawn
    session.gate("open")
    wait_for(lambda: set(heard()) == ours)
    assert "(64500, 1, 1)" in heard()["203.0.113.0/24"]
    assert "BGP.as_path: 64500\n" in heard()["203.0.113.0/24"]
    session.gate("deprefer")
    wait_for(lambda: all("(65535,0)" in said for said in heard().values()))
    assert set(heard()) == ours
    assert "BGP.as_path: 64500 64500 64500\n" in heard()["2001:db8:100::/48"]
    session.gate("closed")
    wait_for(lambda: heard() == {})
    session.ask("fra1", "disable own4")
    session.ask("fra1", "configure")  # which enables it again, and the closed gate still holds
    assert heard() == {}


def test_a_default_is_all_it_takes(image, spaces):
    session = Session(image, "two-pops", *spaces)
    wait_for(session.established)
    wait_for(lambda: "0.0.0.0/0" in session.routes("fra1", "table transit4"))
    wait_for(lambda: "::/0" in session.routes("fra1", "table transit6"))
    assert set(session.routes("fra1", "table transit4")) == {"0.0.0.0/0"}
    assert set(session.routes("fra1", "table transit6")) == {"::/0"}
    wait_for(
        lambda: (
            "default via 192.0.2.0" in spaces[0].run("ip", "route", "show", "table", "100").stdout
        )
    )
    assert "via 192.0.2.0" not in spaces[0].run("ip", "route", "show", "table", "main").stdout


def test_a_full_table_is_cleaned(image, spaces):
    session = Session(image, "full-table", *spaces)
    wait_for(session.established)
    wait_for(lambda: "8.0.0.0/16" in session.routes("fra1", "table transit4 protocol up_t1_4"))
    wait_for(lambda: "2a00::/32" in session.routes("fra1", "table transit6 protocol up_t1_6"))
    learned = session.routes("fra1", "table transit4 protocol up_t1_4")
    assert set(learned) == {"0.0.0.0/0", "1.0.0.0/24", "7.0.0.0/16", "8.0.0.0/16"}
    assert "local_pref: 0\n" in learned["7.0.0.0/16"]
    assert "(64500, 1, 99)" not in learned["8.0.0.0/16"]
    assert set(session.routes("fra1", "table transit6 protocol up_t1_6")) == {"::/0", "2a00::/32"}


def test_blackholes_go_out_by_community_even_when_the_gate_is_closed(image, spaces):
    session = Session(image, "full-table", *spaces)
    wait_for(session.established)
    four, six = {"203.0.113.66/32", "203.0.113.67/32"}, {"2001:db8:100::66/128"}
    wait_for(lambda: set(session.routes("t1", "protocol pop4")) == four)
    wait_for(lambda: set(session.routes("t1", "protocol pop6")) == six)
    heard = session.routes("t1", "protocol pop4") | session.routes("t1", "protocol pop6")
    for route in heard.values():
        assert "(65535,666)" in route
        assert "(65535,65281)" in route  # no-export: it goes no further


def test_what_is_given_up_by_hand_goes_out_and_nothing_else_does(image, spaces):
    """The agent's own file: a single address of ours leaves, nothing else that stands there."""
    session = Session(image, "full-table", *spaces)
    wait_for(session.established)
    declared = {"203.0.113.66/32", "203.0.113.67/32"}
    by_hand = ("203.0.113.99/32", "203.0.113.66/32", "203.0.113.64/26", "198.51.100.1/32")
    image.write(
        "/var/lib/loopback/blackhole4.conf",
        "".join(f"route {network} blackhole; # by hand\n" for network in by_hand),
    )
    session.ask("fra1", "configure")
    wait_for(lambda: "203.0.113.99/32" in session.routes("t1", "protocol pop4"))
    heard = session.routes("t1", "protocol pop4")
    assert set(heard) == {*declared, "203.0.113.99/32"}
    assert "(65535,666)" in heard["203.0.113.99/32"]
    assert session.established()  # no session was reset for it
    image.empty("/var/lib/loopback")
    session.ask("fra1", "configure")
    wait_for(lambda: set(session.routes("t1", "protocol pop4")) == declared)


def test_each_prefix_goes_out_where_it_has_an_origin_with_the_communities_bound_to_it(
    image, spaces
):
    session = Session(image, "prefix-origins", *spaces)
    wait_for(session.established)
    session.gate("open")
    four, six = {"203.0.113.0/24", "198.51.100.0/24"}, {"2001:db8:100::/48"}
    wait_for(lambda: set(session.routes("t1", "protocol pop4")) == four)
    wait_for(lambda: set(session.routes("t1", "protocol pop6")) == six)  # not what is only ordered
    heard = session.routes("t1", "protocol pop4") | session.routes("t1", "protocol pop6")
    assert all("(64496,1)" in said for said in heard.values())
    assert {n for n, said in heard.items() if "(64496,100)" in said} == {"198.51.100.0/24"}
    assert not [said for said in heard.values() if "(64496, 0, 9)" in said]
    session.gate("deprefer")
    bound = {"198.51.100.0/24", "2001:db8:100::/48"}

    def drained():
        told = session.routes("t1", "protocol pop4") | session.routes("t1", "protocol pop6")
        return {n for n, said in told.items() if "(64496, 0, 9)" in said}

    wait_for(lambda: drained() == bound)


def test_a_wrong_password_gets_no_session(image, spaces):
    session = Session(image, "two-pops", *spaces, password="another")
    waited = [session.established() for _ in range(20) if spaces[0].run("sleep", "0.1")]
    assert not any(waited)
