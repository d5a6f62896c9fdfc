"""Two network namespaces with a cable between them, and a TLS server in one of them."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Callable

V4, V6 = "203.0.113.10", "2001:db8:100::10"


def run(*argv: str, text: str | None = None) -> str:
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout


def certificate(name: str, issuer, issuer_key, *, ca: bool):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(issuer_key or key, hashes.SHA256())
    )
    return made, key


def pem(made, key=None) -> str:
    text = made.public_bytes(serialization.Encoding.PEM)
    if key:
        text = (
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + text
        )
    return text.decode()


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """Directory with the server's certificates; `ca.pem` signs the good one only."""
    directory = tmp_path_factory.mktemp("tls")
    ca, ca_key = certificate("lbd CA", None, None, ca=True)
    (directory / "ca.pem").write_text(pem(ca))
    good = certificate("www.example.com", ca, ca_key, ca=False)
    (directory / "good.pem").write_text(pem(*good))
    (directory / "other.pem").write_text(pem(*certificate("www.example.com", None, None, ca=False)))
    return directory


class Wire:
    """A client namespace and a server namespace, nothing else."""

    def __init__(self, authority: Path) -> None:
        self.client, self.server = (f"lbd-{side}{os.getpid()}" for side in "cs")
        self.ca_pem = (authority / "ca.pem").read_text()

    def inside(self, namespace: str, *argv: str, text: str | None = None) -> str:
        return run("nsenter", f"--net=/run/netns/{namespace}", *argv, text=text)

    def plan(self, **changed) -> str:
        return json.dumps(
            {
                "targets": [[4, V4], [6, V6]],
                "port": 443,
                "server_name": "www.example.com",
                "ca_pem": self.ca_pem,
                "rate": 100,
                "seconds": 0.5,
                "sample_every": 5,
                "streams": 0,
                "timeout_ms": 30_000,  # a busy machine has answered late, never not
            }
            | changed
        )

    def start_load(self, **changed) -> subprocess.Popen:
        argv = ("nsenter", f"--net=/run/netns/{self.client}", sys.executable)
        made = subprocess.Popen(
            [*argv, "-m", "loopback_iac.lab.drill.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        made.stdin.write(self.plan(**changed))
        made.stdin.close()
        made.stdin = None
        return made

    def load(self, **changed) -> dict:
        running = self.start_load(**changed)
        out, _ = running.communicate(timeout=120)
        assert running.returncode == 0
        return json.loads(out.splitlines()[1])

    def find(self, holds: Callable[[list[dict]], bool], **changed) -> None:
        """A load with streams of which it holds.

        A stream is silent after a second, and so is one whose machine stood still: there is a next.
        """
        end = time.monotonic() + 60
        while not holds(streams := self.load(**changed)["streams"]):
            assert time.monotonic() < end, streams

    def opened(self) -> int:
        """Connections that the server's kernel has taken so far."""
        counters = self.inside(self.server, "cat", "/proc/net/snmp").splitlines()
        names, values = (line.split() for line in counters if line.startswith("Tcp:"))
        return int(values[names.index("PassiveOpens")])

    def silenced(self) -> int:
        """Packets that reached the server and were dropped there."""
        listed = self.inside(self.server, "nft", "list", "counter", "inet", "lbd", "dropped")
        return int(listed.split("packets")[1].split()[0])

    def wait(self, count: Callable[[], int], more: int) -> None:
        """Until it has counted so many more."""
        end, begun = time.monotonic() + 60, count()
        while count() < begun + more:
            assert time.monotonic() < end, f"{count() - begun} of {more} in a minute"
            time.sleep(0.05)


def server_argv(wire: Wire) -> list[str]:
    far_end = Path(__file__).parent / "echo.py"
    return ["nsenter", f"--net=/run/netns/{wire.server}", sys.executable, str(far_end)]


@pytest.fixture(scope="session")
def wire(authority):
    made = Wire(authority)
    for name in (made.client, made.server):
        run("ip", "netns", "add", name)
    cable = ("netns", made.client, "type", "veth", "peer", "wire1", "netns", made.server)
    run("ip", "link", "add", "wire0", *cable)
    try:
        for name, link, v4, v6 in (
            (made.client, "wire0", "198.51.100.2/24", "2001:db8:c1::2/64"),
            (made.server, "wire1", "198.51.100.1/24", "2001:db8:c1::1/64"),
        ):
            made.inside(name, "ip", "link", "set", "lo", "up")
            made.inside(name, "ip", "link", "set", link, "up")
            made.inside(name, "ip", "addr", "add", v4, "dev", link)
            made.inside(name, "ip", "addr", "add", v6, "dev", link, "nodad")
        made.inside(made.server, "ip", "addr", "add", f"{V4}/32", "dev", "lo")
        made.inside(made.server, "ip", "addr", "add", f"{V6}/128", "dev", "lo", "nodad")
        made.inside(made.client, "ip", "route", "add", f"{V4}/32", "via", "198.51.100.1")
        made.inside(made.client, "ip", "route", "add", f"{V6}/128", "via", "2001:db8:c1::1")
        server = subprocess.Popen(
            [*server_argv(made), str(authority)],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout.readline() == "listening\n"
            yield made
        finally:
            server.kill()
            server.wait()
            server.stdout.close()
    finally:
        for name in (made.client, made.server):
            run("ip", "netns", "del", name)


@pytest.fixture
def blackhole(wire):
    """Drop everything that reaches the server until the test ends: a silent loss."""

    def drop() -> int:
        """Units: ns of the monotonic clock when nothing gets through any more."""
        hook = "type filter hook input priority 0; counter name dropped drop\n"
        rules = f"table inet lbd {{ counter dropped {{ }}\n chain c {{ {hook} }}\n }}\n"
        wire.inside(wire.server, "nft", "-f", "-", text=rules)
        return time.monotonic_ns()

    yield drop
    wire.inside(wire.server, "nft", "flush", "ruleset")
