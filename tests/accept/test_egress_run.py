"""Egress through PoPs, with the hosts' own BIRD and nft: two PoPs, two workers, the Internet.

What stands for the tunnels are cables of their names and MTU.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from loopback_iac import agent
from loopback_iac.agent.routes import ROUTES
from loopback_iac.lab.names.space import exchange
from tests.accept.firewall import hear, reach
from tests.accept.leave import BULK
from tests.accept.network import cable, namespaces, wait_for
from tests.accept.parsers import GATES, STAGE, stage
from tests.golden import case as golden

AGENT = "/agent.pyz"
LEAVE = Path(__file__).parent / "leave.py"
PARTNER, PORT = "198.51.100.2", 7000
EGRESS, REPORTS = "203.0.113.64", "203.0.113.70"
POPS, WORKERS = {"fra1": "192.0.2.0", "par1": "192.0.2.2"}, ("w1", "w2")
HOSTERS = {"fra1": "198.18.1.11", "par1": "198.18.2.11", "w1": "198.18.11.21", "w2": "198.18.12.22"}
OPTIONS = 12  # of each segment, the timestamps of both ends
INTERNET = """
log stderr all;
router id 192.0.2.0;
protocol device {{ }}
protocol bfd {{ }}
protocol kernel {{ ipv4 {{ import none; export where source = RTS_BGP; }}; }}
protocol static sent4 {{ ipv4; route 0.0.0.0/0 unreachable; }}
template bgp pop {{
  local as 64496; local role provider; require roles on; direct; ttl security on; strict bind on;
  connect delay time 1;
  authentication md5; password "{password}"; hold time 9; bfd {{ interval 300 ms; multiplier 3; }};
  ipv4 {{ import all; export where source = RTS_STATIC; }};
}}
protocol bgp fra1 from pop {{ local 192.0.2.0; neighbor 192.0.2.1 as 64500; }}
# answers come by par1 as long as it is there
protocol bgp par1 from pop {{
  local 192.0.2.2; neighbor 192.0.2.3 as 64500; ipv4 {{ preference 200; }};
}}
"""
PASSWORD = "0123456789abcdef"
SILENT = """
table inet silent {
  chain in { type filter hook prerouting priority -500; iifname != "lo" drop; }
  chain out { type filter hook postrouting priority 500; oifname != "lo" drop; }
}
"""


class Ground:
    """Every host with its files, firewall, routes and BIRD."""

    def __init__(self, image, spaces):
        self.image, self.at = image, spaces
        self.files = golden.render(golden.load("egress-through-pops"))
        (image.root / AGENT.lstrip("/")).write_bytes(agent.build())
        self._wire()
        image.empty(GATES)
        for host in (*POPS, *WORKERS):
            self._set_up(host)
        image.write(f"{STAGE}/net.conf", INTERNET.format(password=PASSWORD))
        watch = json.loads(self.files["fra1"].files["/etc/loopback/watch.json"].text)
        gate = watch["announcements"]["v4"]
        for host in (*POPS, *WORKERS, "net"):
            self._start_bird(host)
        image.write(gate["gate"], gate["open"])
        for pop in POPS:
            wait_for(lambda pop=pop: not self.ask(pop, "configure").returncode)
        self.at["net"].start(sys.executable, str(LEAVE), "serve", PARTNER, str(PORT))

    def _wire(self):
        net = self.at["net"]
        net.ip(f"addr add {PARTNER}/32 dev lo")
        for pop, far in POPS.items():
            near = ".".join([*far.split(".")[:3], str(int(far.split(".")[3]) + 1)])
            cable(net, pop, self.at[pop], "up0")
            net.ip(f"addr add {far}/31 dev {pop}")
            self.at[pop].ip(f"addr add {near}/31 dev up0")
            self._hoster(pop, HOSTERS[pop])
            for worker in WORKERS:
                self._tunnel(pop, worker)
        for worker in WORKERS:
            self._hoster(worker, HOSTERS[worker])

    def _hoster(self, host, address):
        """The way out that a machine has by its hoster: not to be taken."""
        net, gateway = self.at["net"], f"{address.rsplit('.', 1)[0]}.1"
        cable(net, f"h-{host}", self.at[host], "eth0")
        net.ip(f"addr add {gateway}/24 dev h-{host}")
        self.at[host].ip(f"addr add {address}/24 dev eth0")
        self.at[host].ip(f"route add default via {gateway}")

    def _tunnel(self, pop, worker):
        cable(self.at[pop], f"lb-{worker}", self.at[worker], f"lb-{pop}")
        for host, peer in ((pop, worker), (worker, pop)):
            text = self.files[host].files[f"/etc/wireguard/lb-{peer}.conf"].text
            address, mtu = (
                re.search(f"^{k} = ([^,\n]+)", text, re.MULTILINE)[1] for k in ("Address", "MTU")
            )
            self.at[host].ip(f"addr add {address} dev lb-{peer}")
            self.at[host].ip(f"link set dev lb-{peer} mtu {mtu}")
            for line in re.findall(r"^PostUp = (echo .*)$", text, re.MULTILINE):
                told = self.at[host].run("sh", "-c", line.replace("%i", f"lb-{peer}"))
                assert told.returncode == 0, told.stderr

    def _set_up(self, host):
        files, space = self.files[host].files, self.at[host]
        stage(self.image, self.files[host])
        self.image.write("/loaded.nft", files["/etc/loopback/nftables.conf"].text)
        told = self.nft(host, "-f", "/loaded.nft")
        assert told.returncode == 0, told.stderr
        self.image.write(ROUTES, files[ROUTES].text)
        told = space.run("chroot", str(self.image.root), "python3", "-I", AGENT, "routes")
        assert told.returncode == 0, told.stdout + told.stderr
        if "/etc/loopback/sysctl.conf" in files:
            self.image.write("/sysctl.conf", files["/etc/loopback/sysctl.conf"].text)
            told = space.run("sysctl", "-q", "-e", "-p", str(self.image.root / "sysctl.conf"))
            assert told.returncode == 0, told.stderr

    def _start_bird(self, host):
        if host != "net":
            files = self.files[host].files
            path = "/etc/bird/bird.conf" if host in POPS else "/etc/loopback/egress.conf"
            text = re.sub(r"@\{secret:[^}]*\}", PASSWORD, files[path].text)
            text = text.replace("interval 50 ms", "interval 300 ms")
            self.image.write(f"{STAGE}/{host}.conf", text)
        words = (
            "-f",
            "-c",
            f"{STAGE}/{host}.conf",
            "-s",
            f"/run/{host}.ctl",
            "-P",
            f"/run/{host}.pid",
        )
        self.at[host].start("bird", *words, root=self.image.root)

    def nft(self, host, *words):
        return self.at[host].run("chroot", str(self.image.root), "nft", *words)

    def ask(self, host, command):
        words = ("birdc", "-s", f"/run/{host}.ctl", *command.split())
        return self.at[host].run("chroot", str(self.image.root), *words)

    def leaves(self, worker, source=EGRESS):
        return self.at[worker].start(
            sys.executable, str(LEAVE), "leave", PARTNER, str(PORT), source
        )

    def asked_by(self, worker, source=EGRESS):
        """What the partner saw, or why nothing left."""
        return json.loads(exchange(self.leaves(worker, source), "hello"))

    def way(self, host, destination, source=""):
        """Device of a route, or why there is none."""
        told = self.at[host].run(
            "ip", "route", "get", destination, *(("from", source) * bool(source))
        )
        found = re.search(r" dev (\S+)", told.stdout)
        return found[1] if found else told.stderr.strip()

    def back(self, pop, address=EGRESS):
        told = self.at[pop].run("ip", "route", "show", "table", "100", "proto", "bird", address)
        found = re.search(r" dev (\S+)", told.stdout)
        return found[1] if found else ""

    def carried(self, pop):
        """Bytes that the partner's network had from a PoP and gave to it."""
        told = json.loads(self.at["net"].run("ip", "-j", "-s", "link", "show", "dev", pop).stdout)
        seen = told[0]["stats64"]
        return seen["rx"]["bytes"], seen["tx"]["bytes"]

    def settled(self):
        """w1 leaves by fra1, which is near, and every PoP knows that it has the address."""
        wait_for(lambda: self.way("w1", PARTNER, EGRESS) == "lb-fra1", 30)
        wait_for(lambda: [self.back(pop) for pop in POPS] == ["lb-w1", "lb-w1"], 30)
        wait_for(lambda: [self.back(pop, REPORTS) for pop in POPS] == ["lb-w2", "lb-w2"], 30)
        wait_for(lambda: self.way("net", EGRESS) == "par1", 30)


