"""A parent zone, a zone below it with two operators, and resolvers that validate.

    resolvers (Unbound) --+-- fra1 (Knot) --+-- primary (Knot, signs)
                          +-- par1 (NSD) ---+
                          +-- parent (Knot), beside the primary

Each host in a namespace of its own, with the files that a bundle would put there; resolver and
parent have configurations of this test. The parent's key is the resolver's only anchor.
"""

from __future__ import annotations

import collections
import contextlib
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopback_iac.dns import parse_zone_file
from loopback_iac.dns.rdata import parse_rdata
from loopback_iac.dns.served import Expected, Server, check_served
from loopback_iac.dns.served.ds_gate import check_ds_gate
from loopback_iac.remote.dns_ask import Limits
from loopback_iac.remote.dns_served import Probe, probe_looks, probe_zone
from tests.accept.dns_hosts import DS_SECRET, Hosts, Machine, hosts
from tests.accept.network import cable, namespaces, wait_for
from tests.golden import primaries

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Sequence

    from loopback_iac.dns.served import Report
    from loopback_iac.dns.served.ds_gate import Gate
    from tests.accept.parsers import Image

ZONE = "example.net."
PARENT, RESOLVER = "198.18.250.54", "198.18.250.60"
PRIMARY = "198.18.250.53"
SERVICE = {"fra1": "203.0.113.53", "par1": "203.0.113.54"}
SERVERS = [Server(name, "", address, 53) for name, address in SERVICE.items()]
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
KINDS = ("asked", "secure", "insecure", "bogus", "failed", "silent")
STEADY = Path(__file__).parent / "steady.py"
PARENT_CONF = f"""\
server:
    listen: {PARENT}@53
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: /var/lib/knot
key:
  - id: loopback-ds-own
    algorithm: hmac-sha256
    secret: {DS_SECRET}
acl:
  - id: ds
    key: loopback-ds-own
    action: update
    update-type: [DS]
policy:
  - id: own
    algorithm: ecdsap256sha256
    single-type-signing: on
    ksk-lifetime: 0
zone:
  - domain: net.
    storage: /etc/loopback
    file: net.zone
    zonefile-load: difference-no-serial
    zonefile-sync: -1
    journal-content: all
    serial-policy: unixtime
    acl: ds
    dnssec-signing: on
    dnssec-policy: own
"""
PARENT_ZONE = f"""\
$ORIGIN net.
$TTL 1
@ SOA ns hostmaster 1 600 300 604800 1
@ NS ns
ns A {PARENT}
example NS ns1.example
example NS ns2.example
ns1.example A {SERVICE["fra1"]}
ns2.example A {SERVICE["par1"]}
"""
STRICT = "val-max-restart: 0"
"""What is bogus is not asked for once more at another name server."""
RESOLVER_CONF = """\
server:
    interface: {address}
    access-control: 198.18.0.0/15 allow
    do-ip6: no
    chroot: ""
    username: ""
    directory: "/etc/unbound"
    pidfile: "/etc/unbound/pid"
    use-syslog: no
    num-threads: 1
    msg-cache-size: 1m
    rrset-cache-size: 1m
    module-config: "validator iterator"
    trust-anchor-file: "/etc/unbound/net.key"
    ede: yes
    val-log-level: 2
    val-bogus-ttl: 1
    val-sig-skew-min: 0
    val-sig-skew-max: 0
    # each question goes out: nothing is made up from proofs, kept beyond its time or fetched early
    aggressive-nsec: no
    serve-expired: no
    prefetch: no
    cache-min-ttl: 0
    {strict}
remote-control:
    control-enable: no
stub-zone:
    name: "net."
    stub-addr: {parent}
"""


