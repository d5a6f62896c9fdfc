"""Two PoPs that answer for a zone at one anycast address, their router, and a client behind it.

    client -- router (BIRD) --+-- fra1 (BIRD, watch, Knot) --+-- primary (Knot, signs)
                              +-- par1 (BIRD, watch, NSD) ---+

PoPs have the files of an `AnycastEdge` with a name service. What units of systemd would set up is
done here: the route by which a PoP answers. HAProxy and workers are left out, so ingress stays
withdrawn all the time. The router prefers fra1.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from loopback_iac.dns import parse_zone_file
from loopback_iac.dns.served import Expected, Server, check_served
from loopback_iac.lab.names.asker import Asker
from loopback_iac.lab.names.machine import MD5, Machine, render_hosts
from loopback_iac.lab.names.pop import PROGRAMS, Pop
from loopback_iac.lab.names.space import cable, namespaces, wait_for
from loopback_iac.lab.names.tree import KEY, SOA, ZONE, Declaration, wait_answering
from loopback_iac.lab.paths import LabError
from loopback_iac.lab.templating import render
from loopback_iac.model import parse_fleet, parse_hosts
from loopback_iac.remote.dns_ask import Limits
from loopback_iac.remote.dns_served import Probe, probe_zone
from loopback_iac.render import render_pop

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from loopback_iac.dns.served import Report
    from loopback_iac.lab.names.image import Image
    from loopback_iac.lab.names.space import Namespace

ANYCAST, PREFIX = "198.51.100.53", "198.51.100.0/24"
PRIMARY, ROUTER, CLIENT = "198.18.250.53", "192.0.2.0", "198.18.9.2"
POPS = {"fra1": "knot", "par1": "nsd"}
NEAR, FAR = POPS
OWN = {"fra1": "198.18.1.11", "par1": "198.18.2.11"}
LINKS = {"fra1": ("192.0.2.1", "192.0.2.0"), "par1": ("192.0.2.3", "192.0.2.2")}
WIREGUARD = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
QUESTIONS = [[f"www.{ZONE}", "A"], [f"@.{ZONE}", "A"]]
READY_S = 60.0
# the light of a link tells; BFD among many processes of one machine would see its pauses too
UPSTREAM = {
    "asn": 64496,
    "interface": "up0",
    "md5": "late",
    "role_strict": True,
    "bfd": False,
    "bfd_waived_because": "of the drill",
    "hold_time_s": 90,
    "keepalive_s": 30,
}


def _declare_fleet() -> dict[str, Any]:
    pops = {
        name: {
            "host": "late",
            "node_id": number,
            "name_server": software,
            "upstreams": {
                "t1": {**UPSTREAM, "local_v4": LINKS[name][0], "neighbor_v4": LINKS[name][1]}
            },
        }
        for number, (name, software) in enumerate(POPS.items(), 1)
    }
    return {
        "asn": 64500,
        "admin_sources": ["198.18.251.2/32"],
        "time_servers": ["198.18.250.11"],
        "prefixes": {"v4": {"cidr": "203.0.113.0/24"}, "names": {"cidr": PREFIX}},
        "vips": {"www": {"addresses": ["203.0.113.10"]}, "dns": {"addresses": [ANYCAST]}},
        "pops": pops,
        "pools": {"web": {"workers": {"w1": {"host": "late", "node_id": 1}}}},
        "services": {"https": {"vip": "www", "port": 443, "pool": "web", "worker_port": 8443}},
        "name_service": {"vip": "dns", "primary": "late", "transfer_secret": "late"},
        "roll": {"return_hold_s": 1},
    }


def _declare_zones() -> Declaration:
    primary = {
        "admin_sources": ["198.18.251.2/32"],
        "host": "late",
        "transfer_secret": "late",
        "servers": {name: {"host": "late", "on_pop": True} for name in POPS},
        "zones": {
            "example.net": {
                "default_ttl_s": 1,
                "records": {
                    "@": {"SOA": [SOA], "NS": ["ns1", "ns2"]},
                    "ns1": {"A": [ANYCAST]},
                    "ns2": {"A": [PRIMARY]},
                    "www": {"A": ["203.0.113.10"]},
                },
            }
        },
    }
    given = {"primary": PRIMARY, **OWN}
    return Declaration(primary, {n: {"ipv4": a, "host_key": KEY} for n, a in given.items()})


@dataclass
class Anycast:
    """All of it."""

    primary: Machine
    pops: dict[str, Pop]
    router: Machine
    client: Machine
    asking: Asker | None = None
    daemons: dict[tuple[str, str], subprocess.Popen[str]] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)

    @property
    def asked(self) -> Asker:
        """Who asks at the anycast address.

        Raises: LabError when nobody does.
        """
        if self.asking is None:
            raise LabError("nobody asks the PoPs")
        return self.asking

    @property
    def questions(self) -> list[list[str]]:
        """Names and types, in turns."""
        return QUESTIONS

    def load(self, rate: int) -> None:
        """Have a client ask so often a second from here on."""
        if self.asking is None or self.asking.rate != rate:
            if self.asking is not None:
                self.asking.end()
            self.asking = Asker(self.client.space, ANYCAST, QUESTIONS, rate, "AA")

    def start_pop(self, name: str) -> None:
        """Start all that runs on a PoP."""
        pop = self.pops[name]
        for left in ("knot.pid", "knot.sock"):
            (pop.ground / "run/knot" / left).unlink(missing_ok=True)
        for unit in ("bird", POPS[name], "watch"):
            self.daemons[name, unit] = pop.run_unit(unit)

    def power_off(self, name: str) -> None:
        """Its link goes dark and every process ends."""
        self.light(name, up=False)
        for (whose, _), daemon in self.daemons.items():
            if whose == name:
                daemon.kill()
                daemon.wait(30)
        # what is in /run of a host does not outlive it
        for left in (self.pops[name].ground / "run/loopback/gate").iterdir():
            left.unlink()

    def light(self, name: str, *, up: bool) -> None:
        """Of the link between the router and a PoP, at the router's end."""
        self.router.space.ip(f"link set dev {name} {'up' if up else 'down'}")

    def towards(self) -> str:
        """The PoP that the router sends the anycast prefix to; nobody: empty."""
        told = self.router.space.run("ip", "-json", "route", "show", "exact", PREFIX).stdout
        found = json.loads(told or "[]")
        return str(found[0].get("dev", "")) if found else ""

    def answers(self) -> str:
        """The PoP that answers the client."""
        return str(self.client.ask(f"www.{ZONE}", "A", ANYCAST).get("nsid", ""))

    def check(self) -> Report:
        """What `loopback dns check` says of each PoP at its own address, asked from the primary."""
        text = (self.primary.ground / f"etc/loopback/zones/{ZONE}zone").read_text()
        probe = Probe(parse_zone_file(text), int(time.time()), limits=self.limits)
        servers = [Server(name, "", address, 53) for name, address in OWN.items()]
        views, theirs = self.primary.space.inside(lambda: probe_zone(probe, servers, None))
        return check_served(Expected(probe.zone, probe.now), views, theirs)


