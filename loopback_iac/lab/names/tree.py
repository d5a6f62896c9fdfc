"""A parent zone, a zone below it with two operators, and resolvers that validate.

    resolvers (Unbound) --+-- fra1 (Knot) --+-- primary (Knot, signs)
                          +-- par1 (NSD) ---+
                          +-- parent (Knot), beside the primary

Each host in a namespace of its own, with the files that a bundle would put there; resolver and
parent have configurations of the lab's. The parent's key is the resolvers' only anchor.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from loopback_iac.dns import parse_zone_file
from loopback_iac.dns.rdata import parse_rdata
from loopback_iac.dns.served import Expected, Server, check_served
from loopback_iac.dns.served.ds_gate import check_ds_gate
from loopback_iac.lab.names.asker import Asker
from loopback_iac.lab.names.machine import DS_SECRET, Hosts, Machine, hosts
from loopback_iac.lab.names.space import cable, namespaces, wait_for
from loopback_iac.lab.paths import LabError
from loopback_iac.lab.templating import render
from loopback_iac.remote.dns_ask import Limits
from loopback_iac.remote.dns_served import Probe, probe_looks, probe_zone

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from loopback_iac.dns.served import Report
    from loopback_iac.dns.served.ds_gate import Gate
    from loopback_iac.lab.names.image import Image

ZONE = "example.net."
PARENT = "198.18.250.54"
RESOLVERS = {"resolver": "198.18.250.60", "usual": "198.18.250.61"}
PRIMARY = "198.18.250.53"
SERVICE = {"fra1": "203.0.113.53", "par1": "203.0.113.54"}
SERVERS = [Server(name, "", address, 53) for name, address in SERVICE.items()]
# as the zone names them
NAMED = [
    Server(f"{name}.{ZONE}", "", address, 53)
    for name, address in zip(("ns1", "ns2"), SERVICE.values(), strict=True)
]
HOSTS = {"primary": PRIMARY, "fra1": "198.18.1.11", "par1": "198.18.2.11"}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMD"
# a refresh that a drill can outlast, and nothing that a cache keeps for longer than a second
SOA = "ns1 hostmaster 1 2 1 604800 1"
RECORDS: dict[str, Any] = {
    "@": {"SOA": [SOA], "NS": ["ns1", "ns2"]},
    "ns1": {"A": [SERVICE["fra1"]]},
    "ns2": {"A": [SERVICE["par1"]]},
    "www": {"A": ["203.0.113.10"]},
    "*.wild": {"A": ["203.0.113.11"]},
}
QUESTIONS = [["www.example.net.", "A"], ["@.wild.example.net.", "A"], ["@.example.net.", "A"]]
FLAGS = {"": "", "zsk": "256", "ksk": "257"}
READY_S = 60.0
ANSWERING_S = 60.0
LOOKS = 3


@dataclass(frozen=True)
class Declaration:
    """The declaration of primary and name servers."""

    primary: dict[str, Any]
    hosts: dict[str, Any]


def declare(ds_ttl_s: int = 1, **signing: int) -> Declaration:
    """A zone whose keys and caches are quick.

    In: for how long caches have a DS; other times of signing, as `HiddenPrimary` takes them.
    """
    late = {"host": "late"}
    primary = {
        "admin_sources": ["198.18.251.2/32"],
        "transfer_secret": "late",
        **late,
        "servers": {
            "fra1": {**late, "addresses": [SERVICE["fra1"]]},
            "par1": {**late, "addresses": [SERVICE["par1"]], "software": "nsd"},
        },
        "zones": {"example.net": {
            "records": RECORDS, "default_ttl_s": 1, "parent": "own", "publish_ds": True,
        }},
        "parents": {"own": {"addresses": [PARENT], "secret": "late", "ds_ttl_s": ds_ttl_s}},
        "signing": {
            "dnskey_ttl_s": 1, "propagation_delay_s": 2, "ksk_lifetime_s": 0, **signing,
        },
    }  # fmt: skip
    given = {name: {"ipv4": address, "host_key": KEY} for name, address in HOSTS.items()}
    return Declaration(primary, given)


def _knows(machine: Machine, name: str) -> bool:
    return bool(machine.ask(name, "A", tcp=True).get("rcode") == "NOERROR")


def wait_answering(machine: Machine, name: str) -> None:
    """Until it knows a name; over TCP, which is refused at once while nobody listens."""
    wait_for(partial(_knows, machine, name), ANSWERING_S)


@dataclass
class Resolver(Machine):
    """Unbound, and who asks it."""

    asking: Asker | None = None
    mounts: list[str] = field(default_factory=list)

    def furnish(self, anchors: list[str], *, strict: bool = True) -> None:
        """Write what it reads."""
        (self.ground / "etc/unbound").mkdir(parents=True, exist_ok=True)
        self.mounts = [f"mount --bind {self.ground}/etc/unbound {self.image.root}/etc/unbound"]
        (self.ground / "etc/unbound/net.key").write_text("".join(f"{a}\n" for a in anchors))
        text = render("names-resolver.conf.j2", address=self.address, parent=PARENT, strict=strict)
        (self.ground / "etc/unbound/unbound.conf").write_text(text)

    def start(self) -> None:
        """Start it; it logs to a file of its own."""
        words = self.words("unbound", "-d", "-c", "/etc/unbound/unbound.conf")
        self.daemon = self.space.start_daemon(self.ground / "log", *words)

    def begin_anew(self) -> None:
        """Start it without any memory: of keys that were wrong, and servers that were silent."""
        rate = self.asking.rate if self.asking else 0
        if rate:
            self.rest()  # a question to nobody takes all of its patience
        if self.daemon is not None:
            self.stop()
        self.start()
        wait_answering(self, "www." + ZONE)
        if rate:
            self.load(rate)

    def rest(self) -> None:
        """Ask it no more."""
        if self.asking is not None:
            self.asking.end()
            self.asking = None

    def load(self, rate: int) -> None:
        """Ask it steadily from here on."""
        self.asking = Asker(self.space, self.address, QUESTIONS, rate, "AD")

    @property
    def asked(self) -> Asker:
        """Who asks it.

        Raises: LabError when nobody does.
        """
        if self.asking is None:
            raise LabError(f"nobody asks {self.name}")
        return self.asking

    def mark(self) -> dict[str, Any]:
        """What became of the questions since the last mark."""
        return self.asked.mark()

    def after(self, count: int) -> dict[str, int]:
        """What becomes of so many questions from here on, or more."""
        return self.asked.after(count)


@dataclass
class Hierarchy:
    """All of it."""

    below: Hosts
    parent: Machine
    resolver: Resolver
    """It is strict."""
    usual: Resolver
    """Another, with its program's defaults where the strict one has none."""
    limits: Limits = field(default_factory=Limits)
    """How long the comparer waits for an answer, and how often it asks again."""

    @property
    def primary(self) -> Machine:
        """Who signs."""
        return self.below.primary

    @property
    def servers(self) -> dict[str, Machine]:
        """The operators' name servers."""
        return self.below.servers

    @property
    def resolvers(self) -> tuple[Resolver, Resolver]:
        """Both."""
        return self.resolver, self.usual

    @property
    def asked(self) -> Asker:
        """The strict resolver's client."""
        return self.resolver.asked

    @property
    def questions(self) -> list[list[str]]:
        """Names and types, in turns."""
        return QUESTIONS

    def load(self, rate: int) -> None:
        """Have the strict resolver asked so often a second from here on."""
        if self.resolver.asking is None or self.resolver.asking.rate != rate:
            self.resolver.rest()
            self.resolver.load(rate)

    @contextlib.contextmanager
    def silent(self, name: str, *towards: str) -> Iterator[None]:
        """Nothing that a name server sends to these addresses arrives, and nobody is told."""
        space = self.servers[name].space
        before = {to: space.run("ip", "route", "show", to).stdout.strip() for to in towards}
        for to in towards:
            space.ip(f"route replace blackhole {to}")
        try:
            yield
        finally:
            for to, route in before.items():
                space.ip(f"route del blackhole {to}")
                space.ip(f"route replace {route}" if route else f"route flush {to}")

    def change(self, text: str) -> None:
        """One more record in the zone, signed and served by the primary.

        Raises: LabError when the primary does not take it.
        """
        self.below.put(ZONE, self.below.zone_text(ZONE) + text + "\n")
        _must(self.below.load(ZONE))

    def check(self, *, ds: Sequence[str] = (), parent: bool = False) -> Report:
        """What `loopback dns check` says of the declared zone, asked from beside the resolver."""
        probe = Probe(
            parse_zone_file(self.below.zone_text(ZONE)), int(time.time()), limits=self.limits
        )
        above = Server("parent", "", PARENT, 53) if parent else None
        views, theirs = self.resolver.space.inside(lambda: probe_zone(probe, SERVERS, above))
        trusted = tuple(parse_rdata("DS", text, ".") for text in ds)
        return check_served(Expected(probe.zone, probe.now, trusted), views, theirs)

    def check_all(self, *, parent: bool = False) -> Report:
        """As `check`, of servers that are all there: who was late is asked again, a few times."""
        for _ in range(LOOKS):
            report = self.check(parent=parent)
            if not any(one.rule.endswith("-silent") for one in report.findings):
                break
        return report

    def gate(self) -> Gate:
        """What `loopback dns ds-gate` says, asked from there as well."""
        views = self.resolver.space.inside(lambda: probe_looks(ZONE, NAMED, self.limits))
        return check_ds_gate(ZONE, views, int(time.time()))

    def keys(self, machine: Machine, kind: str = "") -> set[str]:
        """Texts of the zone's keys that a server has: all, or those that are `zsk` or `ksk`."""
        return {key for key in machine.answer(ZONE, "DNSKEY") if key.startswith(FLAGS[kind])}

    def begin_roll(self, kind: str) -> Callable[[], bool]:
        """Have the primary replace a key, `zsk` or `ksk`; one at a time is all that it does.

        Out: tells whether every name server has the new key, and none the old one.
        Raises: LabError when it does not.
        """
        before = self.keys(self.primary, kind)
        _must(self.primary.knotc("zone-key-rollover", ZONE, kind))

        def rolled() -> bool:
            served = [self.keys(server, kind) for server in self.servers.values()]
            return all(len(keys) == 1 and not keys & before for keys in served)

        return rolled

    def set_ds(self, *texts: str, ttl_s: int = 1) -> None:
        """Replace the DS at the parent, as a registrar's form would.

        Raises: LabError when it does not take them.
        """
        for words in (
            ["zone-begin", "net."],
            ["zone-unset", "net.", ZONE, "DS"],
            *(["zone-set", "net.", ZONE, str(ttl_s), "DS", *text.split()] for text in texts),
            ["zone-commit", "net."],
        ):
            _must(self.parent.knotc(*words))