@pytest.fixture
def ground(image):
    with namespaces("net", *POPS, *WORKERS) as spaces:
        made = Ground(image, dict(zip(("net", *POPS, *WORKERS), spaces, strict=True)))
        made.settled()
        yield made


def test_it_leaves_by_one_pop_and_the_answer_comes_by_the_other(ground):
    before = {pop: ground.carried(pop) for pop in POPS}
    held = ground.leaves("w1")
    assert json.loads(exchange(held, "bulk")) == {"asker": EGRESS, "segment": 1380 - OPTIONS}
    assert json.loads(exchange(held, "x" * BULK))["asker"] == EGRESS
    sent, got = ({p: ground.carried(p)[way] - before[p][way] for p in POPS} for way in (0, 1))
    assert sent["fra1"] > BULK > 10 * sent["par1"]
    assert got["par1"] > BULK > 10 * got["fra1"]


def test_the_pops_follow_an_address_to_another_worker(ground):
    assert ground.asked_by("w2") == {"error": "Cannot assign requested address"}
    for _ in range(2):
        for old, new in (("w1", "w2"), ("w2", "w1")):
            # as a keeper moves it, or an `up` that names another worker first
            ground.at[old].ip(f"addr del {EGRESS}/32 dev lo")
            ground.at[new].ip(f"addr add {EGRESS}/32 dev lo")
            wait_for(lambda new=new: {ground.back(pop) for pop in POPS} == {f"lb-{new}"})
            assert ground.asked_by(new)["asker"] == EGRESS
    assert not any(ground.back(pop, REPORTS) == "lb-w1" for pop in POPS)