@contextlib.contextmanager
def anycast(image: Image, ground: Path) -> Iterator[Anycast]:
    """Everything started, both PoPs announced; gone afterwards."""
    fleet = parse_fleet("edge", _declare_fleet(), dt.datetime.now(dt.UTC).date())
    given = {**OWN, "name_service": PRIMARY, "w1": "198.18.11.21"}
    hosts = parse_hosts("edge", {n: {"ipv4": a, "host_key": KEY} for n, a in given.items()})
    keys = {(name, 1): WIREGUARD for name in (*POPS, "w1")}
    # names of their own: a process may have a hierarchy beside it
    hosts_of = ("signer", "router", "client", *(f"pop-{name}" for name in POPS))
    with namespaces(*hosts_of) as (first, second, third, *rest):
        primary = Machine("primary", first, ground / "primary", image, PRIMARY)
        router = Machine("router", second, ground / "router", image, ROUTER)
        client = Machine("client", third, ground / "client", image, CLIENT)
        pops = {
            name: Pop(name, space, ground / name, image, OWN[name])
            for name, space in zip(POPS, rest, strict=True)
        }
        for machine in (primary, router, *pops.values()):
            machine.prepare()
        primary.put(render_hosts(_declare_zones())["primary"])
        for name, pop in pops.items():
            pop.put(render_pop(fleet, name, hosts, keys))
            pop.furnish()
            _connect(primary.space, router.space, pop)
        _connect_client(router.space, client.space)
        made = Anycast(primary, pops, router, client)
        primary.start()
        wait_answering(primary, f"www.{ZONE}")
        for name in POPS:
            made.start_pop(name)
        _start_router(router)
        wait_for(lambda: made.towards() == NEAR and made.answers() == NEAR, READY_S)
        wait_for(lambda: announced(router) == set(POPS), READY_S)
        yield made


def _start_router(router: Machine) -> None:
    rows = [
        {"name": name, "own": own, "router": there, "preference": 200 if name == NEAR else 100}
        for name, (own, there) in LINKS.items()
    ]
    conf = render("names-router.conf.j2", pops=rows, md5=MD5)
    (router.ground / "etc/bird/bird.conf").write_text(conf)
    router.space.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    words = router.words(*PROGRAMS["bird"])
    router.daemon = router.space.start_daemon(router.ground / "log", *words)


def announced(router: Machine) -> set[str]:
    """PoPs that announce the prefix of the names to the router."""
    told = router.run("birdc", "-r", "show", "route", PREFIX, "all").stdout
    return {name for name in POPS if f"[{name} " in told}


def _connect(primary: Namespace, router: Namespace, pop: Pop) -> None:
    cable(primary, pop.name, pop.space, "hoster")
    own, there = LINKS[pop.name]
    cable(router, pop.name, pop.space, "up0")
    for space, end, mine, other in (
        (primary, pop.name, PRIMARY, pop.address),
        (pop.space, "hoster", pop.address, PRIMARY),
    ):
        space.ip(f"addr add {mine}/32 dev {end}")
        space.ip(f"route add {other} dev {end} src {mine}")
    router.ip(f"addr add {there}/31 dev {pop.name}")
    pop.space.ip(f"addr add {own}/31 dev up0")
    pop.space.ip(f"addr add {ANYCAST}/32 dev lo")
    pop.space.ip(f"route add default via {there} dev up0")
    guarded = pop.run("nft", "-f", "/etc/loopback/nftables.conf")
    if guarded.returncode:
        raise LabError(f"{pop.name}: {guarded.stderr}")


def _connect_client(router: Namespace, client: Namespace) -> None:
    cable(router, "client", client, "up0")
    router.ip("addr add 198.18.9.1/30 dev client")
    client.ip(f"addr add {CLIENT}/30 dev up0")
    client.ip("route add default via 198.18.9.1")