def case(ds_ttl_s: int = 1, **signing: int) -> primaries.Case:
    """The declaration of primary and name servers."""
    late = {"host": "late"}
    primary = {
        "admin_sources": ["198.18.251.2/32"],
        "transfer_secret": "late",
        **late,
        "servers": {
            "fra1": {**late, "addresses": [SERVICE["fra1"]]},
            "par1": {**late, "addresses": [SERVICE["par1"]], "software": "nsd"},
        },
        "zones": {"example.net": {"records": RECORDS, "default_ttl_s": 1, "parent": "own"}},
        "parents": {"own": {"addresses": [PARENT], "secret": "late", "ds_ttl_s": ds_ttl_s}},
        "signing": {
            "dnskey_ttl_s": 1, "propagation_delay_s": 2, "ksk_lifetime_s": 0, **signing,
        },
    }  # fmt: skip
    given = {name: {"ipv4": address, "host_key": KEY} for name, address in HOSTS.items()}
    return primaries.Case("hierarchy", primary, given)


def wait_answering(machine: Machine, name: str) -> None:
    """Until it knows a name; over TCP, which is refused at once while nobody listens."""
    wait_for(lambda: machine.ask(name, "A", tcp=True).get("rcode") == "NOERROR", 30)


@dataclass
class Resolver(Machine):
    """Unbound, and who asks it."""

    steady: subprocess.Popen[str] | None = None
    rate: int = 0
    mounts: list[str] = field(default_factory=list)

    def furnish(self, anchors: list[str], *, strict: bool = True) -> None:
        (self.ground / "etc/unbound").mkdir(parents=True, exist_ok=True)
        self.mounts = [f"mount --bind {self.ground}/etc/unbound {self.image.root}/etc/unbound"]
        (self.ground / "etc/unbound/net.key").write_text("".join(f"{a}\n" for a in anchors))
        settings = {"address": self.address, "parent": PARENT, "strict": STRICT if strict else ""}
        (self.ground / "etc/unbound/unbound.conf").write_text(RESOLVER_CONF.format(**settings))

    def start(self) -> None:
        words = self.words("unbound", "-d", "-c", "/etc/unbound/unbound.conf")
        self.daemon = self.space.start_daemon(self.ground / "log", *words)

    def begin_anew(self) -> None:
        """Start it without any memory: of keys that were wrong, and servers that were silent."""
        rate = self.rate
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
        self.steady.kill()
        self.steady.wait(30)
        self.rate = 0

    def load(self, rate: int) -> None:
        """Ask it steadily from here on."""
        self.rate = rate
        self.steady = self.space.start(sys.executable, str(STEADY))
        wanted = {"server": self.address, "questions": QUESTIONS, "rate": rate}
        self.steady.stdin.write(json.dumps(wanted) + "\n")
        self.steady.stdin.flush()
        assert self.steady.stdout.readline() == "asking\n"

    def mark(self) -> dict[str, Any]:
        """What became of the questions since the last mark."""
        self.steady.stdin.write("mark\n")
        self.steady.stdin.flush()
        return json.loads(self.steady.stdout.readline())

    def after(self, count: int) -> dict[str, Any]:
        """What becomes of so many questions from here on, or more."""
        self.mark()
        found = collections.Counter[str]()
        while found["asked"] < count:
            time.sleep(0.1)
            found.update({key: n for key, n in self.mark().items() if isinstance(n, int)})
        return {kind: found[kind] for kind in KINDS}