def test_a_worker_has_no_more_than_is_declared_for_it(ground):
    """One that takes another's address, a VIP or the whole prefix is not believed."""
    taken = (f"{REPORTS}/32", "203.0.113.10/32", "203.0.113.0/24")
    for address in taken:
        ground.at["w1"].ip(f"addr add {address} dev lo")
    conf = f"{STAGE}/w1.conf"
    text = (ground.image.root / conf.lstrip("/")).read_text()
    # it says so itself, whatever was rendered for it
    ground.image.write(conf, re.sub(r"(define EGRESS = \[).*(\];)", r"\1 203.0.113.0/24+ \2", text))
    assert "Reconfigur" in ground.ask("w1", "configure").stdout
    wait_for(lambda: f"{REPORTS}/32" in ground.ask("w1", "show route export out_fra1_1").stdout)
    assert {ground.back(pop, REPORTS) for pop in POPS} == {"lb-w2"}
    known = ground.ask("fra1", "show route table transit4 protocol out_w1_1").stdout
    assert set(re.findall(r"203\.0\.113\.\S+", known)) == {"203.0.113.64/32", "203.0.113.65/32"}
    assert ground.asked_by("w1", REPORTS) == {"error": "TimeoutError"}


def test_connections_outlive_the_pop_they_left_by(ground):
    held = ground.leaves("w1")
    assert json.loads(exchange(held, "hello"))["asker"] == EGRESS
    ground.image.write("/silent.nft", SILENT)
    told = ground.nft("fra1", "-f", "/silent.nft")
    assert told.returncode == 0, told.stderr
    assert json.loads(exchange(held, "hello"))["asker"] == EGRESS
    assert ground.way("w1", PARTNER, EGRESS) == "lb-par1"


def test_a_pop_without_transit_is_not_left_by(ground):
    ground.at["net"].ip("link set dev fra1 down")
    wait_for(lambda: ground.way("w1", PARTNER, EGRESS) == "lb-par1")
    assert ground.asked_by("w1")["asker"] == EGRESS


def test_it_leaves_by_the_pops_or_not_at_all(ground):
    for pop in POPS:
        ground.at["net"].ip(f"link set dev {pop} down")
    wait_for(lambda: "No route to host" in ground.way("w1", PARTNER, EGRESS))
    assert ground.asked_by("w1") == {"error": "No route to host"}
    hoster = ground.way("w1", PARTNER)
    assert hoster == "eth0"
    # as if somebody's routes came before ours
    ground.at["w1"].ip(f"rule add pref 10 from {EGRESS} lookup main")
    assert ground.way("w1", PARTNER, EGRESS) == "eth0"
    assert ground.asked_by("w1") == {"error": "TimeoutError"}
    told = ground.nft("w1", "list", "chain", "inet", "loopback", "otherwise")
    assert re.search(r"counter packets [1-9]\d* bytes", told.stdout)


def test_from_other_addresses_nothing_passes_a_pop(ground):
    end = re.search(
        r"Address = ([^/]+)/", ground.files["w1"].files["/etc/wireguard/lb-fra1.conf"].text
    )
    far = re.search(
        r"Address = ([^/]+)/", ground.files["fra1"].files["/etc/wireguard/lb-w1.conf"].text
    )
    ground.at["w1"].ip(f"route add {PARTNER}/32 via {far[1]} dev lb-fra1")
    ground.at["net"].ip("route add 10.88.0.0/13 via 192.0.2.1")
    for source in ("198.18.11.21", end[1]):
        assert ground.way("w1", PARTNER, source) == "lb-fra1"
        assert ground.asked_by("w1", source) == {"error": "TimeoutError"}
    # nor do workers reach each other that way, nor what a PoP itself offers
    ground.at["w2"].start(sys.executable, str(LEAVE), "serve", REPORTS, "7001")
    ground.at["fra1"].start(sys.executable, str(LEAVE), "serve", "203.0.113.10", "443")
    for where, port in ((REPORTS, 7001), ("203.0.113.10", 443), ("198.18.12.22", 22)):
        words = (sys.executable, str(LEAVE), "leave", where, str(port), EGRESS)
        found = json.loads(exchange(ground.at["w1"].start(*words), "hello"))
        assert found in ({"error": "TimeoutError"}, {"error": "No route to host"}), where


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_an_egress_address_offers_nothing(ground, kind):
    hear(ground.at["w1"], EGRESS, 7002, kind)
    assert reach(ground.at["net"], EGRESS, 7002, PARTNER, kind) == "silent"
    ground.at["net"].ip(f"route add {EGRESS}/32 via 198.18.11.21 dev h-w1")  # nor by its hoster
    assert reach(ground.at["net"], EGRESS, 7002, PARTNER, kind) == "silent"
    ground.nft("w1", "destroy", "table", "inet", "loopback")
    assert reach(ground.at["net"], EGRESS, 7002, PARTNER, kind) == "heard"  # by the guard alone
