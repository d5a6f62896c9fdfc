"""Everything secret or unique of one lab instance: made once, kept while the instance lives."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loopback_iac.lab.authority import Authority
from loopback_iac.lab.mirror import ensure_signing_key
from loopback_iac.lab.paths import write_private
from loopback_iac.lab.topology import MACHINES, Role

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loopback_iac.lab.paths import InstancePaths
    from loopback_iac.lab.topology import Topology

SITE_NAME = "www.example.net"
_SITE = "-----BEGIN SITE-----\n"


@dataclass(frozen=True)
class KeyPair:
    """An SSH key: private half in OpenSSH format, public half as an authorized_keys line."""

    private: str
    public: str


@dataclass(frozen=True)
class Keys:
    """What one instance's hosts, neighbors and operator share."""

    operator: KeyPair
    host_keys: dict[str, KeyPair]
    machine_ids: dict[str, str]
    md5: dict[str, str]
    ca_certificate: str
    site_certificate: str
    passphrase: str
    fleet_secret: str
    mirror_public: str = ""
    # cloud -> the token of its account
    tokens: dict[str, str] = field(default_factory=dict)


def ensure_keys(paths: InstancePaths, topology: Topology) -> Keys:
    """
    Read the instance's keys; make those that are missing.

    Out: all keys; private files have mode 0600.
    """
    paths.keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    machines = topology.having(*MACHINES)
    host_keys = {h.name: _ssh_key(paths.keys / f"host-{h.name}", h.name) for h in machines}
    ca, site = ensure_certificates(paths)
    keys = Keys(
        operator=_ssh_key(paths.operator_key, f"operator@{paths.name}"),
        host_keys=host_keys,
        machine_ids={
            h.name: keep(paths.keys / f"machine-id-{h.name}", lambda: secrets.token_hex(16))
            for h in topology.hosts
            if h.booted
        },
        md5={
            h.name: keep(paths.keys / f"md5-{h.name}", lambda: secrets.token_urlsafe(24))
            for h in topology.having(Role.POP)
        },
        ca_certificate=Authority.parse(ca).certificate,
        site_certificate=site,
        passphrase=keep(paths.passphrase, lambda: secrets.token_urlsafe(32)),
        fleet_secret=keep(paths.keys / "fleet-secret", lambda: secrets.token_urlsafe(32)),
        mirror_public=ensure_signing_key(paths) if any(h.bare for h in topology.hosts) else "",
        tokens={
            h.name: keep(paths.keys / f"token-{h.name}", lambda: secrets.token_hex(32))
            for h in topology.having(Role.PROVIDER)
        },
    )
    write_private(paths.ca_certificate, keys.ca_certificate, 0o644)
    write_private(paths.known_hosts, _render_known_hosts(topology, host_keys), 0o644)
    return keys


def ensure_certificates(paths: InstancePaths) -> tuple[str, str]:
    """The lab's CA, and the site's key with its certificate; made when they are missing."""
    ca, site = keep(paths.keys / "tls.pem", _make_tls).split(_SITE)
    return ca, site


def keep(path: Path, make: Callable[[], str]) -> str:
    """
    The text of a private file, made when it is missing.

    In: make is called only then.
    """
    if not path.exists():
        write_private(path, make())
    return path.read_text()


def _ssh_key(path: Path, comment: str) -> KeyPair:
    def make() -> str:
        return (
            Ed25519PrivateKey.generate()
            .private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.OpenSSH,
                serialization.NoEncryption(),
            )
            .decode()
        )

    private = keep(path, make)
    key = serialization.load_ssh_private_key(private.encode(), password=None)
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return KeyPair(private, f"{public.decode()} {comment}")


def _render_known_hosts(topology: Topology, host_keys: dict[str, KeyPair]) -> str:
    lines = []
    for host, key in host_keys.items():
        end = topology.uplink(host)
        names = ",".join(str(a.ip) for a in (end.v4, end.v6) if a)
        lines.append(f"{host},{names} {' '.join(key.public.split()[:2])}\n")
    return "".join(lines)


def _make_tls() -> str:
    """CA key and certificate, then the site's: one file, so that one never lacks the other."""
    ca = Authority.create("Loopback lab CA")
    site = ca.sign(SITE_NAME, [SITE_NAME])
    return f"{ca.pem}{_SITE}{site.certificate}{site.key}"


def issue_certificate(paths: InstancePaths, address: str) -> str:
    """
    A server's certificate by the lab's CA, for an address.

    Out: PEM, the certificate and then its private key.
    """
    kept = (paths.keys / "tls.pem").read_text().partition(_SITE)[0]
    signed = Authority.parse(kept).sign(address, [address])
    return signed.certificate + signed.key