def _must(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        raise LabError(f"knotc failed ({done.returncode}): {done.stdout}{done.stderr}")


@contextlib.contextmanager
def hierarchy(image: Image, ground: Path, **signing: int) -> Iterator[Hierarchy]:
    """Everything started, the DS at the parent and the chain whole; gone afterwards.

    In: as `declare` takes it.
    """
    with (
        hosts(image, ground, declare(**signing)) as below,
        namespaces(*RESOLVERS) as spaces,
    ):
        parent = _start_parent(below, ground)
        for machine in (below.primary, *below.servers.values()):
            machine.start()
        for machine in (below.primary, *below.servers.values()):
            wait_answering(machine, ZONE)
        below.primary.knotc("zone-notify")
        below.wait_served(ZONE)
        wait_for(lambda: parent.answer(ZONE, "DS") != [], READY_S)
        # no key is replaced before the first one is settled
        wait_for(lambda: "KSK submission, confirmed" in below.primary.log, READY_S)
        anchors = [line for line in parent.ask("net.", "DNSKEY")["answer"] if " DNSKEY " in line]
        made = []
        for (name, address), space in zip(RESOLVERS.items(), spaces, strict=True):
            resolver = Resolver(name, space, ground / name, image, address)
            made.append(resolver)
            _connect(resolver, below)
            resolver.prepare()
            resolver.furnish(anchors, strict=name == "resolver")
            resolver.begin_anew()
        strict, usual = made
        yield Hierarchy(below, parent, strict, usual)


def _start_parent(below: Hosts, ground: Path) -> Machine:
    space, image = below.primary.space, below.primary.image
    parent = Machine("parent", space, ground / "parent", image, PARENT)
    space.ip(f"addr add {PARENT}/32 dev lo")
    parent.prepare()
    conf = render("names-parent.conf.j2", address=PARENT, secret=DS_SECRET)
    (parent.ground / "etc/knot/knot.conf").write_text(conf)
    zone = render("names-parent.zone.j2", address=PARENT, services=list(SERVICE.values()))
    (parent.ground / "etc/loopback/net.zone").write_text(zone)
    parent.start()
    wait_answering(parent, "net.")
    return parent


def _connect(resolver: Resolver, below: Hosts) -> None:
    ends = {name: (server.space, SERVICE[name]) for name, server in below.servers.items()}
    ends["parent"] = (below.primary.space, PARENT)
    resolver.space.ip(f"addr add {resolver.address}/32 dev lo")
    for name, (space, address) in ends.items():
        cable(resolver.space, name, space, resolver.name)
        resolver.space.ip(f"route add {address} dev {name} src {resolver.address}")
        space.ip(f"route add {resolver.address} dev {resolver.name} src {address}")
