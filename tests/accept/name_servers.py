"""Knot and NSD of the hosts' image on ports of this machine's loopback, and somebody in between.

Their configurations are these tests' own, so that they may serve anything; `dns_hosts` has the
rendered ones, each host in a namespace of its own.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import struct
import subprocess
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import dns.message
import dns.query
import dns.rdatatype

from loopback_iac.dns.served import Server
from tests.accept.network import start_logged, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from loopback_iac.lab.names.image import Image

HOST = "127.0.0.1"
ZONE = "example.net."
SECRET = "bG9vcGJhY2sgYXVkaXQga2V5IG9mIHRoZXNlIHRlc3Rz"  # of these tests
KEY_LINE = f"hmac-sha256:audit:{SECRET}"
ANY_TSIG = f"""\
key:
  - id: audit
    algorithm: hmac-sha256
    secret: {SECRET}
acl:
  - id: audit
    key: audit
    action: transfer
"""
SIGNING = """\
policy:
  - id: p
    algorithm: ecdsap256sha256
    nsec3: {nsec3}
    rrsig-lifetime: {lifetime}
    rrsig-refresh: {refresh}
    cds-cdnskey-publish: always
"""


def free_port() -> int:
    """A port that neither transport uses now, and that nobody is given unasked."""
    while True:
        port = 15_000 + secrets.randbelow(15_000)  # below the range of ports for clients
        with (
            contextlib.suppress(OSError),
            socket.socket() as tcp,
            socket.socket(type=socket.SOCK_DGRAM) as udp,
        ):
            tcp.bind((HOST, port))
            udp.bind((HOST, port))
            return port


@dataclass
class Daemon:
    """One name server, with a directory of its own in the image."""

    image: Image
    name: str
    port: int
    words: list[str]
    zone: str = ZONE
    process: subprocess.Popen[str] | None = None
    options: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.image.root / "dns" / self.name

    @property
    def server(self) -> Server:
        return Server(self.name, "", HOST, self.port)

    def inside(self, words: list[str]) -> list[str]:
        return ["unshare", "--mount", "chroot", str(self.image.root), *words]

    def write(self, name: str, text: str) -> None:
        self.image.write(f"/dns/{self.name}/{name}", text)

    def start(self) -> None:
        self.process = start_logged(self.home / "log", *self.inside(self.words))
        wait_for(lambda: self.serial() is not None)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    def ask(self, name: str, kind: str) -> dns.message.Message | None:
        query = dns.message.make_query(name, kind, want_dnssec=True)
        with contextlib.suppress(OSError, dns.exception.DNSException):
            return dns.query.udp(query, HOST, port=self.port, timeout=1)
        return None

    def serial(self) -> int | None:
        """Of the SOA it answers, signed when it is to sign."""
        said = self.ask(self.zone, "SOA")
        if said is None or not said.answer:
            return None
        kinds = {rrset.rdtype for rrset in said.answer}
        if self.options.get("sign") and dns.rdatatype.RRSIG not in kinds:
            return None
        return said.answer[0][0].serial

    def reload(self, text: str) -> None:
        """Serve another file; it is served when this returns."""
        self.write("zone", text)
        control = ["knotc", "-b", "-c", f"/dns/{self.name}/knot.conf", "zone-reload", ZONE]
        done = subprocess.run(self.inside(control), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def knot(image: Image, name: str, text: str, *, sign: dict[str, str] | None = None) -> Daemon:
    """A Knot that serves a file, as it is or signed."""
    daemon = Daemon(image, name, free_port(), [])
    home = f"/dns/{name}"
    daemon.words = ["knotd", "-c", f"{home}/knot.conf"]
    image.empty(home)
    policy = ""
    extra = "    dnssec-signing: off\n"
    if sign is not None:
        daemon.options["sign"] = "yes"
        defaults = {"nsec3": "off", "lifetime": "21d", "refresh": "9d"}
        policy = SIGNING.format(**(defaults | sign))
        extra = "    dnssec-signing: on\n    dnssec-policy: p\n    zonemd-generate: zonemd-sha384\n"
    daemon.write(
        "knot.conf",
        f"server:\n    listen: {HOST}@{daemon.port}\n    rundir: {home}\n    nsid: {name}\n"
        f"    udp-workers: 1\n    tcp-workers: 1\n    background-workers: 1\n"
        f"database:\n    storage: {home}\n{ANY_TSIG}{policy}"
        f"template:\n  - id: default\n    storage: {home}\n    zonefile-sync: -1\n"
        f"    zonefile-load: whole\n    journal-content: none\n    semantic-checks: off\n"
        f"    acl: audit\n{extra}zone:\n  - domain: {ZONE}\n    file: zone\n"
        f"log:\n  - target: stderr\n    any: warning\n",
    )
    daemon.write("zone", text)
    return daemon


def nsd(image: Image, name: str, text: str, *, transfers: bool = True, zone: str = ZONE) -> Daemon:
    """A NSD that serves a file as it is."""
    daemon = Daemon(image, name, free_port(), [], zone=zone)
    home = f"/dns/{name}"
    daemon.words = ["nsd", "-d", "-c", f"{home}/nsd.conf"]
    image.empty(home)
    allow = f"    provide-xfr: {HOST} audit\n" if transfers else ""
    daemon.write(
        "nsd.conf",
        f"server:\n    ip-address: {HOST}@{daemon.port}\n    username: root\n    zonesdir: {home}\n"
        f"    pidfile: {home}/pid\n    xfrdfile: {home}/xfrd\n    xfrdir: {home}\n"
        f"    zonelistfile: {home}/list\n    server-count: 1\n    nsid: ascii_{name}\n"
        f"    cookie-secret-file: {home}/cookies\n    rrl-ratelimit: 0\n"
        f"remote-control:\n    control-enable: no\n"
        f"key:\n    name: audit\n    algorithm: hmac-sha256\n    secret: {SECRET}\n"
        f"zone:\n    name: {zone}\n    zonefile: zone\n{allow}",
    )
    daemon.write("zone", text)
    return daemon


@contextlib.contextmanager
def running(*daemons: Daemon) -> Iterator[None]:
    """Daemons that are gone afterwards."""
    try:
        for daemon in daemons:
            daemon.start()
        yield
    finally:
        for daemon in daemons:
            daemon.stop()


def is_whole(told: list[bytes]) -> bool:
    """Whether a transfer has come to its end: the second SOA, or a refusal (RFC 5936 2.2)."""
    ends = 0
    for wire in told:
        message = dns.message.from_wire(wire, keyring=False, xfr=True, one_rr_per_rrset=True)
        if not message.answer:
            return True
        ends += sum(rrset.rdtype == dns.rdatatype.SOA for rrset in message.answer)
    return ends >= 2


class Between:
    """Stands before a real server and may change what it says.

    `meddle`: an answer and its transport -> what is sent in its place; None: nothing.
    """

    def __init__(self, behind: Daemon, meddle: Callable[[bytes, str], bytes | None]) -> None:
        self.port, self.behind, self.meddle = free_port(), behind, meddle
        self.udp = socket.socket(type=socket.SOCK_DGRAM)
        self.tcp = socket.socket()
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for one in (self.udp, self.tcp):
            one.bind((HOST, self.port))
        self.tcp.listen(64)
        self.threads = [
            threading.Thread(target=self._serve_udp, daemon=True),
            threading.Thread(target=self._serve_tcp, daemon=True),
        ]

    @property
    def server(self) -> Server:
        return Server("between", "", HOST, self.port)

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self.udp, self.tcp):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self.threads:
            thread.join(10)

    def _behind(self, query: bytes) -> list[bytes]:
        """All messages that the real server sends over TCP for one question."""
        is_transfer = query[-4:-2] == b"\0\xfc" or b"\0\xfc\0\1" in query
        with socket.create_connection((HOST, self.behind.port), 30) as line:
            line.sendall(struct.pack(">H", len(query)) + query)
            if not is_transfer:
                return [_message(line)]
            found = []
            with contextlib.suppress(OSError, EOFError):
                while not is_whole(found):
                    found.append(_message(line))
            return found

    def _serve_udp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                query, whom = self.udp.recvfrom(4096)
                if not query:
                    return
                said = self.meddle(self._behind(query)[0], "udp")
                if said is not None:
                    self.udp.sendto(said, whom)

    def _serve_tcp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = self.tcp.accept()
                threading.Thread(target=self._serve_line, args=(line,), daemon=True).start()

    def _serve_line(self, line: socket.socket) -> None:
        with line, contextlib.suppress(OSError, EOFError):
            while True:
                for message in self._behind(_message(line)):
                    said = self.meddle(message, "tcp")
                    if said is None:
                        return
                    line.sendall(struct.pack(">H", len(said)) + said)


def _message(line: socket.socket) -> bytes:
    return _exactly(line, int.from_bytes(_exactly(line, 2)))


def _exactly(line: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = line.recv(size - len(found))
        if not more:
            raise EOFError
        found += more
    return found