@dataclass
class Hierarchy:
    """All of it."""

    below: Hosts
    parent: Machine
    resolver: Resolver
    """It is strict."""
    usual: Resolver
    """Another, with its program's defaults where the strict one has none."""

    @property
    def primary(self) -> Machine:
        return self.below.primary

    @property
    def servers(self) -> dict[str, Machine]:
        return self.below.servers

    @property
    def resolvers(self) -> tuple[Resolver, Resolver]:
        return self.resolver, self.usual

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
        """One more record in the zone, signed and served by the primary."""
        self.below.put(ZONE, self.below.zone_text(ZONE) + text + "\n")
        done = self.below.load(ZONE)
        assert done.returncode == 0, done.stdout + done.stderr

    def check(self, *, ds: Sequence[str] = (), parent: bool = False) -> Report:
        """What `loopback dns check` says of the declared zone, asked from beside the resolver."""
        probe = Probe(parse_zone_file(self.below.zone_text(ZONE)), int(time.time()))
        above = Server("parent", "", PARENT, 53) if parent else None
        views, theirs = self.resolver.space.inside(lambda: probe_zone(probe, SERVERS, above))
        trusted = tuple(parse_rdata("DS", text, ".") for text in ds)
        return check_served(Expected(probe.zone, probe.now, trusted), views, theirs)

    def gate(self) -> Gate:
        """What `loopback dns ds-gate` says, asked from there as well."""
        views = self.resolver.space.inside(lambda: probe_looks(ZONE, SERVERS, Limits()))
        return check_ds_gate(ZONE, views, int(time.time()))

    def keys(self, machine: Machine, kind: str = "") -> set[str]:
        """Texts of the zone's keys that a server has: all, or those that are `zsk` or `ksk`."""
        return {key for key in machine.answer(ZONE, "DNSKEY") if key.startswith(FLAGS[kind])}

    def begin_roll(self, kind: str) -> Callable[[], bool]:
        """Have the primary replace a key, `zsk` or `ksk`; one at a time is all that it does.

        Out: tells whether every name server has the new key, and none the old one.
        """
        before = self.keys(self.primary, kind)
        done = self.primary.knotc("zone-key-rollover", ZONE, kind)
        assert done.returncode == 0, done.stdout + done.stderr

        def rolled() -> bool:
            served = [self.keys(server, kind) for server in self.servers.values()]
            return all(len(keys) == 1 and not keys & before for keys in served)

        return rolled

    def set_ds(self, *texts: str, ttl_s: int = 1) -> None:
        """Replace the DS at the parent, as a registrar's form would."""
        for words in (
            ["zone-begin", "net."],
            ["zone-unset", "net.", ZONE, "DS"],
            *(["zone-set", "net.", ZONE, str(ttl_s), "DS", *text.split()] for text in texts),
            ["zone-commit", "net."],
        ):
            done = self.parent.knotc(*words)
            assert done.returncode == 0, done.stdout + done.stderr


@contextlib.contextmanager
def hierarchy(image: Image, ground: Path, **signing: int) -> Iterator[Hierarchy]:
    """Everything started, the DS at the parent and the chain whole; gone afterwards."""
    with (
        hosts(image, ground, case(**signing)) as below,
        namespaces("resolver", "usual") as (first, second),
    ):
        parent = _start_parent(below, ground)
        for machine in (below.primary, *below.servers.values()):
            machine.start()
        for machine in (below.primary, *below.servers.values()):
            wait_answering(machine, ZONE)
        below.primary.knotc("zone-notify")
        below.wait_served(ZONE)
        wait_for(lambda: parent.answer(ZONE, "DS") != [], 60)
        # no key is replaced before the first one is settled
        wait_for(lambda: "KSK submission, confirmed" in below.primary.log, 60)
        anchors = [line for line in parent.ask("net.", "DNSKEY")["answer"] if " DNSKEY " in line]
        made = []
        for number, (name, space) in enumerate({"resolver": first, "usual": second}.items()):
            address = RESOLVER.removesuffix("60") + str(60 + number)
            resolver = Resolver(name, space, ground / name, image, address)
            _connect(resolver, below)
            resolver.prepare()
            resolver.furnish(anchors, strict=name == "resolver")
            resolver.begin_anew()
            made.append(resolver)
        yield Hierarchy(below, parent, *made)


def _start_parent(below: Hosts, ground: Path) -> Machine:
    space, image = below.primary.space, below.primary.image
    parent = Machine("parent", space, ground / "parent", image, PARENT)
    space.ip(f"addr add {PARENT}/32 dev lo")
    parent.prepare()
    (parent.ground / "etc/knot/knot.conf").write_text(PARENT_CONF)
    (parent.ground / "etc/loopback/net.zone").write_text(PARENT_ZONE)
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
